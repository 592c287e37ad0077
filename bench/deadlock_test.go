package bench

import (
	"errors"
	"testing"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/mvcc"
)

func TestDeadlockTakesOneVictimOfEachRing(t *testing.T) {
	dir := t.TempDir()
	res, err := Deadlock(t.Context(), DeadlockConfig{Common: Common{Dir: dir}, Sizes: []int{2, 3, 5}, Rings: 4})
	checkResult(t, "deadlock", dir, res, err)
	for i, size := range []int{2, 3, 5} {
		row := res.Rows[i]
		if row.Size != size || row.Victims != 4 || row.Checksum != Checksum(4*(size-1)*2) || row.Detection.Max <= 0 {
			t.Errorf("row %+v is not of 4 rings of %d with a victim each", row, size)
		}
	}
}

func TestJudgeCountsVictimsAndPassesOtherErrorsOn(t *testing.T) {
	boom := errors.New("boom")
	closed := time.Now()
	outcomes := make(chan ringOutcome, 4)
	for _, o := range []ringOutcome{{}, {closed.Add(2 * time.Millisecond), &mvcc.DeadlockError{}}, {closed, boom}, {closed.Add(time.Millisecond), &mvcc.DeadlockError{}}} {
		outcomes <- o
	}
	hist := drive.NewHistogram()
	victims, err := judge(outcomes, 4, closed, hist)
	if victims != 2 || !errors.Is(err, boom) || errors.Is(err, mvcc.ErrDeadlock) {
		t.Errorf("%d victims and %v, want 2 and boom", victims, err)
	}
	if l := hist.Latency(); hist.Count() != 2 || l.Max < 2000 || l.Max > 2002 {
		t.Errorf("%d durations up to %v µs, want 2 up to 2 ms", hist.Count(), l.Max)
	}
}

func TestAuditOfRingKeysFindsALostIncrement(t *testing.T) {
	s, err := openStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	err = s.db.Update(t.Context(), func(tx *mvcc.Txn) error {
		return errors.Join(s.countUp(tx, ringKey(0)), s.countUp(tx, ringKey(0)), s.countUp(tx, ringKey(1)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := s.auditRingKeys(t.Context(), 3); err != nil || sum != 3 {
		t.Errorf("got %d, %v", sum, err)
	}
	var count *CountError
	if _, err := s.auditRingKeys(t.Context(), 4); !errors.As(err, &count) {
		t.Errorf("a lost increment: got %v, want a *CountError", err)
	}
}
