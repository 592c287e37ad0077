package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Badger's caches and SQLite's driver start goroutines that live as long as the process.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2.(*lfuPolicy[...]).processItems"),
		goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

// each runs a test for every engine, on an empty database.
func each(t *testing.T, test func(t *testing.T, e Engine, db DB)) {
	for _, e := range All() {
		t.Run(e.Name, func(t *testing.T) {
			db, err := e.Open(t.TempDir(), Config{CacheBytes: 16 << 20, Workers: 8})
			if err != nil {
				t.Fatal(err)
			}
			defer closeIt(t, db)
			test(t, e, db)
		})
	}
}

func closeIt(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func session(t *testing.T, db DB) Session {
	t.Helper()
	s, err := db.Session()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func numbers(n int) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		var k, v []byte
		for i := range n {
			k, v = append(k[:0], key(i)...), fmt.Appendf(v[:0], "value %d", i)
			if !yield(k, v) {
				return
			}
		}
	}
}

func TestWhatWasPutIsRead(t *testing.T) {
	each(t, func(t *testing.T, _ Engine, db DB) {
		s := session(t, db)
		defer closeIt(t, s)
		attempts, err := s.Update(t.Context(), func(tx Tx) error {
			return errors.Join(tx.Put([]byte("a"), []byte("1")), tx.Put([]byte("b"), []byte("2")))
		})
		if err != nil || attempts != 1 {
			t.Fatalf("%d attempts, %v", attempts, err)
		}
		err = s.View(t.Context(), func(tx Tx) error {
			got, err := tx.Get([]byte("head "), []byte("b"))
			if string(got) != "head 2" || err != nil {
				t.Errorf("b is %q, %v", got, err)
			}
			if got, err := tx.Get([]byte("head"), []byte("c")); string(got) != "head" || !errors.Is(err, ErrNotFound) {
				t.Errorf("c is %q, %v; want ErrNotFound", got, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAFailedUpdateWritesNothing(t *testing.T) {
	broken := errors.New("broken")
	each(t, func(t *testing.T, _ Engine, db DB) {
		s := session(t, db)
		defer closeIt(t, s)
		_, err := s.Update(t.Context(), func(tx Tx) error { return errors.Join(tx.Put([]byte("a"), nil), broken) })
		if !errors.Is(err, broken) {
			t.Errorf("the error is %v, want %v", err, broken)
		}
		err = s.View(t.Context(), func(tx Tx) error {
			_, err := tx.Get(nil, []byte("a"))
			return err
		})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("a is there: %v", err)
		}
	})
}

func TestLoadsAreReadInOrder(t *testing.T) {
	for _, sorted := range []bool{true, false} {
		each(t, func(t *testing.T, _ Engine, db DB) {
			if err := errors.Join(db.Load(t.Context(), numbers(11_000), sorted), db.Settle(t.Context())); err != nil {
				t.Fatal(err)
			}
			s := session(t, db)
			defer closeIt(t, s)
			for _, c := range []struct{ from, limit, first, count int }{{-1, 0, 0, 11_000}, {7, 10, 7, 10}, {10_995, 100, 10_995, 5}} {
				var from []byte
				if c.from >= 0 {
					from = key(c.from)
				}
				n := c.first
				err := s.View(t.Context(), func(tx Tx) error {
					return tx.Scan(from, c.limit, func(k, v []byte) {
						if string(k) != string(key(n)) || string(v) != fmt.Sprintf("value %d", n) {
							t.Errorf("record %d is %x, %q", n, k, v)
						}
						n++
					})
				})
				if err != nil || n-c.first != c.count {
					t.Errorf("%d records from %d, %v; want %d", n-c.first, c.from, err, c.count)
				}
			}
		})
	}
}

func TestConcurrentIncrementsAreNotLost(t *testing.T) {
	each(t, func(t *testing.T, e Engine, db DB) {
		if !e.Isolated {
			return // and nothing is promised
		}
		inParallel(t, db, func(s Session) error {
			_, err := addByUpdate(t.Context(), s, []byte("n"), 1)
			return err
		})
		s := session(t, db)
		defer closeIt(t, s)
		if got, err := counterByView(t.Context(), s, []byte("n")); got != 200 || err != nil {
			t.Errorf("200 increments gave %d, %v", got, err)
		}
	})
}

func TestAdditionsAreSummedUp(t *testing.T) {
	each(t, func(t *testing.T, _ Engine, db DB) {
		inParallel(t, db, func(s Session) error {
			_, err := s.Add(t.Context(), []byte("n"), 3)
			return err
		})
		s := session(t, db)
		defer closeIt(t, s)
		if got, err := s.Counter(t.Context(), []byte("n")); got != 600 || err != nil {
			t.Errorf("the sum is %d, %v; want 600", got, err)
		}
	})
}

// inParallel runs do 25 times in each of eight goroutines.
func inParallel(t *testing.T, db DB, do func(Session) error) {
	t.Helper()
	var group sync.WaitGroup
	for range 8 {
		s := session(t, db)
		group.Go(func() {
			defer closeIt(t, s)
			for range 25 {
				if err := do(s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestADatabaseIsReopened(t *testing.T) {
	for _, e := range All() {
		t.Run(e.Name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 3 {
				db, err := e.Open(dir, Config{CacheBytes: 16 << 20, Workers: 1})
				if err != nil {
					t.Fatal(err)
				}
				s := session(t, db)
				if _, err := s.Add(context.Background(), []byte("n"), 1); err != nil {
					t.Error(err)
				}
				if n, err := s.Counter(context.Background(), []byte("n")); n != int64(i+1) || err != nil {
					t.Errorf("opened for the %d. time: %d, %v", i+1, n, err)
				}
				closeIt(t, s)
				closeIt(t, db)
			}
		})
	}
}

func TestUnknownEnginesAreNamed(t *testing.T) {
	if _, err := ByName([]string{"sombra", "oracle"}); err == nil {
		t.Error("an unknown engine was found")
	}
	if got, err := ByName([]string{"pebble"}); err != nil || len(got) != 1 || got[0].Name != "Pebble" {
		t.Errorf("%v, %v", got, err)
	}
}
