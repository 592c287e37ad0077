package versions

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/internal/hugepage"
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
	loaded := allocateParts(parts)
	inParallel(goroutines, len(parts), func(i int) { loaded[i].load(t, i, parts[i]) })
	fronts := allocateFronts(loaded)
	inParallel(goroutines, shardCount, func(i int) { t.loadShard(i, fronts[i], loaded) })
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

// allocateParts gives the parts their memory, in a few large pieces.
func allocateParts(parts []Part) []loadedPart {
	keys, all := 0, 0
	for i := range parts {
		keys, all = keys+parts[i].Keys, all+parts[i].Versions
	}
	entries, versions := hugepage.Make[entry](keys), hugepage.Make[Version](all)
	hashes, places := hugepage.Make[uint64](keys), hugepage.Make[uint32](keys)
	loaded := make([]loadedPart, len(parts))
	for i := range loaded {
		k, v := parts[i].Keys, parts[i].Versions
		loaded[i] = loadedPart{entries: entries[:0:k], versions: versions[:0:v], hashes: hashes[:0:k], places: places[:0:k]}
		entries, versions, hashes, places = entries[k:], versions[v:], hashes[k:], places[k:]
	}
	return loaded
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
	entries  []entry
	versions []Version
	bytes    int64
	// places are the entries by shard, as indexes: those of shard s are places[from[s]:from[s+1]]. hashes are theirs.
	hashes []uint64
	places []uint32
	from   [shardCount + 1]int32
}

// load makes the entries and the ordered index of one part. They share their memory: a table that was loaded is not
// smaller after Prune.
func (l *loadedPart) load(t *Table, number int, part Part) {
	newest := uint64(0)
	hashes := hashLists.Get().(*[]uint64)
	defer hashLists.Put(hashes)
	*hashes = slices.Grow((*hashes)[:0], part.Keys)
	var at *entry
	part.Each(func(w Write, timestamp uint64) {
		l.versions = append(l.versions, Version{Timestamp: timestamp, Kind: w.Kind, Value: w.Value})
		v := &l.versions[len(l.versions)-1]
		newest = max(newest, timestamp)
		l.bytes += v.sizeBytes()
		if at != nil && string(at.key) == string(w.Key) {
			at.push(v)
			if !at.chained.Load() {
				t.shard((*hashes)[len(*hashes)-1]).track(at, timestamp)
			}
			return
		}
		v.first = true
		l.entries = append(l.entries, entry{key: w.Key, partition: uint32(number)})
		at = &l.entries[len(l.entries)-1]
		at.head.Store(v)
		hash := t.hash(w.Key)
		*hashes = append(*hashes, hash)
		l.from[t.shardNumber(hash)+1]++
		l.bytes += entryBytes + itemBytes + int64(len(w.Key))
	})
	l.sortByShard(t, *hashes)
	t.partitions[number].load(l.entries, newest)
}

// hashLists are hashes of a part's entries in the order of the entries. They are short, so one that is used again is still
// near the processor.
var hashLists = sync.Pool{New: func() any { return new([]uint64) }}

// sortByShard fills places and hashes. REQUIRES: from[s+1] is the number of entries of shard s.
func (l *loadedPart) sortByShard(t *Table, hashes []uint64) {
	for s := range shardCount {
		l.from[s+1] += l.from[s]
	}
	next := l.from
	l.hashes, l.places = l.hashes[:len(hashes)], l.places[:len(hashes)]
	for i, hash := range hashes {
		s := t.shardNumber(hash)
		l.hashes[next[s]], l.places[next[s]] = hash, uint32(i)
		next[s]++
	}
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
	p.late.begin(len(entries))
}

// allocateFronts gives the shards their slots, in one large piece; nil to those without keys.
func allocateFronts(parts []loadedPart) (fronts [shardCount]*slots) {
	var sizes [shardCount]int
	sum := 0
	for number := range sizes {
		keys := 0
		for i := range parts {
			keys += int(parts[i].from[number+1] - parts[i].from[number])
		}
		if keys == 0 {
			continue
		}
		sizes[number] = firstSlots
		for 4*keys > 3*sizes[number] {
			sizes[number] *= 2
		}
		sum += sizes[number]
	}
	all := hugepage.Make[slot](sum)
	for number, size := range sizes {
		if size > 0 {
			fronts[number] = &slots{mask: uint64(size - 1), table: all[:size:size]}
			all = all[size:]
		}
	}
	return fronts
}

// loadShard fills one shard of the front.
func (t *Table) loadShard(number int, table *slots, parts []loadedPart) {
	if table == nil {
		return
	}
	s, keys := &t.shards[number], 0
	for i := range parts {
		p := &parts[i]
		for i := p.from[number]; i < p.from[number+1]; i++ {
			table.add(p.hashes[i], &p.entries[p.places[i]])
		}
		keys += int(p.from[number+1] - p.from[number])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.keys = keys
	s.slots.Store(table)
	t.bytes.Add(int64(len(table.table)) * slotBytes)
}
