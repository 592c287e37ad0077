package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// workload does one of each operation and stops at the first error.
func workload(fsys FS) (err error) {
	lock, err := fsys.Lock("LOCK", false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := fsys.MkdirAll("d", 0o755); err != nil {
		return err
	}
	f, err := fsys.OpenFile("d/f", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	steps := []func() error{
		func() error { _, err := f.WriteAt([]byte("hello"), 2); return err },
		func() error { _, err := f.ReadAt(make([]byte, 3), 1); return err },
		func() error { return f.Truncate(6) },
		func() error { _, err := f.Size(); return err },
		f.SyncData,
		f.Sync,
		func() error { return fsys.Rename("d/f", "d/g") },
		func() error { return fsys.SyncDir("d") },
		func() error { _, err := fsys.ReadDir("d"); return err },
		func() error { _, err := fsys.Stat("d/g"); return err },
		func() error { return fsys.Remove("d/g") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryOperationIsShown(t *testing.T) {
	var log []string
	disk := NewFaulty(NewMem(), func(op Op) Fault {
		line := fmt.Sprintf("%d %v %s", op.Index, op.Kind, op.Name)
		if op.NewName != "" {
			line += " to " + op.NewName
		}
		if op.Offset != 0 || op.Length != 0 {
			line += fmt.Sprintf(" @%d+%d", op.Offset, op.Length)
		}
		if op.Changes {
			line += fmt.Sprintf(" change %d", op.Change)
		}
		log = append(log, line)
		return Fault{}
	})
	must(t, workload(disk))
	want := `0 lock LOCK change 0
1 mkdir d change 1
2 open d/f change 2
3 write d/f @2+5 change 3
4 read d/f @1+3
5 truncate d/f @6+0 change 4
6 size d/f
7 syncdata d/f change 5
8 sync d/f change 6
9 rename d/f to d/g change 7
10 syncdir d change 8
11 readdir d
12 stat d/g
13 remove d/g change 9
14 close d/f
15 close LOCK`
	if got := strings.Join(log, "\n"); got != want {
		t.Errorf("operations:\n%s\nwant:\n%s", got, want)
	}
	if disk.Ops() != 16 || disk.Changes() != 10 {
		t.Errorf("%d operations, %d changes", disk.Ops(), disk.Changes())
	}
}

func TestOpKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := OpOpen; k <= OpClose; k++ {
		if name := k.String(); name == "" || seen[name] {
			t.Errorf("kind %d has the name %q", k, name)
		}
		seen[k.String()] = true
	}
	if got := OpKind(200).String(); got != "op 200" {
		t.Errorf("unknown kind: %q", got)
	}
}

func TestEachOperationCanFail(t *testing.T) {
	for index := int64(0); ; index++ {
		mem := NewMem()
		disk := NewFaulty(mem, FailAt(index, syscall.EIO))
		err := workload(disk)
		if disk.Ops() <= index {
			must(t, err)
			break
		}
		wantErr(t, fmt.Sprintf("operation %d", index), err, syscall.EIO)
		var path *fs.PathError
		if !errors.As(err, &path) || path.Path == "" {
			t.Errorf("operation %d: error %v names no file", index, err)
		}
		verify(t, mem)
	}
}

func TestFailFromFailsEverythingButClose(t *testing.T) {
	mem := NewMem()
	disk := NewFaulty(mem, FailFrom(5, syscall.EIO))
	wantErr(t, "workload", workload(disk), syscall.EIO)
	_, err := disk.Stat("/")
	wantErr(t, "later operation", err, syscall.EIO)
	verify(t, mem)
}

func TestFailNthCountsOneKind(t *testing.T) {
	disk := NewFaulty(NewMem(), FailNth(OpSync, 1, syscall.EIO))
	f := create(t, disk, "f")
	must(t, f.Sync())
	must(t, f.SyncData())
	wantErr(t, "second sync", f.Sync(), syscall.EIO)
	must(t, f.Sync())
}

func TestShortWriteLeavesTheFirstBytes(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		n     int
		err   error
		want  string
	}{
		{Fault{Short: 2}, 2, io.ErrShortWrite, "he"},
		{Fault{Short: 3, Err: syscall.ENOSPC}, 3, syscall.ENOSPC, "hel"},
		{Fault{Err: syscall.EIO}, 0, syscall.EIO, ""},
		{Fault{Short: 99, Err: syscall.EIO}, 5, syscall.EIO, "hello"},
		{Fault{}, 5, nil, "hello"},
	} {
		mem := NewMem()
		f := create(t, NewFaulty(mem, func(op Op) Fault {
			if op.Kind == OpWrite {
				return c.fault
			}
			return Fault{}
		}), "f")
		n, err := f.WriteAt([]byte("hello"), 0)
		if n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%+v: %d, %v", c.fault, n, err)
		}
		if got := get(t, mem, "f"); got != c.want {
			t.Errorf("%+v: file holds %q", c.fault, got)
		}
	}
}

func TestShortRead(t *testing.T) {
	mem := NewMem()
	put(t, mem, "f", "hello")
	disk := NewFaulty(mem, func(op Op) Fault {
		if op.Kind == OpRead {
			return Fault{Short: 2}
		}
		return Fault{}
	})
	buf := make([]byte, 5)
	n, err := create(t, disk, "f").ReadAt(buf, 0)
	if n != 2 || !errors.Is(err, io.ErrUnexpectedEOF) || string(buf[:2]) != "he" {
		t.Errorf("%d, %v, %q", n, err, buf)
	}
}

// M6: retrying a failed sync looks good and loses data.
func TestFailedSyncLosesTheWritesForGood(t *testing.T) {
	mem := NewMem()
	must(t, durableFile(t, mem, "f", "old").Close())
	f := create(t, NewFaulty(mem, FailNth(OpSync, 0, syscall.EIO)), "f")
	writeAt(t, f, "new", 0)
	wantErr(t, "sync", f.Sync(), syscall.EIO)
	must(t, f.Sync())
	if got := contentOf(t, f); got != "new" {
		t.Errorf("a read returns %q", got)
	}
	wantOutcomes(t, outcomes(t, mem, "f"), "old")

	writeAt(t, f, "again", 0)
	must(t, f.Sync())
	wantOutcomes(t, outcomes(t, mem, "f"), "again")
	must(t, f.Close())
	verify(t, mem)
}

func TestHungSyncReturnsWhenReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		mem := NewMem()
		f := create(t, NewFaulty(mem, hang(OpSyncData, release)), "f")
		writeAt(t, f, "text", 0)
		must(t, mem.SyncDir("/"))
		done := make(chan error, 1)
		go func() { done <- f.SyncData() }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("the sync did not hang: %v", err)
		default:
		}
		writeAt(t, f, "T", 0) // others go on
		close(release)
		must(t, <-done)
		if got := get(t, mem.Crash(CrashConfig{}), "f"); got != "Text" {
			t.Errorf("%q is durable", got)
		}
	})
}

