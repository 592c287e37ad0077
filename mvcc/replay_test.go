package mvcc

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// logWriter makes a long log, and knows what it means.
type logWriter struct {
	t       *testing.T
	db      *DB
	ks      *Keyspace
	rng     *rand.Rand
	content map[string]string
	moments []moment
}

// moment is the content after a commit.
type moment struct {
	at      Timestamp
	content map[string]string
}

// commit makes one transaction of n writes: puts, deletes and additions.
func (w *logWriter) commit(n int) {
	w.t.Helper()
	tx := begin(w.t, w.db, Snapshot)
	for range n {
		switch key := fmt.Sprintf("key %04d", w.rng.IntN(3000)); w.rng.IntN(8) {
		case 0:
			must(w.t, tx.Delete(w.ks, []byte(key)))
			delete(w.content, key)
		case 1:
			key = fmt.Sprint("counter ", w.rng.IntN(40))
			must(w.t, tx.Add(w.ks, []byte(key), 3))
			sum := int64(3)
			if old, found := w.content[key]; found {
				before, err := DecodeInt64([]byte(old))
				must(w.t, err)
				sum += before
			}
			w.content[key] = string(EncodeInt64(sum))
		case 2:
			key = fmt.Sprint("counter ", w.rng.IntN(40)) // with a locked counter, additions go on from the new value
			must(w.t, tx.Put(w.ks, []byte(key), EncodeInt64(7)))
			w.content[key] = string(EncodeInt64(7))
		default:
			if w.rng.IntN(3) == 0 {
				key = fmt.Sprint("hot ", w.rng.IntN(3), strings.Repeat(" and long", w.rng.IntN(3)))
			}
			value := strings.Repeat(fmt.Sprint(w.rng.Uint32()), 1+w.rng.IntN(20))
			put(w.t, tx, w.ks, key, value)
			w.content[key] = value
		}
	}
	commit(w.t, tx)
	if w.rng.IntN(50) == 0 {
		w.moments = append(w.moments, moment{tx.CommitTimestamp(), maps.Clone(w.content)})
	}
}

// verify compares a transaction with a content.
func (w *logWriter) verify(what string, content map[string]string) func(*Txn) error {
	return func(tx *Txn) error {
		found := make(map[string]string)
		for item, err := range tx.Scan(keyspace(w.t, tx.DB(), "k"), Range{}) {
			if err != nil {
				return err
			}
			found[string(item.Key)] = string(item.Value)
		}
		if !maps.Equal(found, content) {
			w.t.Errorf("%s: %d keys, want %d, or values differ", what, len(found), len(content))
		}
		for key, value := range content {
			if got := get(w.t, tx, keyspace(w.t, tx.DB(), "k"), key); got != value {
				w.t.Fatalf("%s: %q is %q, want %q", what, key, got, value)
			}
		}
		return nil
	}
}

// A log that is much longer than the memory of who opens it means the same as one that is not, counters and large
// commits included, and again when it is opened once more after another crash.
func TestALogOfAnyLengthIsReplayedExactly(t *testing.T) {
	retain := func(o *Options) { o.Retain.Duration = 1 << 50 }
	for name, c := range map[string]struct {
		write, open func(*Options)
		past        bool
	}{
		"in memory":            {nil, func(o *Options) { o.MemoryBudget = 1 << 30 }, false},
		"beyond memory":        {nil, func(o *Options) {}, false},
		"retained":             {retain, func(o *Options) { o.MemoryBudget = 1 << 30; retain(o) }, true},
		"retained, beyond":     {retain, retain, true},
		"read-only":            {nil, func(o *Options) { o.ReadOnly = true }, false},
		"read-only, retained":  {retain, func(o *Options) { o.ReadOnly = true; retain(o) }, true},
		"behind a checkpoint":  {func(o *Options) { o.TxnTimeout = 1 << 40 }, func(o *Options) {}, false},
		"checkpoint, retained": {func(o *Options) { o.TxnTimeout = 1 << 40; retain(o) }, retain, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := newMem(t)
			big := func(o *Options) { o.MemoryBudget, o.MaxLogBytes, o.SegmentSize = 1<<30, 1<<30, 256<<10 }
			change := []func(*Options){big}
			if c.write != nil {
				change = append(change, c.write)
			}
			db := openOn(t, disk, change...)
			w := &logWriter{t: t, db: db, ks: keyspace(t, db, "k"), rng: rand.New(rand.NewPCG(5, 6)), content: make(map[string]string)}
			for i := range 400 {
				w.commit(1 + w.rng.IntN(20))
				if i%130 == 100 {
					w.commit(2500) // in chunks
				}
				if i == 200 && db.opts.TxnTimeout != 0 {
					checkpoint(t, db)
				}
			}
			image := disk.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
			must(t, db.Close())
			for range 2 {
				again := openOn(t, image, func(o *Options) { o.SegmentSize = 256 << 10 }, c.open)
				if again.recovered.Commits == 0 || again.recovered.Bytes < 1<<19 && !strings.Contains(name, "checkpoint") {
					t.Errorf("replayed %d commits of %d bytes", again.recovered.Commits, again.recovered.Bytes)
				}
				must(t, again.View(bg, w.verify("the newest state", w.content)))
				w.verifyPast(again, c.past)
				check(t, again)
				image = image.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
				must(t, again.Close())
			}
		})
	}
}

// verifyPast compares the moments, or sees that they are said to be gone.
func (w *logWriter) verifyPast(db *DB, there bool) {
	w.t.Helper()
	for _, m := range w.moments {
		err := db.ViewAsOf(bg, m.at, w.verify("the past", m.content))
		if err != nil && (there || !errors.Is(err, ErrHistoryPruned)) {
			w.t.Fatal(err)
		}
	}
}
