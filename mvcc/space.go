package mvcc

import (
	"context"

	"github.com/sombradb/sombra/pagestore"
)

// Space says what the bytes of the database's files are for.
//
//	File = Data + History + Overhead + Free
type Space struct {
	File     int64 // length of the data file
	Data     int64 // pages of the data tree, large values included
	History  int64 // pages of superseded versions, for open snapshots and retention
	Overhead int64 // superblocks and bitmaps
	Free     int64 // to be used again, or to be cut off, by the next checkpoints
	Log      int64 // of the log's segments
	Temp     int64 // of temporary files
}

// Space returns where the bytes are at the newest checkpoint; it is cheap. What was committed after it is in the log.
func (db *DB) Space(ctx context.Context) (Space, error) {
	if !db.enter() {
		return Space{}, ErrClosed
	}
	defer db.leave()
	p, err := db.store.Space(ctx)
	if err != nil {
		return Space{}, db.pageError(err)
	}
	s := Space{
		File: p.File, Data: treeBytes(p.Trees[pagestore.DataTree]), History: historyBytes(p),
		Overhead: p.Superblocks + p.Bitmaps, Free: p.Free + p.Protected + p.Tail,
	}
	if db.log != nil {
		s.Log = db.log.Metrics().DiskBytes
	}
	s.Temp = db.tempBytes()
	return s, nil
}

// tempBytes returns the size of the temporary files. A database that is open read-only has none.
func (db *DB) tempBytes() int64 {
	if db.runs == nil {
		return 0
	}
	return db.runs.Bytes()
}

func treeBytes(t pagestore.TreeSpace) int64 { return t.Leaves + t.Deltas + t.Inner + t.Overflow }

func historyBytes(s pagestore.Space) int64 { return treeBytes(s.Trees[pagestore.HistoryTree]) }

// CompactProgress says how far a compaction has come, in pages.
type CompactProgress struct {
	Done, Left int64 // Left is an estimate; writers may make it grow
	Space      Space
}

// compactStepBytes is about how much one checkpoint of a compaction rewrites.
const compactStepBytes = 16 << 20

// Compact makes the data file as small as it can be: it fills sparse pages, moves everything to the front and cuts the
// rest off, in a series of checkpoints. Readers and writers go on, each step is crash-safe, and after an error or the
// end of ctx what was done stays done. progress, unless nil, is called after each step. Ordinary checkpoints give
// free space back, too, only more slowly.
func (db *DB) Compact(ctx context.Context, progress func(CompactProgress)) error {
	k := db.store.NewCompaction()
	pages := max(compactStepBytes/db.store.Metrics().PageSize, 1)
	for {
		var p pagestore.CompactProgress
		err := db.request(ctx, func(ctx context.Context, cp *pagestore.Checkpoint) (err error) {
			p, err = k.Step(ctx, cp, pages)
			return err
		})
		if err != nil {
			return err
		}
		if progress != nil {
			s, err := db.Space(ctx)
			if err != nil {
				return err
			}
			progress(CompactProgress{Done: p.Done, Left: p.Left, Space: s})
		}
		if p.Finished {
			return nil
		}
	}
}
