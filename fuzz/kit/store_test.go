package kit

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// flaw is a mistake that the reference store can be told to make.
type flaw int

const (
	sound flaw = iota
	noFirstUpdater
	noReadValidation
	noRangeValidation
	earlyPublish
	shortcutBeforeConflict
	staleSnapshot
	leakingAbort
	lostCommit
	lateReads
)

// store is a multi-version map, in which everything happens at once: the
// reference for what each level allows. Values are whole lists.
type store struct {
	flaw     flaw
	random   *rand.Rand
	now      int
	versions map[Key][]version
	locks    map[Key]*client
	clients  int
	begun    int
}

type version struct {
	at   int
	list []Value
}

// client runs transactions of one process.
type client struct {
	store    *store
	process  *Process
	programs *Generator

	running  bool
	waited   int // steps that it has been blocked
	program  Program
	step     int
	snapshot int // noSnapshot before the first operation
	writes   map[Key][]Value
	locked   []Key
	points   []Key
	ranges   [][2]Key
}

const noSnapshot = -1

// outcome of an operation.
type outcome int

const (
	went outcome = iota
	blocked
	failed
)

func newStore(f flaw, random *rand.Rand) *store {
	return &store{flaw: f, random: random, versions: map[Key][]version{}, locks: map[Key]*client{}}
}

// at returns the list of a key at a time.
func (s *store) at(key Key, now int) []Value {
	list := s.versions[key]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].at <= now {
			return list[i].list
		}
	}
	return nil
}

// changed reports whether a key was committed after a time.
func (s *store) changed(key Key, since int) bool {
	list := s.versions[key]
	return len(list) > 0 && list[len(list)-1].at > since
}

// get is a read: own writes first, then the snapshot or what is newest.
func (c *client) get(key Key) []Value {
	if own, ok := c.writes[key]; ok {
		return own
	}
	if holder := c.store.locks[key]; holder != nil && c.store.flaw == earlyPublish {
		if dirty, ok := holder.writes[key]; ok {
			return dirty
		}
	}
	if c.program.Level <= MonotonicView {
		now := c.store.now
		if c.store.flaw == lateReads {
			now -= c.store.random.IntN(4)
		}
		return c.store.at(key, now)
	}
	return c.store.at(key, c.snapshot)
}

// lock takes a key for writing. At Snapshot and above the first updater wins.
func (c *client) lock(key Key) outcome {
	if holder := c.store.locks[key]; holder != nil && holder != c {
		return blocked
	}
	if c.store.locks[key] == nil {
		c.store.locks[key] = c
		c.locked = append(c.locked, key)
	}
	c.takeSnapshot()
	if c.program.Level >= Snapshot && c.store.flaw != noFirstUpdater && c.store.changed(key, c.snapshot) {
		return failed
	}
	return went
}

func (c *client) takeSnapshot() {
	if c.snapshot != noSnapshot {
		return
	}
	c.snapshot = c.store.now
	if c.store.flaw == staleSnapshot {
		c.snapshot = max(0, c.snapshot-c.store.random.IntN(4))
	}
}

// run runs one operation and records it.
func (c *client) run(op Op) outcome {
	if op.Kind == OpAppend || op.Held && c.store.flaw != shortcutBeforeConflict {
		if o := c.lock(op.Key); o != went {
			return o
		}
	}
	c.takeSnapshot()
	switch op.Kind {
	case OpAppend:
		c.writes[op.Key] = append(slices.Clone(c.newest(op.Key)), op.Value)
	case OpRead:
		c.points = append(c.points, op.Key)
		op.List = c.get(op.Key)
	case OpReadRange:
		c.ranges = append(c.ranges, [2]Key{op.Key, op.End})
		for key := op.Key; key < op.End; key++ {
			if list := c.get(key); len(list) > 0 {
				op.Rows = append(op.Rows, Row{key, list})
			}
		}
	}
	c.process.Record(op)
	return went
}

// newest is what an append appends to.
func (c *client) newest(key Key) []Value {
	if own, ok := c.writes[key]; ok || c.program.Level >= Snapshot {
		if ok {
			return own
		}
		return c.store.at(key, c.snapshot)
	}
	return c.store.at(key, c.store.now)
}

// valid is the validation of a serializable commit.
func (c *client) valid() bool {
	if c.program.Level < Serializable || len(c.writes) == 0 {
		return true
	}
	for _, key := range c.points {
		if c.store.flaw != noReadValidation && c.store.changed(key, c.snapshot) {
			return false
		}
	}
	for _, r := range c.ranges {
		for key := r[0]; key < r[1]; key++ {
			known := c.store.at(key, c.snapshot) != nil
			if c.store.flaw == noReadValidation && known || c.store.flaw == noRangeValidation && !known {
				continue
			}
			if c.store.changed(key, c.snapshot) {
				return false
			}
		}
	}
	return true
}

// commit ends a transaction well, if it is valid.
func (c *client) commit() bool {
	if !c.valid() {
		return false
	}
	if c.store.flaw == lostCommit && c.store.random.IntN(20) == 0 {
		return true
	}
	c.install(c.writes)
	return true
}

func (c *client) install(writes map[Key][]Value) {
	c.store.now++
	for key, list := range writes {
		c.store.versions[key] = append(c.store.versions[key], version{c.store.now, list})
	}
}

// end releases what the transaction holds.
func (c *client) end(status Status) {
	if status == Aborted && c.store.flaw == leakingAbort && c.store.random.IntN(4) == 0 {
		c.install(c.writes)
	}
	for _, key := range c.locked {
		delete(c.store.locks, key)
	}
	c.running = false
	c.process.End(status)
}

