package deadlock

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// partiesInText bounds the lines of a report's text; Error.Cycle has them all.
const partiesInText = 16

// Error reports a deadlock to the victim and to observers. It is immutable, and
// so safe for concurrent use. errors.Is matches it with ErrDeadlock.
type Error struct {
	// Cycle has the parties in waiting order: each waits for the next, the last for
	// the first. Package lockmgr puts the victim first.
	Cycle  []Party
	Reason string // why this victim
	At     time.Time
}

// Is reports whether target is ErrDeadlock.
func (e *Error) Is(target error) bool { return target == ErrDeadlock }

// Victim returns the party that was ended; false when the report names none.
func (e *Error) Victim() (Party, bool) {
	if at := e.victimAt(); at >= 0 {
		return e.Cycle[at], true
	}
	return Party{}, false
}

func (e *Error) victimAt() int {
	for i := range e.Cycle {
		if e.Cycle[i].Victim {
			return i
		}
	}
	return -1
}

// Error returns a line for the whole and a line for each party. A long cycle is
// cut in the middle of the text; the victim is always named.
func (e *Error) Error() string {
	var b strings.Builder
	victim := e.victimAt()
	e.writeSummary(&b, victim)
	shown := min(len(e.Cycle), partiesInText)
	for i := range shown {
		e.writeParty(&b, i)
	}
	if more := len(e.Cycle) - shown; more > 0 {
		fmt.Fprintf(&b, "\n  ... and %d more", more)
		if victim >= shown {
			b.WriteString(", among them")
			e.writeParty(&b, victim)
		}
	}
	return b.String()
}

func (e *Error) writeSummary(b *strings.Builder, victim int) {
	b.WriteString("deadlock: ")
	if victim < 0 {
		fmt.Fprintf(b, "a cycle of %s", count(len(e.Cycle)))
		return
	}
	writeName(b, &e.Cycle[victim])
	fmt.Fprintf(b, " ended to break a cycle of %s", count(len(e.Cycle)))
	if e.Reason != "" {
		fmt.Fprintf(b, " (%s)", e.Reason)
	}
	b.WriteString("; roll it back and retry")
}

func (e *Error) writeParty(b *strings.Builder, at int) {
	p := &e.Cycle[at]
	b.WriteString("\n  ")
	writeName(b, p)
	writeCircumstances(b, p)
	for _, held := range p.Holds {
		fmt.Fprintf(b, " holds %s on %s,", held.Mode, held.Key)
	}
	if before := e.before(at); before != nil && !holds(p, before.Wants.Key) {
		fmt.Fprintf(b, " is queued ahead of txn %d,", before.ID)
	}
	fmt.Fprintf(b, " wants %s on %s", p.Wants.Mode, p.Wants.Key)
	if p.Victim {
		fmt.Fprintf(b, "  <- victim: %s", e.Reason)
	}
}

// before returns the party that waits for the one at the given place.
func (e *Error) before(at int) *Party {
	if len(e.Cycle) < 2 {
		return nil
	}
	return &e.Cycle[(at+len(e.Cycle)-1)%len(e.Cycle)]
}

func holds(p *Party, key string) bool {
	for _, held := range p.Holds {
		if held.Key == key {
			return true
		}
	}
	return false
}

func writeName(b *strings.Builder, p *Party) {
	fmt.Fprintf(b, "txn %d", p.ID)
	if p.Label != "" {
		b.WriteString(" " + strconv.Quote(p.Label))
	}
}

func writeCircumstances(b *strings.Builder, p *Party) {
	b.WriteString(" (")
	if p.Isolation != "" {
		b.WriteString(p.Isolation + ", ")
	}
	fmt.Fprintf(b, "%v old, waited %v)", readable(p.Age), readable(p.Waited))
}

func count(n int) string {
	if n == 1 {
		return "1 transaction"
	}
	return strconv.Itoa(n) + " transactions"
}

// readable rounds a duration to what a reader can use.
func readable(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(time.Microsecond)
	}
}
