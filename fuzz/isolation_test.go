package fuzz

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sombradb/sombra/fuzz/kit"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var historyTxns = flag.Int("history.txns", 5_000, "transactions of each history that TestHistoriesKeepTheirLevel checks")

// epochTxns is how many transactions are checked at a time; each epoch has keys of its own.
const epochTxns = 100_000

// isolations maps the checker's levels to the engine's. ReadCommitted reads the
// newest commit at each operation, which is more than its name promises.
var isolations = map[kit.Level]mvcc.Isolation{
	kit.MonotonicView: mvcc.ReadCommitted, kit.Snapshot: mvcc.Snapshot,
	kit.Serializable: mvcc.Serializable, kit.StrictSerializable: mvcc.Serializable,
}

// Random transactions of several processes, of one level and of all levels
// mixed, beside checkpoints: the history that their clients saw is one that the levels allow,
// in real time and in the order of sessions, too.
func TestHistoriesKeepTheirLevel(t *testing.T) {
	shapes := map[string][]kit.Level{
		"read committed": {kit.MonotonicView}, "snapshot": {kit.Snapshot}, "serializable": {kit.StrictSerializable},
		"mixed": {kit.MonotonicView, kit.Snapshot, kit.StrictSerializable},
	}
	for name, levels := range shapes {
		for _, waiting := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/waiting %v", name, waiting), func(t *testing.T) {
				mem := vfs.NewMem()
				db, err := mvcc.Open("history.sombra", &mvcc.Options{FS: mem, MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				d := &historyDriver{t: t, db: db, waiting: waiting}
				if d.ks, err = db.Keyspace(context.Background(), "lists"); err != nil {
					t.Fatal(err)
				}
				for d.begun < *historyTxns {
					d.epoch(levels, min(epochTxns, *historyTxns-d.begun))
				}
				t.Logf("%d transactions: %d committed, %d aborted; %d refreshes, %d deadlocks, %d checkpoints; checked in %v",
					d.begun, d.committed.Load(), d.aborted.Load(), db.Metrics().Refreshes, db.Metrics().Deadlocks, db.Metrics().Checkpoints, d.checking.Round(time.Millisecond))
				if d.committed.Load() < int64(d.begun)/10 || d.committed.Load() == int64(d.begun) && levels[0] != kit.MonotonicView {
					t.Errorf("the history says little: %d of %d committed", d.committed.Load(), d.begun)
				}
			})
		}
	}
}

// historyDriver runs workloads against a database and checks what came back.
type historyDriver struct {
	t       *testing.T
	db      *mvcc.DB
	ks      *mvcc.Keyspace
	waiting bool
	disk    *vfs.Faulty // loses power; nil: it does not
	weak    bool        // an acknowledged commit may be lost with the power

	begun              int // of all epochs before
	checking           time.Duration
	committed, aborted atomic.Int64
}

const historyProcesses = 6

