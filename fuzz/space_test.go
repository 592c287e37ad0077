package fuzz

import (
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// growBudget is a disk with limited space on which overwriting is free, unlike
// on a copy-on-write file system, which vfs.DiskBudget stands for.
type growBudget struct {
	mu struct {
		sync.Mutex
		left int64
		end  map[string]int64 // what each file has taken
	}
}

func newGrowBudget(bytes int64) *growBudget {
	b := &growBudget{}
	b.mu.left, b.mu.end = bytes, map[string]int64{}
	return b
}

// Add gives more space.
func (b *growBudget) Add(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.left += bytes
}

// Decide is the function for vfs.NewFaulty.
func (b *growBudget) Decide(op vfs.Op) vfs.Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch op.Kind {
	case vfs.OpWrite:
		return b.writeLocked(op)
	case vfs.OpTruncate:
		if freed := b.mu.end[op.Name] - op.Offset; freed > 0 {
			b.mu.left += freed
			b.mu.end[op.Name] = op.Offset
		}
	case vfs.OpRemove:
		b.mu.left += b.mu.end[op.Name]
		delete(b.mu.end, op.Name)
	case vfs.OpRename:
		b.mu.left += b.mu.end[op.NewName]
		b.mu.end[op.NewName] = b.mu.end[op.Name]
		delete(b.mu.end, op.Name)
	}
	return vfs.Fault{}
}

// writeLocked takes space as far as there is some. REQUIRES: mu.
func (b *growBudget) writeLocked(op vfs.Op) vfs.Fault {
	wanted := max(0, op.Offset+int64(op.Length)-b.mu.end[op.Name])
	granted := min(wanted, b.mu.left)
	b.mu.left -= granted
	b.mu.end[op.Name] += granted
	if granted == wanted {
		return vfs.Fault{}
	}
	return vfs.Fault{Err: syscall.ENOSPC, Short: max(0, op.Length-int(wanted-granted))}
}

// diskSpace is a disk that gets full.
type diskSpace interface {
	Add(bytes int64)
	Decide(op vfs.Op) vfs.Fault
}

func TestAFullDiskLetsCommitsGoOnOnceThereIsRoom(t *testing.T) {
	for name, test := range map[string]struct {
		limit func(bytes int64) diskSpace
		goOn  bool // commits must go on, at least at times
	}{
		"overwriting is free":    {func(n int64) diskSpace { return newGrowBudget(n) }, true},
		"overwriting takes room": {func(n int64) diskSpace { return vfs.NewDiskBudget(n) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			went, failed := fillDisks(t, test.limit)
			t.Logf("commits went on %d times, the database asked to be reopened %d times", went, failed)
			if went == 0 && test.goOn {
				t.Error("commits never went on")
			}
		})
	}
}

// fillDisks fills disks of many sizes and counts how it went on.
func fillDisks(t *testing.T, limit func(bytes int64) diskSpace) (went, failed int) {
	step := int64(40 << 10)
	if *faultEvery {
		step = 1 << 10
	}
	for room := int64(0); room < 600<<10; room += step {
		synctest.Test(t, func(t *testing.T) {
			if fillDisk(t, limit(room)) {
				went++
			} else {
				failed++
			}
		})
	}
	return went, failed
}

// fillDisk runs into the end of the disk's space, then makes room, and reports
// whether commits went on in the same opening.
func fillDisk(t *testing.T, space diskSpace) (wentOn bool) {
	r := &faultRun{t: t, mem: newDisk(t), h: newHistory(), cause: syscall.ENOSPC}
	r.disk = vfs.NewFaulty(r.mem, space.Decide)
	r.hit.Store(&vfs.Op{})
	db, err := mvcc.Open(dbPath, options(r.disk))
	r.clear(err)
	if err == nil {
		for seed := range uint64(10) {
			for _, err := range crowd(seed).run(bg, db, r.h) {
				r.clear(err)
			}
		}
		space.Add(1 << 30)
		wentOn = r.accepts(db)
		r.goesOn(db)
		r.clear(db.Close())
	}
	r.heal()
	return wentOn
}

// accepts reports whether the database accepts a commit. It may need to notice
// first that there is room again, but not for long.
func (r *faultRun) accepts(db *mvcc.DB) bool {
	r.t.Helper()
	for range 5 {
		_, err := db.Keyspace(bg, "more")
		if err == nil {
			return true
		}
		r.clear(err)
		if errors.Is(err, mvcc.ErrFailed) {
			return false
		}
		time.Sleep(time.Second)
	}
	r.t.Fatal("there is room again, and commits are refused without asking to reopen")
	return false
}
