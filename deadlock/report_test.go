package deadlock

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestErrorMatchesErrDeadlockThroughWrapping(t *testing.T) {
	var err error = &Error{}
	wrapped := fmt.Errorf("commit: %w", err)
	if !errors.Is(wrapped, ErrDeadlock) {
		t.Error("errors.Is does not see ErrDeadlock")
	}
	if errors.Is(wrapped, errors.ErrUnsupported) {
		t.Error("matches an unrelated error")
	}
	if as, ok := errors.AsType[*Error](wrapped); !ok || as != err {
		t.Error("errors.AsType does not find the report")
	}
}

func TestTextOfAPartyThatBlocksByItsPlaceInTheQueue(t *testing.T) {
	e := &Error{Reason: "youngest", Cycle: []Party{
		{ID: 1, Wants: Lock{"k", "S"}, Holds: []Lock{{"m", "X"}}, Age: 1500 * time.Microsecond, Waited: 1234 * time.Nanosecond},
		{ID: 2, Wants: Lock{"k", "X"}, Victim: true, Age: 61234567890},
		{ID: 3, Wants: Lock{"m", "S"}, Holds: []Lock{{"k", "S"}}},
	}}
	want := `deadlock: txn 2 ended to break a cycle of 3 transactions (youngest); roll it back and retry
  txn 1 (1.5ms old, waited 1µs) holds X on m, wants S on k
  txn 2 (1m1.23s old, waited 0s) is queued ahead of txn 1, wants X on k  <- victim: youngest
  txn 3 (0s old, waited 0s) holds S on k, wants S on m`
	if got := e.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTextOfALongCycleIsCutButNamesTheVictim(t *testing.T) {
	e := &Error{Reason: "youngest", Cycle: make([]Party, 100)}
	for i := range e.Cycle {
		e.Cycle[i] = Party{ID: TxnID(i), Victim: i == 90}
	}
	text := e.Error()
	if lines := strings.Count(text, "\n"); lines != partiesInText+2 {
		t.Errorf("%d lines:\n%s", lines, text)
	}
	for _, want := range []string{"txn 90 ended", "... and 84 more, among them\n  txn 90 ("} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestTextWithoutVictimOrParties(t *testing.T) {
	for _, e := range []*Error{{}, {Cycle: []Party{{ID: 1}}}} {
		if text := e.Error(); !strings.HasPrefix(text, "deadlock: a cycle of ") {
			t.Errorf("text %q", text)
		}
		if _, ok := e.Victim(); ok {
			t.Error("names a victim")
		}
	}
}
