package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// overwriting is the overwrite workload while it is measured.
type overwriting struct {
	*store
	res      *OverwriteResult
	meter    *meter
	pauses   *pauses
	versions []uint32 // of each record; written by the one writer of the record
	slow     atomic.Int64
	delay    time.Duration // that commits had been held back at the last sample
}

func (o *overwriting) measure(ctx context.Context) error {
	r := o.res
	r.Config.note("overwrite: loading %s MiB", mebibytes(r.DataBytes))
	if _, err := o.load(ctx, uint64(r.Keys), r.Config.ValueSize); err != nil {
		return err
	}
	if err := o.db.Checkpoint(ctx); err != nil {
		return err
	}
	r.Config.note("overwrite: random overwrites")
	before := o.db.Metrics()
	o.delay, o.pauses = before.AdmissionDelay, newPauses()
	var last time.Duration
	samples := sampleEvery(r.Config.Every, func(at time.Duration) OverwriteSample {
		s := o.sample(at, at-last)
		last = at
		return s
	})
	m, err := closed(ctx, r.Config.Writers, r.Config.Limit, o.overwrite())
	r.Samples = samples.stop()[1:] // the first one has nothing before it
	if err != nil {
		return err
	}
	r.Commits, r.Elapsed, r.PerSecond, r.Latency = m.Ops, m.Elapsed, m.PerSecond(), m.Latency()
	if err := o.db.Checkpoint(ctx); err != nil { // so that all that was committed is paid for
		return err
	}
	o.summarise(before, o.db.Metrics())
	for n, v := range o.versions {
		r.Checksum.Add(recordOf(uint64(n), uint64(v), r.Config.ValueSize))
	}
	return o.audit(ctx, r.Keys, r.Checksum)
}

func (o *overwriting) sample(at, since time.Duration) OverwriteSample {
	delay := o.db.Metrics().AdmissionDelay
	s := OverwriteSample{StorageSample: readStorage(o.db, at), AdmissionDelay: delay - o.delay}
	o.delay = delay
	s.Commits, s.Latency = o.meter.read()
	s.PerSecond = per(float64(s.Commits), since.Seconds())
	return s
}

// overwrite returns an operation that writes a record of the worker's part.
func (o *overwriting) overwrite() work {
	writers := uint64(o.res.Config.Writers)
	each := uint64(o.res.Keys) / writers
	return func(ctx context.Context, worker int, seq uint64) (Checksum, error) {
		start := time.Now()
		n := gen.Mix(opNumber(worker, seq))%each*writers + uint64(worker)
		version := uint64(o.versions[n]) + 1
		if err := o.putVersion(ctx, []uint64{n}, version, o.res.Config.ValueSize); err != nil {
			return 0, err
		}
		o.versions[n]++
		o.pauses.commit()
		took := time.Since(start)
		o.meter.add(took)
		if took > pauseLimit {
			o.slow.Add(1)
		}
		return 0, nil
	}
}

func (o *overwriting) summarise(before, after mvcc.Metrics) {
	r := o.res
	r.Peak = highest(r.Samples, func(s OverwriteSample) int64 { return s.RSS })
	r.Pauses, r.LongestPause = o.pauses.count.Load(), time.Duration(o.pauses.longest.Load())
	r.SlowCommits = o.slow.Load()
	r.AdmissionDelay = after.AdmissionDelay - before.AdmissionDelay
	r.PayloadBytes = r.Commits * int64(gen.KeySize+r.Config.ValueSize)
	r.FileWritten = after.Pages.WrittenBytes - before.Pages.WrittenBytes
	r.LogWritten = after.Log.Bytes - before.Log.Bytes
	r.Amplification = per(float64(after.CheckpointBytes-before.CheckpointBytes), float64(after.CheckpointPayload-before.CheckpointPayload))
	r.Total = per(float64(r.FileWritten+r.LogWritten), float64(r.PayloadBytes))
}