// advance makes one step, and reports whether it was possible.
func (c *client) advance() bool {
	switch {
	case !c.running:
		c.begin()
	case c.step < len(c.program.Ops):
		switch c.run(c.program.Ops[c.step]) {
		case blocked:
			return false
		case failed:
			c.end(Aborted)
		default:
			c.step++
		}
	default:
		c.finish()
	}
	return true
}

func (c *client) begin() {
	c.program = c.programs.NextAt(c.store.begun / c.store.clients)
	c.store.begun++
	c.running, c.step, c.snapshot = true, 0, noSnapshot
	c.writes, c.locked, c.points, c.ranges = map[Key][]Value{}, nil, nil, nil
	c.process.Begin(c.program.Level)
}

// finish commits; now and then the client changes its mind, or is not told.
func (c *client) finish() {
	switch dice := c.store.random.IntN(40); {
	case dice == 0:
		c.end(Aborted)
	case dice == 1:
		c.end(Unknown)
	case dice == 2:
		c.commit()
		c.end(Unknown)
	case c.commit():
		c.end(Committed)
	default:
		c.end(Aborted)
	}
}

// simulate runs some transactions of a workload in a random schedule.
func simulate(t fataler, f flaw, w Workload, txns int) History {
	t.Helper()
	random := rand.New(rand.NewPCG(w.Seed, 99))
	s := newStore(f, random)
	rec := NewRecorder()
	clients := make([]*client, w.withDefaults().Processes)
	s.clients = len(clients)
	for i := range clients {
		programs, err := w.Generator(i)
		if err != nil {
			t.Fatalf("%v", err)
		}
		clients[i] = &client{store: s, process: rec.Process(), programs: programs}
	}
	running := func(c *client) bool { return c.running }
	for s.begun < txns || slices.ContainsFunc(clients, running) {
		c := clients[random.IntN(len(clients))]
		if s.begun == txns && !c.running {
			continue
		}
		c.waited++
		if c.advance() {
			c.waited = 0
		} else if c.waited > maxWait {
			c.end(Aborted)
		}
	}
	h, err := rec.History()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return h
}

// maxWait is after how many steps a client takes a lock for a deadlock.
const maxWait = 10

var everyLevel = []Level{ReadCommitted, MonotonicView, Snapshot, Serializable, StrictSerializable}

func TestFlawsAreFound(t *testing.T) {
	for _, s := range []struct {
		name   string
		flaw   flaw
		levels []Level
		opts   Options
		want   []string // one of them
	}{
		{"no first updater check", noFirstUpdater, []Level{Snapshot}, Options{}, []string{"incompatible order", "lost update"}},
		{"no first updater check, levels mixed", noFirstUpdater, everyLevel, Options{}, []string{"incompatible order", "lost update", "G0", "G-single"}},
		{"no validation of reads", noReadValidation, []Level{Serializable}, Options{}, []string{"G2-item", "G2"}},
		{"no validation of reads, levels mixed", noReadValidation, []Level{Snapshot, Serializable}, Options{}, []string{"G2-item", "G2"}},
		{"no validation of absent keys in ranges", noRangeValidation, []Level{Serializable}, Options{}, []string{"G2"}},
		{"uncommitted reads", earlyPublish, []Level{ReadCommitted}, Options{}, []string{"G1a", "G1b", "G1c"}},
		{"uncommitted reads at snapshot", earlyPublish, []Level{Snapshot}, Options{}, []string{"G1a", "G1b", "G1c", "internal"}},
		{"equal values skip the conflict check", shortcutBeforeConflict, []Level{Snapshot}, Options{}, []string{"G-single", "G2-item", "G2", "lost update"}},
		{"equal values skip the lock", shortcutBeforeConflict, []Level{ReadCommitted}, Options{}, []string{"G-single", "G2-item", "G2", "lost update"}},
		{"stale snapshots", staleSnapshot, []Level{Snapshot}, Options{RealTime: true}, []string{"G-single-realtime"}},
		{"stale snapshots in sessions", staleSnapshot, []Level{Snapshot}, Options{Sessions: true}, []string{"G-single-process"}},
		{"stale snapshots of strict transactions", staleSnapshot, []Level{StrictSerializable}, Options{}, []string{"G-single-realtime"}},
		{"aborts that leave something", leakingAbort, everyLevel, Options{}, []string{"G1a"}},
		{"acknowledged commits that are lost", lostCommit, []Level{Snapshot}, Options{RealTime: true}, []string{"G-single-realtime"}},
		{"reads of older states", lateReads, []Level{MonotonicView}, Options{}, []string{"G-monotonic"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			for seed := range uint64(20) {
				w := Workload{Seed: seed, Processes: 5, Levels: s.levels, Held: 0.5, Ranges: 0.3, Reads: 0.4, Lifetime: 15}
				h := simulate(t, s.flaw, w, 1500)
				r := Check(h, s.opts)
				verifyReport(t, h, r)
				if !slices.ContainsFunc(s.want, func(name string) bool { return r.Counts[name] > 0 }) {
					t.Fatalf("seed %d: found %v, want one of %v", seed, slices.Collect(maps.Keys(r.Counts)), s.want)
				}
			}
		})
	}
}

// A stale snapshot is a snapshot: without an order of time nothing is wrong.
func TestStaleSnapshotsAreLegalWithoutTime(t *testing.T) {
	for seed := range uint64(20) {
		w := Workload{Seed: seed, Levels: []Level{Snapshot, Serializable}, Lifetime: 15}
		if r := Check(simulate(t, staleSnapshot, w, 500), Options{}); !r.OK() {
			t.Fatal(r)
		}
	}
}
