package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
)

// smallDisk has limited space, which files take as they grow: what they have
// they can overwrite.
type smallDisk struct {
	mu      sync.Mutex
	left    int64
	size    map[string]int64
	created int // files
}

func newSmallDisk(room int64) *smallDisk { return &smallDisk{left: room, size: map[string]int64{}} }

func (d *smallDisk) add(room int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left += room
}

func (d *smallDisk) attempts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.created
}

func (d *smallDisk) decide(op vfs.Op) vfs.Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch op.Kind {
	case vfs.OpOpen:
		if op.Changes {
			d.created++
		}
	case vfs.OpRemove:
		d.left += d.size[op.Name]
		delete(d.size, op.Name)
	case vfs.OpWrite:
		wanted := max(0, op.Offset+int64(op.Length)-d.size[op.Name])
		granted := min(wanted, d.left)
		d.left -= granted
		d.size[op.Name] += granted
		if granted < wanted {
			return vfs.Fault{Err: syscall.ENOSPC, Short: max(0, op.Length-int(wanted-granted))}
		}
	}
	return vfs.Fault{}
}

// openOn opens a new log on a disk.
func openOn(t *testing.T, d *smallDisk, segmentSize int64) (*Log, *vfs.Mem) {
	t.Helper()
	mem := newMem(t)
	opts := smallOptions(vfs.NewFaulty(mem, d.decide))
	opts.SegmentSize = segmentSize
	l, _, err := Open(opts, 0, nil)
	must(t, err)
	return l, mem
}

// fillUp appends and syncs records of a size until one is refused for lack of
// space, with or without asking before.
func fillUp(t *testing.T, l *Log, size int, ask bool) (all []entry) {
	t.Helper()
	for i := range 10_000 {
		e := entry{kind: 1, ts: uint64(i), payload: bytes.Repeat([]byte{byte(i)}, size)}
		var err error
		if ask {
			err = l.Admit(bg, size)
		}
		if err == nil {
			e.end, err = l.Append(e.kind, e.ts, e.payload)
		}
		if err != nil {
			wantNoSpace(t, err)
			return all
		}
		e.lsn = e.end - LSN(recordSize(size))
		must(t, l.Sync(bg, e.end))
		must(t, l.Check())
		all = append(all, e)
	}
	t.Fatal("the disk never got full")
	return nil
}

func wantNoSpace(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrFailed) {
		t.Fatalf("%v", err)
	}
}

// A segment need not have all its blocks when it is put into use. If the disk
// is full when it is to get more, it ends where they end.
func TestSegmentEndsEarlyWhereTheDiskIsFull(t *testing.T) {
	for i, room := range []int64{1 << 20, 1<<20 + 123, 1<<20 + 200<<10, 2 << 20, 2<<20 + 700<<10} {
		synctest.Test(t, func(t *testing.T) {
			d := newSmallDisk(room)
			l, mem := openOn(t, d, 4<<20)
			all := fillUp(t, l, 30_000, i%2 == 0)
			if got := int64(len(all)) * recordBytes(30_000); got < room-segmentHeaderArea-recordBytes(30_000) {
				t.Errorf("only %d of %d bytes were used", got, room)
			}
			d.add(1 << 30)
			time.Sleep(spareRetry)
			must(t, l.Admit(bg, 30_000))
			all = append(all, put(t, l, 7, 30_000))
			must(t, l.Sync(bg, l.End()))
			must(t, l.Release(l.End()))
			if s := l.segs.mu.spares; len(s) == 0 || s[0].filled > room {
				t.Errorf("a recycled segment claims blocks that it never had: %+v", s)
			}
			image := mem.Crash(vfs.CrashConfig{})
			must(t, l.Close())
			for _, disk := range []*vfs.Mem{image, mem} {
				l, _, list := open(t, smallOptions(disk), all[len(all)-1].lsn)
				sameEntries(t, list, all[len(all)-1:])
				must(t, l.Close())
			}
		})
	}
}

func recordBytes(payload int) int64 { return int64(recordSize(payload)) }

// Between the failure to write zeros ahead and the news about the next segment, nothing may be appended that needs one.
func TestNothingIsAppendedOnTheChanceThatAFullDiskHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, release := newSmallDisk(1<<20), make(chan struct{})
		mem := newMem(t)
		opts := smallOptions(vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
			f := d.decide(op)
			if op.Kind == vfs.OpOpen && filepath.Base(op.Name) == segmentName(firstSegment+1) {
				f.Wait = release
			}
			return f
		}))
		opts.SegmentSize = 4 << 20
		l, _, err := Open(opts, 0, nil)
		must(t, err)
		fillUp(t, l, 30_000, false)
		close(release)
		must(t, l.Close())
	})
}

func TestLogOnAFullDiskClosesAndReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSmallDisk(1<<20 + 50<<10)
		l, mem := openOn(t, d, 4<<20)
		all := append(fillUp(t, l, 10_000, true), fillUp(t, l, 0, true)...) // no room for a mark either
		must(t, l.Close())
		l, _, list := open(t, smallOptions(mem), 0)
		sameEntries(t, list, all)
		must(t, l.Close())
	})
}

