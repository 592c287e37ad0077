package bench

import (
	"context"
	"errors"
	"testing"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// checkRow checks what rows of all workloads in which writers meet have in common.
func checkRow(t *testing.T, row ContentionRow, ops int64) {
	t.Helper()
	lost := row.Attempts - row.Done
	if row.Ops != ops || row.Done != ops || lost < 0 || row.PerSecond <= 0 || row.GroupSize <= 0 || row.Checksum == 0 {
		t.Errorf("row %+v is not of %d durable commits", row, ops)
	}
	if row.AbortRate != float64(lost)/float64(row.Attempts) || (lost == 0) != (row.MostAttempts == 1) {
		t.Errorf("row %+v does not agree with itself: %d attempts lost", row, lost)
	}
}

func TestTransferComesToTheSameBalancesAtEveryLevel(t *testing.T) {
	dir := t.TempDir()
	cfg := TransferConfig{Common: Common{Dir: dir}, Accounts: 20, Thetas: []float64{0, 0.99}, Writers: []int{4}, Limit: Limit{Ops: 60}}
	res, err := Transfer(t.Context(), cfg)
	checkResult(t, "transfer", dir, res, err)
	if len(res.Rows) != 6 {
		t.Fatalf("%d rows, want 6", len(res.Rows))
	}
	for i, row := range res.Rows {
		checkRow(t, row, 60)
		if first := res.Rows[i/3*3]; row.Kind != first.Kind || row.Checksum != first.Checksum {
			t.Errorf("%s at %s ended in other balances than at %s (B4)", row.Kind, row.Isolation, first.Isolation)
		}
		// Locks in the order of keys: nobody loses, nobody waits in a circle.
		if row.Isolation == mvcc.ReadCommitted.String() && (row.Attempts != row.Ops || row.Deadlocks != 0) {
			t.Errorf("ordered locks lost attempts: %+v", row)
		}
	}
}

func TestTransfersAreBetweenTwoAccounts(t *testing.T) {
	for _, accounts := range []int64{2, 3, 1000} {
		b := &bank{choice: gen.NewZipf(accounts, 0.99), accounts: uint64(accounts)}
		for op := range uint64(10_000) {
			e := b.entries(op)
			if e[0].account == e[1].account || max(e[0].account, e[1].account) >= b.accounts || e[0].amount+e[1].amount != 0 || e[1].amount < 1 {
				t.Fatalf("operation %d of %d accounts is %+v", op, accounts, e)
			}
		}
	}
}

func TestAuditOfBalancesFindsMoneyThatAppearedOrWentAstray(t *testing.T) {
	s, err := openStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	b := &bank{store: s, accounts: 3}
	audit := func(balances ...int64) error {
		if err := b.open(t.Context(), balances); err != nil {
			t.Fatal(err)
		}
		_, err := b.auditBalances(t.Context(), []int64{openingBalance, openingBalance - 5, openingBalance + 5})
		return err
	}
	if err := audit(1000, 995, 1005); err != nil {
		t.Errorf("what is right is refused: %v", err)
	}
	var count *CountError
	if err := audit(1000, 996, 1005); !errors.As(err, &count) || count.Got != 3001 {
		t.Errorf("money that appeared: got %v, want a *CountError", err)
	}
	var account *AuditError
	if err := audit(999, 996, 1005); !errors.As(err, &account) {
		t.Errorf("money of the wrong account: got %v, want an *AuditError", err)
	}
}

func TestHotkeyLosesNoIncrement(t *testing.T) {
	dir := t.TempDir()
	res, err := Hotkey(t.Context(), HotkeyConfig{Common: Common{Dir: dir}, Writers: []int{1, 6}, Limit: Limit{Ops: 30}})
	checkResult(t, "hotkey", dir, res, err)
	if len(res.Rows) != 4 {
		t.Fatalf("%d rows, want 4", len(res.Rows))
	}
	for i, row := range res.Rows {
		checkRow(t, row, 30)
		if i < 2 && row.Attempts != row.Ops {
			t.Errorf("who locks before it reads has lost: %+v", row)
		}
		if row.Checksum != res.Rows[i%2].Checksum {
			t.Errorf("the same operations have other checksums (B4): %+v", row)
		}
	}
}

func TestCounterHoldsTheSumAndNobodyLoses(t *testing.T) {
	dir := t.TempDir()
	res, err := Counter(t.Context(), HotkeyConfig{Common: Common{Dir: dir}, Writers: []int{1, 6}, Limit: Limit{Ops: 60}})
	checkResult(t, "counter", dir, res, err)
	for _, row := range res.Rows {
		checkRow(t, row, 60)
		if row.Attempts != row.Ops || row.Conflicts != 0 {
			t.Errorf("additions lost against each other: %+v", row)
		}
	}
}

func TestHubGrowsWithoutConflictsAtEveryLevel(t *testing.T) {
	dir := t.TempDir()
	res, err := Hub(t.Context(), HubConfig{Common: Common{Dir: dir}, Writers: []int{4}, Limit: Limit{Ops: 60}})
	checkResult(t, "hub", dir, res, err)
	if len(res.Rows) != 3 {
		t.Fatalf("%d rows, want 3", len(res.Rows))
	}
	for _, row := range res.Rows {
		checkRow(t, row, 60)
		if row.Attempts != row.Ops || row.Checksum != res.Rows[0].Checksum {
			t.Errorf("row %+v lost attempts, or did other work", row)
		}
	}
}

func TestAuditsOfOneKeyFindALostOperation(t *testing.T) {
	row := ContentionRow{Done: 3, Checksum: 70}
	var audit *AuditError
	var count *CountError
	if err := auditTally(tally{3, 70}.encode(), row); err != nil {
		t.Error(err)
	}
	if err := auditTally(tally{2, 70}.encode(), row); !errors.As(err, &audit) {
		t.Errorf("a lost increment: got %v", err)
	}
	if err := auditTally(tally{3, 71}.encode(), row); !errors.As(err, &audit) {
		t.Errorf("one increment twice for another: got %v", err)
	}
	if err := auditTally([]byte("short"), row); err == nil {
		t.Error("a value of the wrong size was accepted")
	}
	if err := auditSum(mvcc.EncodeInt64(70), row); err != nil {
		t.Error(err)
	}
	if err := auditSum(mvcc.EncodeInt64(69), row); !errors.As(err, &count) {
		t.Errorf("a lost addition: got %v", err)
	}
}

func TestAuditOfAHubFindsAMissingEdgeAndALostAttempt(t *testing.T) {
	db, err := graph.Open(databasePath(t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h, err := newHub(t.Context(), db, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.audit(t.Context(), ContentionRow{}); err != nil {
		t.Errorf("a hub without edges: %v", err)
	}
	var audit *AuditError
	row := ContentionRow{Done: 1, Attempts: 1, Checksum: 5}
	if err := h.audit(t.Context(), row); !errors.As(err, &audit) {
		t.Errorf("a missing edge: got %v", err)
	}
	var count *CountError
	row = ContentionRow{Attempts: 1}
	if err := h.audit(t.Context(), row); !errors.As(err, &count) {
		t.Errorf("a lost attempt: got %v", err)
	}
}

// Every operation is run three times here, and succeeds the third time.
func TestContestCountsAttemptsThatLost(t *testing.T) {
	s, err := openStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	c := &contest[int]{
		kind: "thrice", writers: 2, limit: Limit{Ops: 10}, opts: &mvcc.TxnOptions{}, db: s.db,
		update: func(_ context.Context, _ *mvcc.TxnOptions, fn func(int) error) error {
			return errors.Join(fn(0), fn(1), fn(2))
		},
		body: func(int, *contender, int, uint64) (Checksum, error) { return 7, nil },
	}
	row, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if row.Ops != 10 || row.Attempts != 30 || row.MostAttempts != 3 || row.AbortRate != 20.0/30 || row.Checksum != 70 {
		t.Errorf("got %+v, want 10 operations of 3 attempts each", row)
	}
}
