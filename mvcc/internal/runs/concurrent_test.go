package runs

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// Readers find what is there or learn that the run was dropped, whenever that happens; the file goes with the last one.
func TestReadersAgainstDrop(t *testing.T) {
	mem := vfs.NewMem()
	d := openDir(t, mem)
	writes := numbered(200, 50)
	writes[100].Value = pattern(100, 5000)
	for round := range 60 {
		r := build(t, d, Options{block: 500}, writes...)
		var reads atomic.Int64
		var all sync.WaitGroup
		for reader := range 6 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(round), uint64(reader)))
				for readSome(t, r, random, reader%3) {
					if n := reads.Add(1); n == int64(round)+1 || n == int64(round)+2 {
						r.Drop() // amid the reads of the others, and often twice at once
					}
				}
			})
		}
		all.Wait()
		if d.Bytes() != 0 {
			t.Fatalf("round %d: %d bytes are left after %d reads", round, d.Bytes(), reads.Load())
		}
	}
	closeDir(t, d)
	wantNothing(t, mem)
}

// readSome reads in one of three ways, and reports false when the run was dropped.
func readSome(t *testing.T, r *Run, random *rand.Rand, way int) bool {
	var err error
	switch i := random.IntN(200); way {
	case 0:
		_, found, getErr := r.Get(nil, numberedKey(i))
		if err = getErr; err == nil && !found {
			t.Error("a key is not there")
		}
	case 1:
		c := r.Cursor()
		defer c.Close()
		err = scanFrom(c, i)
	default:
		c := Merge(r, r)
		defer c.Close()
		err = scanFrom(c, i)
	}
	if err != nil && !errors.Is(err, ErrDropped) {
		t.Error(err)
	}
	return err == nil
}

// scanFrom reads 40 writes in one of the directions.
func scanFrom(c moves, i int) error {
	ok, step := c.Seek(numberedKey(i)), c.Next
	if i%2 == 0 {
		step = c.Prev
	}
	for range 40 {
		if !ok {
			break
		}
		if _, err := c.Value(); err != nil {
			return err
		}
		ok = step()
	}
	return c.Err()
}

// Readers share a run without disturbing each other.
func TestConcurrentReaders(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	writes := numbered(500, 100)
	r := build(t, d, Options{block: 1000}, writes...)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c := r.Cursor()
			defer c.Close()
			i := 0
			for ok := c.SeekFirst(); ok; ok = c.Next() {
				value, err := c.Value()
				if err != nil || string(value) != string(writes[i].Value) {
					t.Errorf("write %d: %v", i, err)
					return
				}
				got, found, err := r.Get(nil, writes[len(writes)-1-i].Key)
				if err != nil || !found || string(got.Value) != string(writes[len(writes)-1-i].Value) {
					t.Errorf("write %d from the end: %v, %v", i, found, err)
					return
				}
				i++
			}
			if c.Err() != nil || i != len(writes) {
				t.Errorf("ended after %d writes: %v", i, c.Err())
			}
		})
	}
	all.Wait()
}

// hang returns a disk whose reads hang once told to, until they are let go.
func hang() (fsys vfs.FS, mem *vfs.Mem, hanging *atomic.Bool, arrived, letGo chan struct{}) {
	mem, hanging = vfs.NewMem(), &atomic.Bool{}
	arrived, letGo = make(chan struct{}), make(chan struct{})
	fsys = vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
		if op.Kind != vfs.OpRead || !hanging.Load() {
			return vfs.Fault{}
		}
		arrived <- struct{}{}
		return vfs.Fault{Wait: letGo}
	})
	return fsys, mem, hanging, arrived, letGo
}

