package versions

import (
	"sync"
	"sync/atomic"

	"github.com/google/btree"
)

// Part is what one partition of a table begins with.
type Part struct {
	// Keys and Versions are how many Each yields; it may yield less.
	Keys, Versions int
	// Each yields the versions by ascending key, those of one key from the oldest to the newest. Keys and values are
	// kept, not copied. It is called once, from any goroutine.
	Each func(yield func(Write, uint64))
}

// Load returns a table that begins with the contents of the parts, one for each partition: that of part i is
// [splits[i-1], splits[i]). It is what Apply would have made of the same commits, in a fraction of the time: nothing is
// searched, and the indexes are made in order, by several goroutines.
//
// REQUIRES: splits ascend strictly and are not empty; there is one part more than splits, and what a part yields lies in
// its partition.
func Load(splits [][]byte, parts []Part, goroutines int) *Table {
	t := New(splits)
	loaded := make([]loadedPart, len(parts))
	inParallel(goroutines, len(parts), func(i int) { loaded[i].load(t, i, parts[i]) })
	inParallel(goroutines, shardCount, func(i int) { t.loadShard(i, loaded) })
	for i := range loaded {
		if p := &loaded[i]; len(p.entries) > 0 {
			t.occupied.set(i)
			t.used.Store(true)
			t.keys.Add(int64(len(p.entries)))
			t.bytes.Add(p.bytes)
		}
	}
	return t
}

// inParallel calls f for each number below n.
func inParallel(goroutines, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(goroutines, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// loadedPart is a partition while its table is made.
type loadedPart struct {
	entries []entry
	hashes  []uint64 // of the entries
	bytes   int64
	// places are the entries by shard: those of shard s are places[from[s]:from[s+1]].
	places []place
	from   [shardCount + 1]int32
}

// place is where an entry belongs in the front.
type place struct {
	hash  uint64
	entry uint32
}

// load makes the entries and the ordered index of one part. They share their memory: a table that was loaded is not
// smaller after Prune.
func (l *loadedPart) load(t *Table, number int, part Part) {
	l.entries = make([]entry, 0, part.Keys)
	l.hashes = make([]uint64, 0, part.Keys)
	all := make([]Version, 0, part.Versions)
	newest := uint64(0)
	var at *entry
	part.Each(func(w Write, timestamp uint64) {
		all = append(all, Version{Timestamp: timestamp, Kind: w.Kind, Value: w.Value})
		v := &all[len(all)-1]
		newest = max(newest, timestamp)
		l.bytes += v.sizeBytes()
		if at != nil && string(at.key) == string(w.Key) {
			at.push(v)
			if !at.chained.Load() {
				t.shard(l.hashes[len(l.hashes)-1]).track(at, timestamp)
			}
			return
		}
		l.entries = append(l.entries, entry{key: w.Key, partition: uint32(number)})
		at = &l.entries[len(l.entries)-1]
		at.head.Store(v)
		hash := t.hash(w.Key)
		l.hashes = append(l.hashes, hash)
		l.from[t.shardNumber(hash)+1]++
		l.bytes += entryBytes + itemBytes + int64(len(w.Key))
	})
	l.sortByShard(t)
	t.partitions[number].load(l.entries, newest)
}

// sortByShard fills places. REQUIRES: from[s+1] is the number of entries of shard s.
func (l *loadedPart) sortByShard(t *Table) {
	for s := range shardCount {
		l.from[s+1] += l.from[s]
	}
	next := l.from
	l.places = make([]place, len(l.entries))
	for i, hash := range l.hashes {
		s := t.shardNumber(hash)
		l.places[next[s]] = place{hash, uint32(i)}
		next[s]++
	}
	l.hashes = nil
}

// load gives an empty partition its entries. The ordered index of them is made when somebody needs it: after a crash the
// database is open so much sooner, and reads of single keys go on meanwhile.
func (p *partition) load(entries []entry, newest uint64) {
	if len(entries) == 0 {
		return
	}
	p.raise(newest)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.loaded = entries
}

// indexLocked enters what was loaded in the ordered index. REQUIRES: p.mu.
func (p *partition) indexLocked() {
	if p.mu.loaded == nil {
		return
	}
	p.mu.tree = btree.NewWithFreeListG(indexDegree, itemLess, btree.NewFreeListG[item](0))
	for i := range p.mu.loaded {
		p.mu.tree.ReplaceOrInsert(itemOf(&p.mu.loaded[i]))
	}
	p.mu.loaded = nil
}

// readLock takes the mutex for reading, with an index that is complete.
func (p *partition) readLock() {
	p.mu.RLock()
	for p.mu.loaded != nil {
		p.mu.RUnlock()
		p.mu.Lock()
		p.indexLocked()
		p.mu.Unlock()
		p.mu.RLock()
	}
}

// loadShard makes one shard of the front.
func (t *Table) loadShard(number int, parts []loadedPart) {
	keys := 0
	for i := range parts {
		keys += int(parts[i].from[number+1] - parts[i].from[number])
	}
	if keys == 0 {
		return
	}
	size := firstSlots
	for 4*keys > 3*size {
		size *= 2
	}
	table, s := newSlots(size), &t.shards[number]
	for i := range parts {
		p := &parts[i]
		for _, at := range p.places[p.from[number]:p.from[number+1]] {
			table.add(at.hash, &p.entries[at.entry])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.keys = keys
	s.slots.Store(table)
	t.bytes.Add(int64(size) * slotBytes)
}
