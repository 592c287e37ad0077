package bench

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/mvcc"
)

func TestOverwriteCountsBySecondWhatItCommits(t *testing.T) {
	dir := t.TempDir()
	cfg := OverwriteConfig{
		Common: Common{Dir: dir, MemoryBudget: mvcc.MinMemoryBudget}, Curves: tinyCurves(t), Times: 1, ValueSize: 1000, Writers: 3,
		Limit: Limit{Ops: 300},
	}
	res, err := Overwrite(t.Context(), cfg)
	checkResult(t, "overwrite", dir, res, err)
	checkPlot(t, cfg.Plot)
	var commits int64
	for _, s := range res.Samples {
		commits += s.Commits
	}
	if res.Commits != 300 || commits != 300 {
		t.Errorf("%d commits, %d in the samples, want 300", res.Commits, commits)
	}
	if res.Total <= 1 || res.Amplification <= 1 || res.LogWritten < res.PayloadBytes || res.Checksum == 0 || res.LongestPause <= 0 {
		t.Errorf("the bytes written are missing: %+v", res)
	}
}

func TestAPauseIsATimeWithoutAnyCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPauses()
		for _, gap := range []time.Duration{50, 100, 101, 20, 700, 3} {
			time.Sleep(gap * time.Millisecond)
			p.commit()
		}
		if n, longest := p.count.Load(), time.Duration(p.longest.Load()); n != 2 || longest != 700*time.Millisecond {
			t.Errorf("%d pauses, the longest %v, want 2 and 700ms", n, longest)
		}
	})
}

func TestAMeterForgetsWhatWasReadButNotTheTotal(t *testing.T) {
	m := newMeter()
	m.add(time.Millisecond)
	m.add(3 * time.Millisecond)
	if n, l := m.read(); n != 2 || l.Max < 2990 || l.Max > 3010 {
		t.Errorf("read %d, at most %v µs, want 2 and 3000", n, l.Max)
	}
	m.add(time.Microsecond)
	if n, l := m.read(); n != 1 || l.Max > 2 {
		t.Errorf("read %d, at most %v µs, want 1 and 1", n, l.Max)
	}
	if n, l := m.all(); n != 3 || l.Max < 2990 {
		t.Errorf("in all %d, at most %v µs, want 3 and 3000", n, l.Max)
	}
}

func TestAPeriodThatWasCutShortIsNotShown(t *testing.T) {
	at := func(d time.Duration) time.Duration { return d }
	samples := []time.Duration{10, 20, 30, 34}
	if got := whole(samples, 10, at); len(got) != 3 {
		t.Errorf("%v are shown of %v, want three", got, samples)
	}
	if got := whole(samples[:3], 10, at); len(got) != 3 {
		t.Errorf("%v are shown of %v, want all", got, samples[:3])
	}
	if got := whole(samples[:0], 10, at); len(got) != 0 {
		t.Errorf("%v are shown of nothing", got)
	}
}