// A read that is under way at Drop keeps the file, returns what it should, and then the file goes.
func TestAReadUnderWayOutlivesDrop(t *testing.T) {
	fsys, mem, hanging, arrived, letGo := hang()
	d := openDir(t, fsys)
	r := build(t, d, Options{}, numbered(10, 100)...)
	hanging.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		wantGetQuietly(t, r, 3)
	}()
	<-arrived
	hanging.Store(false)
	r.Drop()
	if _, err := r.Has(numberedKey(3)); err != ErrDropped {
		t.Errorf("a read that begins after Drop: %v", err)
	}
	if _, err := r.Has([]byte("a")); err != ErrDropped {
		t.Errorf("a read without I/O that begins after Drop: %v", err)
	}
	wantNames(t, mem, "000001.run")
	close(letGo)
	<-done
	wantNames(t, mem)
	closeDir(t, d)
	wantNothing(t, mem)
}

func wantGetQuietly(t *testing.T, r *Run, i int) {
	got, found, err := r.Get(nil, numberedKey(i))
	if err != nil || !found || string(got.Value) != string(pattern(i, 100)) {
		t.Errorf("found %v, %v", found, err)
	}
}

// Close waits for a read under way, and leaves nothing.
func TestCloseWaitsForAReadUnderWay(t *testing.T) {
	fsys, mem, hanging, arrived, letGo := hang()
	d := openDir(t, fsys)
	r := build(t, d, Options{}, numbered(10, 100)...)
	hanging.Store(true)
	var all sync.WaitGroup
	all.Go(func() { wantGetQuietly(t, r, 3) })
	<-arrived
	hanging.Store(false)
	closed := make(chan error, 1)
	all.Go(func() { closed <- d.Close() })
	for !r.file.dropped() { // until Close waits
		_, _ = r.Has([]byte("a"))
	}
	select {
	case err := <-closed:
		t.Errorf("Close returned %v while a read was under way", err)
	default:
	}
	wantNames(t, mem, "000001.run")
	close(letGo)
	all.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wantNothing(t, mem)
}

// A cursor whose run is dropped goes on to the end of what it has read, and then says so, forwards and backwards.
func TestACursorAfterDrop(t *testing.T) {
	d := openDir(t, vfs.NewMem())
	defer closeDir(t, d)
	writes := numbered(100, 50)
	for _, merged := range []bool{false, true} {
		r := build(t, d, Options{block: 500}, writes...)
		forward, backward := moves(r.Cursor()), moves(r.Cursor())
		if merged {
			forward, backward = Merge(r, r), Merge(r, r)
		}
		if !forward.SeekFirst() || !backward.SeekLast() {
			t.Fatal(forward.Err(), backward.Err())
		}
		r.Drop()
		n := 1
		for ; forward.Next(); n++ {
			wantWrite(t, forward, writes[n])
		}
		if n == len(writes) || forward.Err() != ErrDropped || forward.Key() != nil {
			t.Errorf("forward: %v after %d writes", forward.Err(), n)
		}
		slices.Reverse(writes)
		for n = 1; backward.Prev(); n++ {
			wantWrite(t, backward, writes[n])
		}
		slices.Reverse(writes)
		if n == len(writes) || backward.Err() != ErrDropped {
			t.Errorf("backward: %v after %d writes", backward.Err(), n)
		}
		if forward.SeekLast() || forward.Err() != ErrDropped {
			t.Errorf("a seek: %v", forward.Err())
		}
		forward.Close()
		backward.Close()
	}
}

// Writers, readers and Close at once: everybody gets an answer, and nothing is left.
func TestCloseAgainstEverybody(t *testing.T) {
	for range 20 {
		mem := vfs.NewMem()
		d := openDir(t, mem)
		writes := numbered(100, 100)
		var all sync.WaitGroup
		begun := make(chan struct{}, 4)
		for range 4 {
			all.Go(func() {
				begun <- struct{}{}
				for {
					if err := writeAndRead(t, d, writes[:20:20]); err != nil {
						if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrDropped) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		for range 4 {
			<-begun
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		wantNothing(t, mem)
	}
}
