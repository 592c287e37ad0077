package versions

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// rounds is how often a race of a few instructions is provoked. 20000 found every reversed pair of
// stores that was tried, each time, on two busy cores; the default takes a tenth of the time and finds some.
var rounds = flag.Int("rounds", 2000, "rounds of the tests that provoke rare interleavings")

// world is the least of an engine that the table needs around it: timestamps, a watermark that
// is published in order, a registry of snapshots, and a lock for each group of keys.
//
// Each commit writes its timestamp to all keys of one group, which are spread over the partitions,
// and adds one new key. So a snapshot at S must see one timestamp throughout each group, and
// exactly S new keys.
type world struct {
	table  *Table
	groups [groupCount]sync.Mutex

	clock     atomic.Uint64
	watermark atomic.Uint64

	mu struct {
		sync.Mutex
		snapshots map[uint64]int
	}
}

const (
	groupCount = 4
	groupKeys  = 6
)

func newWorld() *world {
	var splits [][]byte
	for i := range groupKeys {
		splits = append(splits, groupKey(i, 2), newKey(uint64(i)*1000))
	}
	w := &world{table: New(splits)}
	w.mu.snapshots = map[uint64]int{}
	return w
}

// groupKey orders the keys so that neighbours belong to different groups.
func groupKey(i, group int) []byte { return fmt.Appendf(nil, "g/%d/%d", i, group) }

func newKey(timestamp uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("n/"), timestamp*0x9E3779B97F4A7C15)
}

func (w *world) commit(group int) {
	w.groups[group].Lock()
	timestamp := w.clock.Add(1)
	value := binary.BigEndian.AppendUint64(nil, timestamp)
	var writes []Write
	for i := range groupKeys {
		writes = append(writes, Write{Key: groupKey(i, group), Value: value, Kind: Put})
	}
	writes = append(writes, Write{Key: newKey(timestamp), Value: value, Kind: Put})
	w.table.Apply(timestamp, writes)
	for !w.watermark.CompareAndSwap(timestamp-1, timestamp) {
		runtime.Gosched()
	}
	w.groups[group].Unlock()
}

func (w *world) begin() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	timestamp := w.watermark.Load()
	w.mu.snapshots[timestamp]++
	return timestamp
}

func (w *world) end(timestamp uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.snapshots[timestamp]--; w.mu.snapshots[timestamp] == 0 {
		delete(w.mu.snapshots, timestamp)
	}
}

func (w *world) horizon() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	horizon := w.watermark.Load()
	for timestamp := range w.mu.snapshots {
		horizon = min(horizon, timestamp)
	}
	return horizon
}

// readGroup returns the timestamp that the snapshot sees in the group.
func (w *world) readGroup(group int, snapshot uint64) (seen uint64, err error) {
	for i := range groupKeys {
		timestamp := uint64(0)
		if v := w.table.Get(groupKey(i, group), snapshot); v != nil {
			timestamp = v.Timestamp
		}
		if i > 0 && timestamp != seen {
			return 0, fmt.Errorf("group %d at %d: key %d has version %d, others %d", group, snapshot, i, timestamp, seen)
		}
		seen = timestamp
	}
	return seen, nil
}

// scan returns what a cursor shows, as text, and checks it against the snapshot.
func (w *world) scan(c *Cursor, snapshot uint64, backward bool) (shown []string, err error) {
	move, ok := c.Next, c.Seek(nil)
	if backward {
		move, ok = c.Prev, c.SeekLT(nil)
	}
	fresh := uint64(0)
	for ; ok; ok = move() {
		v := c.Version()
		if v.Timestamp > snapshot || binary.BigEndian.Uint64(v.Value) != v.Timestamp {
			return nil, fmt.Errorf("at %d: key %q has version %d, value %x", snapshot, c.Key(), v.Timestamp, v.Value)
		}
		if bytes.HasPrefix(c.Key(), []byte("n/")) {
			fresh++
		}
		shown = append(shown, fmt.Sprintf("%q %d", c.Key(), v.Timestamp))
	}
	if fresh != snapshot {
		return nil, fmt.Errorf("at %d: a cursor shows %d new keys", snapshot, fresh)
	}
	if backward {
		slices.Reverse(shown)
	}
	return shown, nil
}