func TestFailureToWriteZerosAheadThatIsNotForSpaceIsFinal(t *testing.T) {
	mem := newMem(t)
	opts := smallOptions(vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpWrite && op.Offset == fillStep {
			return vfs.Fault{Err: syscall.EIO}
		}
		return vfs.Fault{}
	}))
	opts.SegmentSize = 4 << 20
	l, _, err := Open(opts, 0, nil)
	must(t, err)
	put(t, l, 1, 600<<10)
	if err := l.Sync(bg, l.End()); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}

// A spare that is made while the flusher waits has blocks for the records that
// wait, and what does not fit those is refused.
func TestSegmentMadeInAHurryHasBlocksForWhatWaits(t *testing.T) {
	for rest := int64(30 << 10); rest < minSegmentSize; rest += 4999 {
		synctest.Test(t, func(t *testing.T) {
			l, mem := openOn(t, newSmallDisk(minSegmentSize+rest), minSegmentSize)
			var all []entry
			for i := range 8 { // without Admit: two of them lie beyond the segment, and nobody has asked for the next
				all = append(all, put(t, l, i, 10_000))
			}
			must(t, l.Sync(bg, l.End()))
			all = append(all, fillUp(t, l, 1000, rest%2 == 0)...)
			must(t, l.Close())
			l, _, list := open(t, smallOptions(mem), 0)
			sameEntries(t, list, all)
			must(t, l.Close())
		})
	}
}

func TestFillStopsOnceWhoWaitsHasEnough(t *testing.T) {
	const size = 4 << 20
	never := func(int64) bool { return false }
	for name, c := range map[string]struct {
		room, wanted int64
		settle       func(int64) bool
		filled       int64
		fails, lacks bool
	}{
		"nobody waits":          {room: size, settle: never, filled: size},
		"a little is wanted":    {room: size, wanted: 5000, settle: never, filled: fillStep},
		"more is wanted":        {room: size, wanted: fillStep + 1, settle: never, filled: 2 * fillStep},
		"full":                  {room: 3000, wanted: 5000, settle: never, fails: true},
		"full, and not settled": {room: 8000, wanted: 5000, settle: never, fails: true},
		"full, but settled":     {room: 8000, wanted: 5000, settle: func(n int64) bool { return n == 8000 }, filled: 8000, lacks: true},
	} {
		t.Run(name, func(t *testing.T) {
			mem, d := newMem(t), newSmallDisk(c.room)
			must(t, mem.MkdirAll("/db/wal", dirPerm))
			opts := smallOptions(vfs.NewFaulty(mem, d.decide))
			opts.SegmentSize = size
			s, err := createSegment(&opts, 1, func() int64 { return c.wanted }, c.settle)
			if c.fails {
				if _, left := mem.Stat(segmentPath(&opts, 1)); !isNoSpace(err) || !errors.Is(left, fs.ErrNotExist) {
					t.Fatalf("%v, the file: %v", err, left)
				}
				return
			}
			must(t, err)
			defer s.file.Close()
			if s.filled != c.filled || (s.lack != nil) != c.lacks || d.size[filepath.Clean(segmentPath(&opts, 1))] != c.filled {
				t.Errorf("%+v, on the disk: %v", s, d.size)
			}
		})
	}
}

// Committers that wait in Admit first never run the log into the wall, and go
// on at the first call once there is room.
func TestCommittersOnAFullDiskAreRefusedAndGoOn(t *testing.T) {
	step := int64(17 << 10)
	if testing.Short() {
		step = 70 << 10
	}
	for room := int64(minSegmentSize); room < 400<<10; room += step {
		t.Run(fmt.Sprint(room), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { crowdOnASmallDisk(t, room) }) })
	}
}

