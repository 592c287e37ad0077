package pagestore

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

func openAt(t fataler, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open("db", Options{FS: fs, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// damage overwrites bytes of the file.
func damage(t fataler, fs vfs.FS, off int64, b []byte) {
	t.Helper()
	f, err := fs.OpenFile("db", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOlderSuperblockStaysUsable damages the newest superblock while a later checkpoint has written everything but its
// own superblock: the version before must still be whole (I2), right after opening as well.
func TestOlderSuperblockStaysUsable(t *testing.T) {
	h := newHistory(6)
	for n := 1; n < len(h.steps); n++ {
		for _, reopen := range []bool{false, true} {
			t.Run(fmt.Sprintf("checkpoint %d reopened %v", n, reopen), func(t *testing.T) { h.fallBack(t, n, reopen) })
		}
	}
}

func (h *history) fallBack(t *testing.T, n int, reopen bool) {
	mem := vfs.NewMem()
	armed := false
	fs := vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		super := op.Kind == vfs.OpWrite && op.Offset < 2*4096
		return vfs.Fault{PowerOff: armed && super}
	})
	s, err := Create("db", testID, Options{FS: fs, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := step(s, h.steps[i], uint64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if reopen {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, fs)
	}
	slot := s.mu.durable.slot
	armed = true
	if err := step(s, h.steps[n], uint64(n+1)); !errors.Is(err, vfs.ErrPowerOff) {
		t.Fatal(err)
	}
	_ = s.Close()
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	damage(t, image, int64(slot*4096)+100, []byte{0xff, 0xff})
	old := openAt(t, image)
	defer func() { _ = old.Close() }()
	if at := old.View().Meta().LogLSN; at != uint64(n-1) {
		t.Fatalf("opened at %d, want %d", at, n-1)
	}
	mustCheck(t, old)
	compareScan(t, old.View(), DataTree, h.states[n-1])
}

// TestPowerLossAfterAFailedSync reopens after a sync failed, when the system shows what the disk does not have, goes on,
// and cuts the power at every change.
func TestPowerLossAfterAFailedSync(t *testing.T) {
	h := newHistory(4)
	for nth := int64(2); ; nth++ {
		reached := false
		for cut := range int64(12) {
			reached = h.failSyncThenCut(t, nth, cut) || reached
		}
		if !reached {
			return
		}
	}
}

func (h *history) failSyncThenCut(t *testing.T, nth, cut int64) (reached bool) {
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, vfs.FailNth(vfs.OpSyncData, nth, syscall.EIO))
	at, err := h.run(faulty)
	if err == nil {
		return false
	}
	if !errors.Is(err, ErrFailed) {
		t.Fatalf("failed sync %d: %v", nth, err)
	}
	next := vfs.NewFaulty(mem, nil)
	next.CutAt(cut)
	low := at
	if s, err := Open("db", Options{FS: next, CacheBytes: minCache}); err == nil {
		low = int(s.View().Meta().LogLSN)
		at = low
		for at < len(h.steps) && step(s, h.steps[at], uint64(at+1)) == nil {
			at++
		}
		low = at
		_ = s.Close()
	}
	for seed := range uint64(4) {
		for name, image := range crashImages(mem, seed) {
			t.Run(fmt.Sprintf("sync %d cut %d %s", nth, cut, name), func(t *testing.T) { h.verifyImage(t, image, low) })
		}
	}
	return true
}

func TestOpenNamesWhatItFound(t *testing.T) {
	mem := vfs.NewMem()
	write := func(name string, b []byte) {
		f, err := mem.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	sb := superblock{pageSize: 4096, id: testID, sequence: 1, end: 2, live: 2}
	good := append(sb.encode(), sb.encode()...)
	newer := superWithVersion(good, 7)
	if err := mem.MkdirAll("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	write("empty", nil)
	write("text", []byte("hello, I am a text"))
	write("foreign", pattern(100_000, 1))
	write("newer", newer)
	write("short", good[:5000])
	write("cut", superOf(superblock{pageSize: 8192, id: testID, sequence: 1, end: 5, live: 3}, 8192))
	write("both", append(append([]byte(superMagic), pattern(20_000, 2)...), 0))
	for name, want := range map[string]error{
		"dir": ErrNotDatabase, "empty": ErrNotDatabase, "text": ErrNotDatabase, "foreign": ErrNotDatabase,
		"newer": ErrVersion, "short": ErrCorrupt, "cut": ErrCorrupt, "both": ErrCorrupt, "absent": os.ErrNotExist,
	} {
		if _, err := Open(name, Options{FS: mem}); !errors.Is(err, want) {
			t.Errorf("Open(%s) = %v, want %v", name, err, want)
		} else {
			t.Log(err)
		}
	}
	var trunc *TruncatedError
	if _, err := Open("cut", Options{FS: mem}); !errors.As(err, &trunc) || trunc.Need != 5*8192 {
		t.Errorf("truncated file: %v", err)
	}
	var version *VersionError
	if _, err := Open("newer", Options{FS: mem}); !errors.As(err, &version) || version.Found != 7 {
		t.Errorf("newer file: %v", err)
	}
}

// superOf returns a file of two pages that starts with the superblock.
func superOf(sb superblock, pageSize int) []byte {
	b := make([]byte, 2*pageSize)
	copy(b, sb.encode())
	return b
}

func superWithVersion(file []byte, version byte) []byte {
	b := append([]byte(nil), file...)
	for _, off := range []int{0, 4096} {
		b[off+sbVersion] = version
		seal(b[off:off+superSize], 0)
	}
	return b
}

func TestCreateRefusesAnExistingFile(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, []Edit{{Key: []byte("a"), Value: []byte("b")}})
	if _, err := Create("db", testID, Options{FS: mem}); !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	if _, _, found, err := s.View().Get(DataTree, []byte("a"), nil); !found || err != nil {
		t.Fatal(found, err)
	}
}

func TestReadOnlyStoreWritesNothing(t *testing.T) {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	commit(t, s, []Edit{{Key: []byte("a"), Value: []byte("b")}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	changes := vfs.NewFaulty(mem, nil)
	r, err := Open("db", Options{FS: changes, ReadOnly: true, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin(); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	mustCheck(t, r)
	if v, _, found, err := r.View().Get(DataTree, []byte("a"), nil); string(v) != "b" || !found || err != nil {
		t.Fatal(found, err)
	}
	if err := r.Close(); err != nil || changes.Changes() != 0 {
		t.Fatalf("%d changes, %v", changes.Changes(), err)
	}
}

func TestUseAfterCloseIsAnError(t *testing.T) {
	s := mustCreate(t, vfs.NewMem(), 4096)
	v := commit(t, s, []Edit{{Key: []byte("a"), Value: pattern(9000, 1)}, {Key: []byte("b")}})
	c, fresh := v.Cursor(DataTree), v.Cursor(DataTree)
	if !c.First() {
		t.Fatal(c.Err())
	}
	open, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if string(c.Key()) != "a" {
		t.Fatal("the pinned leaf went away")
	}
	if _, err := c.Value(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	c.Close()
	if fresh.First() || !errors.Is(fresh.Err(), ErrClosed) {
		t.Fatal(fresh.Err())
	}
	_, _, _, getErr := v.Get(DataTree, []byte("a"), nil)
	_, beginErr := s.Begin()
	_, commitErr := open.Commit(Meta{})
	_, checkErr := s.Check(t.Context(), nil)
	for i, err := range []error{getErr, beginErr, commitErr, checkErr, s.Close()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
