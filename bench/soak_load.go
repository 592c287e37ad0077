package bench

import (
	"context"
	"errors"
	"time"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// soaking is the soak workload while it runs: parts that do not share keys, so that each knows what it must find.
type soaking struct {
	db  *graph.DB
	cfg SoakConfig

	reads, writes, scans, large, past *meter

	bank     *soakBank
	model    *soakModel
	counters *soakCounters
	batch    *soakBatch
	hub      *soakHub
}

// soakWriters is the number of writers of most parts: one for each isolation level.
const soakWriters = len(isolationLevels)

func newSoak(ctx context.Context, db *graph.DB, cfg SoakConfig) (*soaking, error) {
	s := &soaking{
		db: db, cfg: cfg, reads: newMeter(), writes: newMeter(), scans: newMeter(), large: newMeter(), past: newMeter(),
	}
	var errs [5]error
	s.bank, errs[0] = newSoakBank(ctx, s)
	s.model, errs[1] = newSoakModel(ctx, s)
	s.counters, errs[2] = newSoakCounters(ctx, s)
	s.batch, errs[3] = newSoakBatch(ctx, s)
	s.hub, errs[4] = newSoakHub(ctx, s)
	return s, errors.Join(errs[:]...)
}

func (s *soaking) keyspace(ctx context.Context, name string) (*store, error) {
	ks, err := s.db.Store().Keyspace(ctx, name)
	return &store{db: s.db.Store(), ks: ks}, err
}

// kind is a name for what a meter measures.
type kind struct {
	name  string
	meter *meter
}

func (s *soaking) kinds() []kind {
	return []kind{{"read", s.reads}, {"write", s.writes}, {"scan", s.scans}, {"large transaction", s.large}, {"read of the past", s.past}}
}

func (s *soaking) sample(at time.Duration) SoakSample {
	out := SoakSample{StorageSample: readStorage(s.db.Store(), at)}
	out.Reads, out.Read = s.reads.read()
	out.Writes, out.Write = s.writes.read()
	m := s.db.Store().Metrics()
	out.Retries, out.Deadlocks = m.Retries, m.Deadlocks
	return out
}

// Periods of what happens now and then.
const (
	soakScanEvery       = 250 * time.Millisecond
	soakLargeEvery      = 2 * time.Second
	soakMomentEvery     = 200 * time.Millisecond
	soakPastEvery       = 100 * time.Millisecond
	soakCheckpointEvery = time.Second
	soakWriteEvery      = time.Millisecond // of counters and edges, so that they do not take all of the time
)

// often shortens periods for short runs, so that everything happens in them.
func (s *soaking) often(every time.Duration) time.Duration {
	return max(min(every, s.cfg.Duration/10), time.Millisecond)
}

// work runs all parts until the time is over or an answer is wrong.
func (s *soaking) work(ctx context.Context) error {
	b := newBeside()
	for w := range soakWriters {
		b.loop(0, s.bank.transfer(ctx, w))
		b.loop(0, s.model.step(ctx, w))
		b.loop(soakWriteEvery, s.counters.add(ctx, w))
	}
	for w := range s.hub.workers {
		b.loop(soakWriteEvery, s.hub.step(ctx, w))
	}
	b.loop(s.often(soakScanEvery), s.bank.scan(ctx))
	b.loop(s.often(soakScanEvery), s.counters.scan(ctx))
	b.loop(s.often(soakScanEvery), s.batch.scan(ctx))
	b.loop(s.often(soakLargeEvery), s.batch.overwrite(ctx))
	b.loop(s.often(soakMomentEvery), s.bank.remember(ctx))
	b.loop(s.often(soakPastEvery), s.bank.recall(ctx))
	b.loop(s.often(soakCheckpointEvery), func() error { return s.db.Store().Checkpoint(ctx) })
	end := time.NewTimer(s.cfg.Duration)
	defer end.Stop()
	select {
	case <-end.C:
	case <-b.failed:
	case <-ctx.Done():
	}
	return errors.Join(b.stop(), context.Cause(ctx))
}

// audit reads everything back and compares it with what was acknowledged (B2).
func (s *soaking) audit(ctx context.Context) (sum Checksum, err error) {
	for _, part := range []func(context.Context) (Checksum, error){
		s.bank.audit, s.model.audit, s.counters.audit, s.batch.audit, s.hub.audit,
	} {
		partSum, err := part(ctx)
		if err != nil {
			return 0, err
		}
		sum += partSum
	}
	report, err := s.db.Check(ctx)
	return sum, errors.Join(err, errors.Join(report.Problems...), errors.Join(report.Store.Problems...))
}

// timed measures one operation.
func timed(m *meter, op func() error) error {
	start := time.Now()
	err := op()
	m.add(time.Since(start))
	return err
}

// levelOf returns the options of a part's writer.
func levelOf(part string, w int) *mvcc.TxnOptions {
	return &mvcc.TxnOptions{Isolation: isolationLevels[w%len(isolationLevels)], Label: "soak " + part}
}