// epoch runs and checks so many transactions on keys of their own.
func (d *historyDriver) epoch(levels []kit.Level, txns int) {
	w := kit.Workload{
		Seed: uint64(d.begun), Processes: historyProcesses, FirstKey: kit.Key(d.begun) * 1000, Keys: 6, Lifetime: 40,
		Reads: 0.35, Ranges: 0.15, Held: 0.2, Levels: levels,
	}
	recorder := kit.NewRecorder()
	var left atomic.Int64
	left.Store(int64(txns))
	var wg sync.WaitGroup
	for p := range historyProcesses {
		g, err := w.Generator(p)
		if err != nil {
			d.t.Fatal(err)
		}
		process := recorder.Process()
		wg.Go(func() {
			for {
				n := left.Add(-1)
				if n < 0 {
					return
				}
				d.run(process, g.NextAt((txns-int(n))/historyProcesses))
				if n%2000 == 0 {
					if err := d.db.Checkpoint(context.Background()); err != nil {
						d.t.Errorf("checkpoint: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	d.begun += txns
	history, err := recorder.History()
	if err != nil {
		d.t.Fatal(err)
	}
	start := time.Now()
	report := kit.Check(history, kit.Options{RealTime: true, Sessions: true})
	d.checking += time.Since(start)
	if !report.OK() {
		d.t.Fatalf("%v", report)
	}
}

// run runs one transaction and records what its client sees.
func (d *historyDriver) run(p *kit.Process, program kit.Program) {
	p.Begin(program.Level)
	status := kit.Aborted
	defer func() {
		if status == kit.Committed {
			d.committed.Add(1)
		} else {
			d.aborted.Add(1)
		}
		if d.weak && status == kit.Committed {
			status = kit.Unknown
		}
		p.End(status)
	}()
	tx, err := d.db.Begin(context.Background(), &mvcc.TxnOptions{Isolation: isolations[program.Level], NoWait: !d.waiting})
	if err != nil {
		if !d.dead(err) {
			d.t.Errorf("begin: %v", err)
		}
		return
	}
	defer tx.Rollback()
	for _, op := range program.Ops {
		if err := d.operate(p, tx, op); err != nil {
			if !mvcc.IsRetryable(err) && !d.dead(err) {
				d.t.Errorf("%v: %v", op, err)
			}
			return
		}
		runtime.Gosched() // let others come between
	}
	switch err := tx.Commit(); {
	case err == nil:
		status = kit.Committed
	case d.dead(err):
		if errors.Is(err, mvcc.ErrCommitUnknown) { // any other error says that nothing was written
			status = kit.Unknown
		}
	case !mvcc.IsRetryable(err):
		d.t.Errorf("commit: %v", err)
	}
}

// dead reports whether an error comes of the power that is off.
func (d *historyDriver) dead(err error) bool {
	return d.disk != nil && d.disk.IsOff() && (errors.Is(err, vfs.ErrPowerOff) || errors.Is(err, mvcc.ErrFailed))
}

func (d *historyDriver) operate(p *kit.Process, tx *mvcc.Txn, op kit.Op) error {
	switch {
	case op.Kind == kit.OpReadRange:
		rows, err := d.rows(tx, op)
		if err == nil {
			p.ReadRange(op.Key, op.End, rows)
		}
		return err
	case op.Kind == kit.OpAppend:
		p.Append(op.Key, op.Value)
		list, err := d.read(tx, op.Key, tx.Isolation() == mvcc.ReadCommitted || op.Value%2 == 0)
		if err != nil {
			return err
		}
		return tx.Put(d.ks, listKey(op.Key), binary.BigEndian.AppendUint64(list, uint64(op.Value)))
	case op.Held:
		return d.hold(p, tx, op)
	}
	list, err := d.read(tx, op.Key, false)
	if err == nil {
		p.Read(op.Key, values(list))
	}
	return err
}

// hold reads a list so that it stays until the commit: under a lock, or by writing back what was read.
func (d *historyDriver) hold(p *kit.Process, tx *mvcc.Txn, op kit.Op) error {
	locking := tx.Isolation() == mvcc.ReadCommitted || op.Key%2 == 0
	list, err := d.read(tx, op.Key, locking)
	if err == nil && !locking && len(list) > 0 {
		err = tx.Put(d.ks, listKey(op.Key), list)
	}
	if err != nil {
		return err
	}
	if locking || len(list) > 0 {
		p.ReadHeld(op.Key, values(list))
	} else {
		p.Read(op.Key, nil)
	}
	return nil
}

// read returns an encoded list, nil for an absent key.
func (d *historyDriver) read(tx *mvcc.Txn, key kit.Key, locking bool) (list []byte, err error) {
	if locking {
		list, err = tx.GetForUpdate(d.ks, listKey(key))
	} else {
		list, err = tx.Get(d.ks, listKey(key))
	}
	if errors.Is(err, mvcc.ErrNotFound) {
		return nil, nil
	}
	return list, err
}

func (d *historyDriver) rows(tx *mvcc.Txn, op kit.Op) (rows []kit.Row, err error) {
	r := mvcc.Range{Lo: listKey(op.Key), Hi: listKey(op.End)}
	scan := tx.Scan(d.ks, r)
	if op.Key%2 == 1 {
		scan = tx.Reverse(d.ks, r)
	}
	for item, err := range scan {
		if err != nil {
			return nil, err
		}
		rows = append(rows, kit.Row{Key: kit.Key(binary.BigEndian.Uint64(item.Key)), List: values(item.Value)})
	}
	return rows, nil
}

func listKey(k kit.Key) []byte { return binary.BigEndian.AppendUint64(nil, uint64(k)) }

func values(list []byte) (all []kit.Value) {
	for ; len(list) >= 8; list = list[8:] {
		all = append(all, kit.Value(binary.BigEndian.Uint64(list)))
	}
	return all
}
