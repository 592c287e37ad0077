package bench

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// Pace of the reader's point reads: few enough to leave the processors to the writers.
const (
	pointReadsEvery   = 5 * time.Millisecond
	pointReadsAtATime = 10
)

// pointReads reads some records, the first of which is the next of all, and compares them.
func (r *LongReaderResult) pointReads(tx *mvcc.Txn, s *store) error {
	for range pointReadsAtATime {
		n := gen.Mix(uint64(r.PointReads)) % uint64(r.Config.Records)
		key, want := recordOf(n, 0, r.Config.ValueSize)
		got, err := tx.Get(s.ks, key)
		if err != nil {
			return fmt.Errorf("bench: record %d of the long reader: %w", n, err)
		}
		if !bytes.Equal(got, want) {
			return &RecordError{Number: n, Got: got, Want: want}
		}
		r.PointReads++
	}
	return nil
}

// RecordError reports a record that is not what it must be: the engine has a fault.
type RecordError struct {
	Number    uint64
	Got, Want []byte
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("bench: audit failed: record %d is %.40x, want %.40x", e.Number, e.Got, e.Want)
}

// mostCheckpoints ends the wait for a file that does not settle, and quietCheckpoints is how many must change nothing:
// one looks at an eighth of the history at least.
const (
	mostCheckpoints  = 500
	quietCheckpoints = 9
)

// settle makes checkpoints until neither the size of the file nor the history changes any more. All records have the given
// version. It returns how many checkpoints it took until the history had its least size, and the file.
func (s *store) settle(ctx context.Context, version uint64, valueSize int) (history, file int, err error) {
	before := s.db.Metrics()
	for n := 1; n <= max(history, file)+quietCheckpoints && n <= mostCheckpoints; n++ {
		if err := s.touchAndCheckpoint(ctx, version, valueSize); err != nil {
			return 0, 0, err
		}
		now := s.db.Metrics()
		if now.HistoryRecords != before.HistoryRecords {
			history = n
		}
		if now.Pages.FileBytes != before.Pages.FileBytes {
			file = n
		}
		before = now
	}
	return history, file, nil
}

// touchAndCheckpoint writes record 0 again and makes a checkpoint: one with nothing to merge would do nothing, and leave
// history and free pages where they are.
func (s *store) touchAndCheckpoint(ctx context.Context, version uint64, valueSize int) error {
	if err := s.putVersion(ctx, []uint64{0}, version, valueSize); err != nil {
		return err
	}
	return s.db.Checkpoint(ctx)
}

// drain shows what checkpoints do once the reader has gone.
func (r *LongReaderResult) drain(ctx context.Context, s *store) (err error) {
	r.Config.note("longreader: the reader has gone")
	r.Drained, r.Shrunk, err = s.settle(ctx, uint64(r.Config.Rounds), r.Config.ValueSize)
	r.Closed = readStorage(s.db, 0)
	return err
}

// smallFiles is what files may have beyond any bound: room that does not depend on the size of the data.
const smallFiles = 8 << 20

// historyRecordSize is the size of a superseded version in the history tree: the grouped key of keyspace and record,
// timestamp, end and kind (docs/format.md), and the value.
func historyRecordSize(valueSize int) int64 {
	const keyspaceSize, group = 4, 8
	groups := (keyspaceSize + gen.KeySize + group - 1) / group
	return int64(groups*(group+1) + 8 + 8 + 1 + valueSize)
}

// bound compares the files with what data and history need.
func (r *LongReaderResult) bound() {
	r.LiveData = r.Config.Records * int64(gen.KeySize+r.Config.ValueSize)
	r.HistoryData = r.Config.Records * historyRecordSize(r.Config.ValueSize)
	r.Bounds = []Bound{
		{
			What: "file with the reader open, settled", Unit: unitBytes, Value: r.Settled.FileBytes,
			Limit: int64(1.3*float64(r.Loaded.LiveBytes)) + r.HistoryData*13/10 + smallFiles,
			How:   "1.3 x (pages in use after the load + one old version of each record as the history tree writes it) + 8 MiB",
		},
		{
			What: "history with the reader open, settled", Unit: "records", Value: r.Settled.History, Limit: r.Config.Records,
			How: "one old version of each record",
		},
		{
			What: "most log", Unit: unitBytes, Limit: logBound(), How: "two checkpoints' worth and four segments",
			Value: highest(r.Samples, func(s StorageSample) int64 { return s.LogBytes }),
		},
		{What: "history after the reader's end", Unit: "records", Value: r.Closed.History, Limit: 0, How: "none"},
		{
			What: "file after the reader's end", Unit: unitBytes, Value: r.Closed.FileBytes,
			Limit: int64(1.3*float64(r.Loaded.LiveBytes)) + smallFiles, How: "1.3 x pages in use after the load + 8 MiB",
		},
	}
}

// logBound is the most that a log has on the disk: up to the older superblock, which is two checkpoints back at most,
// and segments that are half used or spare.
func logBound() int64 {
	maxLog := int64(mvcc.DefaultRecoveryTarget.Seconds() * mvcc.DefaultReplayRate)
	return 2*maxLog + 4*mvcc.DefaultSegmentSize
}
