package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

func tinySoak(t *testing.T) SoakConfig {
	cfg := SoakConfig{
		Common: Common{Dir: t.TempDir(), MemoryBudget: mvcc.MinMemoryBudget}, Curves: tinyCurves(t), Duration: time.Second,
		Records: 3000, Accounts: 100, LargeRows: 5000, HubEdges: 20,
	}
	return cfg.withDefaults()
}

func TestSoakDoesEverythingAndAuditsIt(t *testing.T) {
	cfg := tinySoak(t)
	cfg.Every = 20 * time.Millisecond
	res, err := Soak(t.Context(), cfg)
	checkResult(t, "soak", cfg.Dir, res, err)
	checkPlot(t, cfg.Plot)
	for _, row := range res.Rows {
		if row.Ops == 0 {
			t.Errorf("no %s in a second", row.Kind)
		}
	}
	if len(res.Samples) < leastSteady || len(res.Bounds) != 2+len(steadyCurves) {
		t.Errorf("%d samples and %d bounds, want at least %d and %d", len(res.Samples), len(res.Bounds), leastSteady, 2+len(steadyCurves))
	}
	if res.Checksum == 0 || res.Spills == 0 {
		t.Errorf("checksum %v, %d spills", res.Checksum, res.Spills)
	}
}

// openSoak is a soak workload that nobody works on.
func openSoak(t *testing.T) *soaking {
	t.Helper()
	cfg := tinySoak(t)
	cfg.LargeRows = 300
	opts := cfg.options()
	opts.Retain.Duration = time.Hour
	db, err := graph.Open(databasePath(cfg.Dir), &graph.Options{Options: *opts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := newSoak(t.Context(), db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each part must notice when its keys are changed behind its back.
func TestSoakNoticesWrongAnswers(t *testing.T) {
	s := openSoak(t)
	ctx := t.Context()
	if _, err := s.audit(ctx); err != nil {
		t.Fatalf("the audit refuses what is right: %v", err)
	}
	for range 20 {
		err := errors.Join(s.model.step(ctx, 1)(), s.hub.step(ctx, 1)(), s.bank.transfer(ctx, 1)(), s.counters.add(ctx, 1)(),
			s.batch.overwrite(ctx)(), s.bank.remember(ctx)())
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.audit(ctx); err != nil {
		t.Fatalf("the audit refuses what is right: %v", err)
	}
	var count *CountError
	var audit *AuditError
	var record *RecordError
	var past *PastError
	for name, c := range map[string]struct {
		spoil func() error
		look  func() error
		as    any
	}{
		"a record is changed": {spoilt(ctx, s.model.store, gen.AppendKey(nil, 7), []byte("x")), func() error {
			return s.model.db.View(ctx, func(tx *mvcc.Txn) error { return s.model.compare(tx, 7) })
		}, &record},
		"records at the end": {spoilt(ctx, s.model.store, gen.AppendKey(nil, 7), []byte("x")), lastAudit(ctx, s.model.audit), &audit},
		"money is made":      {spoilt(ctx, s.bank.store, gen.AppendKey(nil, 7), mvcc.EncodeInt64(1)), s.bank.scan(ctx), &count},
		"a counter":          {spoilt(ctx, s.counters.store, gen.AppendKey(nil, 1), mvcc.EncodeInt64(99999)), s.counters.scan(ctx), &count},
		"half a batch":       {spoilt(ctx, s.batch.store, gen.AppendKey(nil, 7), make([]byte, 100)), s.batch.scan(ctx), &count},
		"an edge":            {func() error { s.hub.edges[1] = s.hub.edges[1][1:]; return nil }, lastAudit(ctx, s.hub.audit), &audit},
		"the past":           {func() error { s.bank.moments.ring[0].sum++; return nil }, func() error { return s.bank.compare(ctx, s.bank.moments.ring[0]) }, &past},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if err := c.look(); !errors.As(err, c.as) {
			t.Errorf("%s goes unnoticed: %v", name, err)
		}
	}
}

func spoilt(ctx context.Context, s *store, key, value []byte) func() error {
	return func() error {
		return s.db.Update(ctx, func(tx *mvcc.Txn) error { return tx.Put(s.ks, key, value) })
	}
}

func lastAudit(ctx context.Context, audit func(context.Context) (Checksum, error)) func() error {
	return func() error { _, err := audit(ctx); return err }
}

func TestACurveThatGrowsAllTheTimeIsOutOfBounds(t *testing.T) {
	c := steady{"heap", unitBytes, func(s SoakSample) int64 { return s.Heap }, 10}
	level, rising := make([]SoakSample, 40), make([]SoakSample, 40)
	for i := range level {
		level[i].Heap, rising[i].Heap = int64(1000+i%7*100), int64(100*i)
	}
	if b := c.growth(level); !b.holds() {
		t.Errorf("a curve that goes up and down is out of bounds: %v", b)
	}
	if b := c.growth(rising); b.holds() {
		t.Errorf("a curve that rises is in bounds: %v", b)
	}
}
