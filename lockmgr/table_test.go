package lockmgr

import (
	"context"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheUncontendedPairDoesNotAllocate(t *testing.T) {
	table := New(Options{})
	defer table.Close()
	o := table.NewOwner(OwnerInfo{ID: 1})
	keys := make([][]byte, 100)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	allocs := testing.AllocsPerRun(100, func() {
		for _, key := range keys {
			if err := table.Acquire(context.Background(), o, key, X, Wait, 0); err != nil {
				t.Fatal(err)
			}
		}
		table.ReleaseAll(o)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestTheKeyIsCopied(t *testing.T) {
	c := newCrowd(t)
	o := c.owner(OwnerInfo{ID: 1})
	key := []byte("mine")
	if err := c.table.Acquire(t.Context(), o, key, X, Wait, 0); err != nil {
		t.Fatal(err)
	}
	copy(key, "your")
	if c.table.Held(o, []byte("mine")) != X || c.table.Held(o, key) != None {
		t.Error("the table's key changed with the caller's")
	}
	c.check()
}

func TestAnyBytesAreAKey(t *testing.T) {
	c := newCrowd(t)
	a, b := c.owner(OwnerInfo{ID: 1}), c.owner(OwnerInfo{ID: 2})
	keys := []string{"", "\x00", "\x00\x00", "\xff", strings.Repeat("long", 5000)}
	for _, key := range keys {
		c.mustHold(a, key, X)
	}
	for _, key := range keys {
		if err := c.table.Acquire(t.Context(), b, []byte(key), S, NoWait, 0); !errors.Is(err, ErrNotAvailable) {
			t.Errorf("%.10q: %v", key, err)
		}
	}
	c.table.ReleaseAll(a)
	checkEmpty(t, c.table)
}

// An owner with many locks finds each of them, whatever the hashes do, and the
// memory goes when the locks go.
func TestAnOwnerOfManyLocks(t *testing.T) {
	const all = 20_000
	for _, mask := range []uint64{^uint64(0), 0xf} {
		n := all
		if mask != ^uint64(0) {
			n = 500 // everything is in sixteen chains
		}
		c := newCrowd(t)
		c.table.hashMask = mask
		o := c.owner(OwnerInfo{ID: 1})
		empty := c.table.Metrics().Bytes
		for round := range 2 {
			for i := range n {
				c.mustHold(o, string(benchKey(i)), Mode(1+i%4))
			}
			for i := range n {
				if got := c.table.Held(o, benchKey(i)); got != Mode(1+i%4) {
					t.Fatalf("round %d: holds %v of key %d", round, got, i)
				}
			}
			if c.table.Held(o, benchKey(n)) != None {
				t.Fatal("holds a key that nobody asked for")
			}
			m := c.table.Metrics()
			if m.Keys != int64(n) || m.Bytes < empty+int64(n*entryBytes) {
				t.Errorf("round %d: %+v", round, m)
			}
			c.check()
			c.table.ReleaseAll(o)
			checkEmpty(t, c.table)
			if m := c.table.Metrics(); m.Bytes > 4<<20 {
				t.Errorf("round %d keeps %d bytes", round, m.Bytes)
			}
		}
	}
}

func TestATimeoutNamesAFewHolders(t *testing.T) {
	c := newCrowd(t)
	for i := range maxTimeoutHolders + 3 {
		c.mustHold(c.owner(OwnerInfo{ID: uint64(i)}), "k", S)
	}
	err := c.table.Acquire(t.Context(), c.owner(OwnerInfo{ID: 99}), []byte("k"), X, Wait, 1)
	late, ok := errors.AsType[*TimeoutError](err)
	if !ok || !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	if len(late.Holders) != maxTimeoutHolders || late.MoreHolders != 3 || late.Ahead != 0 || late.Mode != X || late.Key != `"k"` {
		t.Errorf("%+v", late)
	}
	if !strings.Contains(err.Error(), "txn 7 (S) and 3 more; retry") {
		t.Error(err)
	}
}

func TestFaultsOfTheCallerAreNamed(t *testing.T) {
	c, other := newCrowd(t), newCrowd(t)
	o := c.owner(OwnerInfo{})
	ctx := context.Background()
	var none context.Context
	calls := map[string]error{
		"owner":   c.table.Acquire(ctx, nil, nil, S, Wait, 0),
		"owner ":  c.table.Acquire(ctx, other.owner(OwnerInfo{}), nil, S, Wait, 0),
		"mode":    c.table.Acquire(ctx, o, nil, None, Wait, 0),
		"mode ":   c.table.Acquire(ctx, o, nil, X+1, Wait, 0),
		"policy":  c.table.Acquire(ctx, o, nil, S, NoWait+1, 0),
		"timeout": c.table.Acquire(ctx, o, nil, S, Wait, -1),
		"ctx":     c.table.Acquire(none, o, nil, S, Wait, 0),
	}
	for name, err := range calls {
		fault, ok := errors.AsType[*ArgumentError](err)
		if !ok || !errors.Is(err, ErrInvalid) || fault.Name != strings.TrimSpace(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// These have nothing to report, and do nothing.
	for _, stranger := range []*Owner{nil, other.owner(OwnerInfo{})} {
		c.table.ReleaseAll(stranger)
		c.table.Kill(stranger, nil)
		_, waits := c.table.Waiting(stranger)
		if waits || c.table.Held(stranger, []byte("k")) != None {
			t.Error("a stranger holds or awaits something")
		}
	}
	checkEmpty(t, c.table)
}

func TestLongKeysAreCutInTexts(t *testing.T) {
	if got := quoted([]byte(strings.Repeat("x", 1000))); len(got) > maxQuotedKey+10 || !strings.HasSuffix(got, `"...`) {
		t.Error(got)
	}
}

func TestTheIndexAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var x index
		model := map[string]*entry{}
		hash := func(key string) uint64 { return uint64(len(key)) * 0x9e3779b97f4a7c15 } // collides often
		key := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 8, -1)
		rt.Repeat(map[string]func(*rapid.T){
			"insert": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				if model[k] == nil {
					model[k] = &entry{hash: hash(k), key: []byte(k)}
					x.insert(model[k])
				}
			},
			"remove": func(rt *rapid.T) {
				if k := key.Draw(rt, "key"); model[k] != nil {
					x.remove(model[k])
					delete(model, k)
				}
			},
			"empty": func(*rapid.T) {
				for k, e := range model {
					x.remove(e)
					delete(model, k)
				}
			},
			"": func(rt *rapid.T) {
				k := key.Draw(rt, "sought")
				if x.find(hash(k), []byte(k)) != model[k] {
					rt.Fatalf("finds another entry for %q", k)
				}
				n := 0
				x.each(func(*entry) { n++ })
				if n != len(model) || x.count != n || n > len(x.buckets) {
					rt.Fatalf("%d linked, %d counted, %d in the model, %d buckets", n, x.count, len(model), len(x.buckets))
				}
			},
		})
	})
}

func TestTheIndexGivesMemoryBack(t *testing.T) {
	var x index
	entries := make([]*entry, 10_000)
	for i := range entries {
		entries[i] = &entry{hash: uint64(i), key: benchKey(i)}
		x.insert(entries[i])
	}
	for _, e := range entries[1:] {
		x.remove(e)
	}
	if len(x.buckets) != minBuckets || x.find(entries[0].hash, entries[0].key) != entries[0] {
		t.Errorf("%d buckets for one entry", len(x.buckets))
	}
}

// Check must see what it claims to see.
func TestCheckSeesDamage(t *testing.T) {
	tests := map[string]func(c *crowd, s *shard, e *entry){
		"conflict":    func(c *crowd, s *shard, e *entry) { e.grant(c.owner(OwnerInfo{ID: 9}), X, None); s.holds++ },
		"twice":       func(c *crowd, s *shard, e *entry) { e.grant(e.holders[0].owner, S, None); s.holds++ },
		"counts say":  func(c *crowd, s *shard, e *entry) { e.granted[S]++ },
		"holders":     func(c *crowd, s *shard, e *entry) { s.holds++ },
		"granted":     func(c *crowd, s *shard, e *entry) { e.holders = nil; e.granted = modeCounts{}; s.holds = 0 },
		"wait here":   func(c *crowd, s *shard, e *entry) { e.queue.first.state.Store(uint32(timedOut)) },
		"but asks":    func(c *crowd, s *shard, e *entry) { e.queue.first.mode = None },
		"request say": func(c *crowd, s *shard, e *entry) { e.queue.first.held = S },
		"kept":        func(c *crowd, s *shard, e *entry) { e.queue.counts[S]++ },
		"fit the key": func(c *crowd, s *shard, e *entry) { e.key = []byte("other") },
		"contended":   func(c *crowd, s *shard, e *entry) { e.contended = notContended },
	}
	for want, damage := range tests {
		t.Run(want, func(t *testing.T) {
			c := &crowd{t: t, table: newTable(Options{})} // not closed: it is beyond repair
			o := c.owner(OwnerInfo{ID: 1})
			c.mustHold(o, "k", S)
			c.start(c.owner(OwnerInfo{ID: 2}), "k", X, 0)
			c.check()
			s := c.table.shardOf(c.table.hash([]byte("k")))
			s.mu.Lock()
			damage(c, s, s.index.find(c.table.hash([]byte("k")), []byte("k")))
			s.mu.Unlock()
			if err := c.table.Check(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Check said %v", err)
			}
		})
	}
}