func hang(kind OpKind, release chan struct{}) func(Op) Fault {
	return func(op Op) Fault {
		if op.Kind == kind {
			return Fault{Wait: release}
		}
		return Fault{}
	}
}

func TestPowerOffEndsWaits(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			fault := Fault{Delay: delay}
			if delay == 0 {
				fault.Wait = make(chan struct{})
			}
			disk := NewFaulty(NewMem(), func(op Op) Fault {
				if op.Kind == OpSync {
					return fault
				}
				return Fault{}
			})
			f := create(t, disk, "f")
			start := time.Now()
			done := make(chan error, 1)
			go func() { done <- f.Sync() }()
			synctest.Wait()
			disk.PowerOff()
			disk.PowerOff()
			wantErr(t, "held up sync", <-done, ErrPowerOff)
			if waited := time.Since(start); waited != 0 {
				t.Errorf("it took %v more", waited)
			}
		})
	}
}

func TestDelayedOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := NewFaulty(NewMem(), func(op Op) Fault {
			if op.Kind == OpSync {
				return Fault{Delay: 3 * time.Second}
			}
			return Fault{}
		})
		f := create(t, disk, "f")
		start := time.Now()
		must(t, f.Sync())
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the sync took %v", took)
		}
	})
}

// records writes and syncs one byte after the other and returns how many were
// acknowledged.
func records(fsys FS, n int) int {
	f, err := fsys.OpenFile("log", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil || fsys.SyncDir("/") != nil {
		return 0
	}
	for i := range n {
		if _, err := f.WriteAt([]byte{byte('a' + i)}, int64(i)); err != nil || f.SyncData() != nil {
			return i
		}
	}
	return n
}

func TestPowerCutAtEveryChange(t *testing.T) {
	counted := NewFaulty(NewMem(), nil)
	records(counted, 5)
	if counted.Changes() != 12 {
		t.Fatalf("%d changes", counted.Changes())
	}
	for k := range counted.Changes() + 1 {
		mem := NewMem()
		disk := NewFaulty(mem, nil)
		disk.CutAt(k)
		acked := records(disk, 5)
		if want := max(0, (int(k)-2)/2); acked != want {
			t.Errorf("cut at %d: %d records acknowledged, want %d", k, acked, want)
		}
		if disk.IsOff() != (k < counted.Changes()) {
			t.Errorf("cut at %d: power off is %v", k, disk.IsOff())
		}
		for which, image := range images(mem, 512) {
			text := get(t, image, "log")
			if acked > 0 && !strings.HasPrefix(text, "abcde"[:acked]) {
				t.Errorf("cut at %d, %s: %d acknowledged, image holds %q", k, which, acked, text)
			}
		}
	}
}

func TestReadsBeforeTheCutWork(t *testing.T) {
	disk := NewFaulty(NewMem(), nil)
	disk.CutAt(2)
	f := create(t, disk, "f")
	writeAt(t, f, "x", 0)
	if got := contentOf(t, f); got != "x" {
		t.Errorf("content %q", got)
	}
	wantErr(t, "the third change", f.Sync(), ErrPowerOff)
}

func TestNothingWorksWithoutPower(t *testing.T) {
	mem := NewMem()
	disk := NewFaulty(mem, func(op Op) Fault { return Fault{PowerOff: op.Kind == OpRemove} })
	f := create(t, disk, "f")
	lock, err := disk.Lock("LOCK", false)
	must(t, err)
	wantErr(t, "the operation that cuts", disk.Remove("f"), ErrPowerOff)
	_, readErr := f.ReadAt(nil, 0)
	_, writeErr := f.WriteAt(nil, 0)
	_, sizeErr := f.Size()
	_, openErr := disk.OpenFile("f", os.O_RDONLY, 0)
	_, listErr := disk.ReadDir("/")
	_, statErr := disk.Stat("f")
	_, lockErr := disk.Lock("g", true)
	for i, err := range []error{
		readErr, writeErr, sizeErr, openErr, listErr, statErr, lockErr,
		f.Truncate(0), f.Sync(), f.SyncData(), f.Close(), lock.Close(),
		disk.Rename("f", "g"), disk.MkdirAll("d", 0o755), disk.SyncDir("/"), disk.Remove("f"),
	} {
		wantErr(t, fmt.Sprintf("operation %d", i), err, ErrPowerOff)
	}
	verify(t, mem)
	if names, err := mem.ReadDir("/"); err != nil || fmt.Sprint(names) != "[LOCK f]" {
		t.Errorf("%v, %v", names, err)
	}
}

// M7, with writers at work while the power goes off.
func TestAcknowledgedWritesAreInTheImage(t *testing.T) {
	for range 50 {
		mem := NewMem()
		disk := NewFaulty(mem, nil)
		var acked [4]atomic.Int64
		var group sync.WaitGroup
		var files [len(acked)]File
		for w := range files {
			files[w] = create(t, disk, fmt.Sprint("f", w))
		}
		for w, f := range files {
			group.Go(func() {
				for i := int64(1); ; i++ {
					if _, err := f.WriteAt([]byte("x"), i-1); err != nil || f.SyncData() != nil {
						return
					}
					acked[w].Store(i)
					if i == 50 && w == 0 {
						disk.PowerOff()
					}
				}
			})
		}
		must(t, mem.SyncDir("/"))
		group.Wait()
		image := mem.Crash(CrashConfig{Mode: LoseAll})
		for w := range acked {
			if size := len(get(t, image, fmt.Sprint("f", w))); int64(size) < acked[w].Load() {
				t.Errorf("writer %d: %d acknowledged, %d in the image", w, acked[w].Load(), size)
			}
		}
	}
}

// busyFS calls a function while it works.
type busyFS struct {
	FS
	atWork func()
}

type busyFile struct {
	File
	atWork func()
}

func (b busyFS) Remove(string) error { b.atWork(); return nil }

func (b busyFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := b.FS.OpenFile(name, flag, perm)
	return busyFile{f, b.atWork}, err
}

func (b busyFile) WriteAt(p []byte, _ int64) (int, error) { b.atWork(); return len(p), nil }

func (b busyFile) Sync() error { b.atWork(); return nil }

// M7: an operation at work keeps the power from going off.
func TestPowerOffWaitsForOperationsAtWork(t *testing.T) {
	var disk *Faulty
	calls := 0
	disk = NewFaulty(busyFS{NewMem(), func() {
		calls++
		if disk.power.TryLock() {
			t.Error("the power could go off while an operation is at work")
			disk.power.Unlock()
		}
	}}, nil)
	f := create(t, disk, "f")
	must(t, disk.Remove("f"))
	writeAt(t, f, "x", 0)
	must(t, f.Sync())
	if calls != 3 {
		t.Errorf("%d operations looked", calls)
	}
}

func TestDiskGetsFullAndFreeAgain(t *testing.T) {
	mem := NewMem()
	budget := NewDiskBudget(7)
	f := create(t, NewFaulty(mem, budget.Decide), "f")
	writeAt(t, f, "hello", 0)
	n, err := f.WriteAt([]byte("world"), 5)
	if n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write over the limit: %d, %v", n, err)
	}
	n, err = f.WriteAt([]byte("world"), 5)
	if n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write to a full disk: %d, %v", n, err)
	}
	must(t, f.Sync())
	budget.Add(5)
	writeAt(t, f, "world", 5)
	if got := get(t, mem, "f"); got != "helloworld" {
		t.Errorf("%q", got)
	}
}