func crowdOnASmallDisk(t *testing.T, room int64) {
	d := newSmallDisk(room)
	l, mem := openOn(t, d, minSegmentSize)
	var acked sync.Map
	commit := func(w, i int) error {
		payload := fmt.Appendf(nil, "%d/%d%*s", w, i, 300+i*577%1500, "")
		if err := l.Admit(bg, len(payload)); err != nil {
			return err
		}
		end, err := l.Append(1, 1, payload)
		if err != nil {
			return err
		}
		must(t, l.Sync(bg, end))
		acked.Store(string(payload), true)
		return nil
	}
	var crowd sync.WaitGroup
	for w := range 4 {
		crowd.Go(func() {
			for i := range 300 {
				if err := commit(w, i); err != nil && (!errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC)) {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	crowd.Wait()
	d.add(1 << 30)
	time.Sleep(spareRetry)
	must(t, commit(9, 9))
	must(t, l.Check())
	must(t, l.Close())
	l, _, list := open(t, smallOptions(mem), 0)
	for _, e := range list {
		acked.Delete(string(e.payload))
	}
	acked.Range(func(key, _ any) bool { t.Errorf("%.10q was acknowledged and is gone", key); return true })
	must(t, l.Close())
}

// The first call after there is room again must not tell of the time before it.
func TestAdmitWaitsForANewAttemptWhenTheLastOneIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSmallDisk(minSegmentSize + 100)
		l, _ := openOn(t, d, minSegmentSize)
		fillUp(t, l, 5000, true)
		before := d.attempts()
		for range 5 {
			wantNoSpace(t, l.Admit(bg, 5000)) // no new attempt yet: it would not be worth it
		}
		synctest.Wait()
		if n := d.attempts() - before; n != 0 {
			t.Errorf("%d attempts within %v of a failed one", n, spareRetry)
		}
		time.Sleep(time.Hour)
		if n := d.attempts() - before; n != 1 {
			t.Errorf("%d attempts instead of the one that was asked for", n)
		}
		wantNoSpace(t, l.Admit(bg, 5000)) // tells of the attempt it has waited for
		if n := d.attempts() - before; n != 2 {
			t.Errorf("%d attempts", n)
		}
		time.Sleep(time.Hour)
		d.add(1 << 20)
		must(t, l.Admit(bg, 5000))
		put(t, l, 1, 5000)
		must(t, l.Close())
	})
}

// Append cannot wait, but whoever asks is not forgotten.
func TestRefusedAppendAsksForAnAttemptThatHealsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newSmallDisk(minSegmentSize + 100)
		l, _ := openOn(t, d, minSegmentSize)
		fillUp(t, l, 5000, true)
		d.add(1 << 20)
		_, err := l.Append(1, 1, make([]byte, 5000)) // too early for an attempt
		wantNoSpace(t, err)
		time.Sleep(spareRetry)
		synctest.Wait()
		put(t, l, 1, 5000)
		must(t, l.Close())
	})
}

// Records that were admitted together may need more room than there is. None
// of them may be appended before it is known whether there can be more.
func TestRecordsAdmittedTogetherDoNotOverrunAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := openOn(t, newSmallDisk(minSegmentSize+100), minSegmentSize)
		for i := range 5 {
			put(t, l, i, 10_000)
		}
		must(t, l.Admit(bg, 6000))
		must(t, l.Admit(bg, 6000))
		put(t, l, 5, 6000)
		_, err := l.Append(1, 1, make([]byte, 6000))
		wantNoSpace(t, err)
		must(t, l.Sync(bg, l.End()))
		must(t, l.Close())
	})
}

// Spares are made one after the other, as the flusher uses them: who waits for
// the one after the next must get it moving.
func TestAdmitFarAheadOfTheFlusherIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, g, _ := gated(t, nil)
		ahead := func() {
			for i := range 8 {
				put(t, l, i, 14_000)
			}
		}
		ahead()
		must(t, l.Admit(bg, 14_000)) // nobody flushes

		release, synced := make(chan struct{}), make(chan error, 1)
		g.set(vfs.OpSyncData, hang(release))
		put(t, l, 1, 10)
		end := l.End()
		go func() { synced <- l.Sync(cancellable(t), end) }()
		synctest.Wait()
		ahead()
		admitted := make(chan error, 1)
		go func() { admitted <- l.Admit(bg, 14_000) }() // the flush under way does not see these records
		synctest.Wait()
		close(release)
		must(t, <-synced)
		must(t, <-admitted)
		must(t, l.Close())
	})
}

func TestAdmitThatWaitsForASegmentEndsWithTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(l *Log)
		want error
	}{
		"fail":  {func(l *Log) { l.fail(syscall.EIO) }, ErrFailed},
		"close": {func(l *Log) { go l.Close() }, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, g, _ := gated(t, nil)
				for i := range 4 {
					put(t, l, i, 14_000)
				}
				release := make(chan struct{})
				g.set(vfs.OpTruncate, hang(release)) // the spare is never finished
				admitted := make(chan error, 1)
				go func() { admitted <- l.Admit(bg, 14_000) }()
				synctest.Wait()
				select {
				case err := <-admitted:
					t.Errorf("admitted: %v", err)
				default:
				}
				c.do(l)
				if err := <-admitted; !errors.Is(err, c.want) {
					t.Error(err)
				}
				close(release)
				_ = l.Close()
			})
		})
	}
}

func TestNoSpaceErrorMatchesTheSystemsOnlyForAFullDisk(t *testing.T) {
	for cause, want := range map[error]bool{syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EIO: false} {
		err := error(&detailError{sentinel: ErrNoSpace, cause: &os.PathError{Op: "write", Err: cause}})
		if !errors.Is(err, ErrNoSpace) || !errors.Is(err, cause) || errors.Is(err, syscall.ENOSPC) != want {
			t.Errorf("%v", err)
		}
	}
	if errors.Is(detailf(ErrTooLarge, "x"), syscall.ENOSPC) {
		t.Error("any error is taken for a full disk")
	}
}