// read does all that a snapshot may ask for, twice.
func (w *world) read() error {
	snapshot := w.begin()
	defer w.end(snapshot)
	c := w.table.Cursor(snapshot)
	first, err := w.scan(c, snapshot, false)
	if err != nil {
		return err
	}
	for group := range groupCount {
		seen, err := w.readGroup(group, snapshot)
		if err != nil {
			return err
		}
		again, err := w.readGroup(group, snapshot)
		if err != nil || seen != again {
			return fmt.Errorf("group %d at %d: first %d, then %d, %w", group, snapshot, seen, again, err)
		}
	}
	second, err := w.scan(c, snapshot, true)
	if err != nil {
		return err
	}
	if !slices.Equal(first, second) {
		return fmt.Errorf("at %d: a cursor shows %q, then %q", snapshot, first, second)
	}
	return w.validate(snapshot)
}

// validate checks that everything published after the snapshot is reported as newer.
func (w *world) validate(snapshot uint64) error {
	published := w.watermark.Load()
	_, newer := w.table.NewerInRange([]byte("n/"), nil, snapshot)
	if published > snapshot && !newer {
		return fmt.Errorf("at %d: nothing newer is reported, %d is published", snapshot, published)
	}
	return nil
}

// during runs background again and again, in as many goroutines, until work is done.
func during(t *testing.T, work func(), background ...func() error) {
	var stop atomic.Bool
	var group sync.WaitGroup
	for _, each := range background {
		group.Go(func() {
			for !stop.Load() {
				if err := each(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work()
	stop.Store(true)
	group.Wait()
}

func TestSnapshotsAreStableWhileOthersCommitAndPrune(t *testing.T) {
	w := newWorld()
	const committers, commits = 3, 400
	prune := func() error {
		w.table.Prune(w.horizon())
		runtime.Gosched()
		return nil
	}
	during(t, func() {
		var group sync.WaitGroup
		for seed := range uint64(committers) {
			group.Go(func() {
				random := rand.New(rand.NewPCG(seed, 1))
				for range commits {
					w.commit(random.IntN(groupCount))
				}
			})
		}
		group.Wait()
	}, w.read, w.read, prune)
	if err := w.read(); err != nil {
		t.Error(err)
	}
	checked(t, w.table)
	w.table.Prune(w.watermark.Load())
	checked(t, w.table)
	for i := range w.table.shards {
		if n := len(w.table.shards[i].mu.chains); n != 0 {
			t.Errorf("%d chains are left when nobody reads", n)
		}
	}
}

// together starts all functions at the same moment and waits for them, again for each round.
func together(count int, check func(round int), work ...func(round int)) {
	var started, done atomic.Int64
	var group sync.WaitGroup
	for _, each := range work {
		group.Go(func() {
			for round := range count {
				for started.Load() <= int64(round) {
					runtime.Gosched()
				}
				each(round)
				done.Add(1)
			}
		})
	}
	for round := range count {
		started.Add(1)
		for done.Load() < int64((round+1)*len(work)) {
			runtime.Gosched()
		}
		check(round)
	}
	group.Wait()
}

// The race of V8: of several that need the order at once, one takes the backlog, and the others see an empty one before
// its entries are in the tree.
func TestAllReadersFindWhatOneOfThemAbsorbs(t *testing.T) {
	table := New(nil)
	key := func(round, i int) []byte {
		return binary.BigEndian.AppendUint64(nil, uint64(round*16+i)*0x9E3779B97F4A7C15)
	}
	var missed atomic.Int64
	read := func(round int) {
		c := table.Cursor(uint64(round))
		for i := range 16 {
			if k := key(round, i); !c.Seek(k) || string(c.Key()) != string(k) {
				missed.Add(1)
			}
		}
	}
	enter := func(round int) {
		for i := range 16 {
			table.Apply(uint64(round), []Write{{Key: key(round, i), Kind: Put}})
		}
	}
	enter(0)
	together(*rounds/4, func(round int) { enter(round + 1) }, read, read, read)
	if n := missed.Load(); n > 0 {
		t.Errorf("%d times a key was not found", n)
	}
	checked(t, table)
}

// The race of V5: keys gain a second version while Prune leaves them with one. The entries are
// looked at after each round, as the next Apply would mend what was lost.
func TestNoChainIsLostBetweenApplyAndPrune(t *testing.T) {
	table := New(nil)
	var keys []string
	for i := range 64 {
		keys = append(keys, fmt.Sprintf("k%02d", i))
	}
	table.Apply(1, puts(keys...))
	table.Apply(2, puts(keys...))
	var visited []string // in the order in which Prune comes to them
	for i := range table.shards {
		for _, c := range table.shards[i].mu.chains {
			visited = append(visited, string(c.entry.key))
		}
	}
	lost := 0
	together(*rounds, func(int) {
		for _, key := range keys {
			e := table.find([]byte(key))
			if e.head.Load().Older() != nil && !e.chained.Load() {
				lost++
			}
		}
	}, func(round int) {
		for _, key := range visited[round%8:] { // some head start, as Apply takes longer for each key
			table.Apply(uint64(round)+3, puts(key))
		}
	}, func(round int) {
		table.Prune(uint64(round) + 2)
	})
	if lost > 0 {
		t.Errorf("%d times a key had two versions and stood on no list", lost)
	}
	checked(t, table)
}

// The steps of the same race, one by one: Apply has stored the head and saw the flag still set, and
// so left the entry to the Prune that is about to clear it.
func TestPruneKeepsAKeyThatGainedAVersionMeanwhile(t *testing.T) {
	only, e := &Version{Timestamp: 1}, &entry{key: []byte("a")}
	e.head.Store(only)
	e.chained.Store(true)
	e.push(&Version{Timestamp: 2})
	rest, still := chain{e, 1}.release(only)
	if !still || rest.entry != e || rest.next != 2 || !e.chained.Load() {
		t.Errorf("it is kept: %v, as %v, with its flag %v", still, rest, e.chained.Load())
	}
}

// Two that prune and one that commits: the lists are taken and put back all the time.
func TestListsOfChainsSurviveConcurrentPrunes(t *testing.T) {
	table := New(nil)
	var watermark atomic.Uint64
	prune := func() error { table.Prune(watermark.Load()); return nil }
	during(t, func() {
		for timestamp := uint64(1); timestamp <= 20_000; timestamp++ {
			table.Apply(timestamp, puts("a", "b", fmt.Sprint(timestamp%1000)))
			watermark.Store(timestamp)
		}
	}, prune, prune)
	checked(t, table)
	table.Prune(watermark.Load())
	table.All(func(key []byte, newest *Version) bool {
		if newest.Older() != nil {
			t.Errorf("%q keeps a version that nobody sees", key)
		}
		return true
	})
	checked(t, table)
}

// A version is linked to the older one before readers can reach it.
func TestOldVersionStaysInReachWhileNewOnesArrive(t *testing.T) {
	table := New(nil)
	table.Apply(1, puts("a"))
	var watermark atomic.Uint64
	watermark.Store(1)
	key := []byte("a")
	during(t, func() {
		for timestamp := uint64(2); timestamp <= 30*uint64(*rounds); timestamp++ {
			table.Apply(timestamp, puts("a"))
			watermark.Store(timestamp)
		}
	}, func() error {
		if last := watermark.Load(); table.Get(key, last) == nil {
			return fmt.Errorf("at %d the key has no version", last)
		}
		return nil
	})
	checked(t, table)
}

// Readers look up keys in a front that grows under them: what was there before is always found.
func TestLookupsFindAllWhileTheFrontGrows(t *testing.T) {
	table := New(nil)
	var watermark atomic.Uint64
	key := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	read := func() error {
		last := watermark.Load()
		for n := last; n > 0 && n+500 > last; n-- {
			if v := table.Get(key(n), last); v == nil || v.Timestamp != n {
				return fmt.Errorf("key %d at %d has %v", n, last, v)
			}
		}
		for n := last + 1; n < last+100; n++ {
			if v := table.Get(key(n), last); v != nil {
				return fmt.Errorf("key %d at %d has version %d", n, last, v.Timestamp)
			}
		}
		return nil
	}
	during(t, func() {
		for n := uint64(1); n <= 15_000; n++ {
			table.Apply(n, []Write{{Key: key(n), Kind: Put}})
			watermark.Store(n)
		}
	}, read, read)
	checked(t, table)
}
