package versions

// Write is one change of a commit.
type Write struct {
	Key []byte
	// Value is not used by a Delete.
	Value []byte
	Kind  Kind
}

// maxRun is the number of writes that are looked up together before any is entered. Their entries
// fit on the stack, and the run bounds how long a partition's mutex is held.
const maxRun = 16

// Apply adds the writes of one commit, in ascending key order. Keys and values are kept, not
// copied: the caller must not change them again. For one key, calls come in ascending timestamp
// order (the caller holds the key's lock); for different keys in any order, and concurrently.
//
// Of a key that stands twice in one call, the later write wins. Keys in another order cost only
// speed. When Apply returns, everything is in both indexes; it is the caller who then lets
// readers use the timestamp (V1).
func (t *Table) Apply(timestamp uint64, writes []Write) {
	var keys, bytes int64
	if !t.used.Load() {
		t.used.Store(true)
	}
	for len(writes) > 0 {
		r := run{table: t, timestamp: timestamp, writes: writes[:min(maxRun, len(writes))]}
		r.lookUp()
		r.enter()
		keys += int64(r.added)
		bytes += r.bytes
		writes = writes[len(r.writes):]
	}
	if keys != 0 {
		t.keys.Add(keys)
	}
	t.bytes.Add(bytes)
}

// run is a part of a commit: at most maxRun writes.
type run struct {
	table     *Table
	timestamp uint64
	writes    []Write

	hashes  [maxRun]uint64
	present [maxRun]*entry // nil where the key is new
	missing int

	// fresh holds the new entries in key order, until they are in the ordered index.
	fresh [maxRun]*entry
	added int
	bytes int64
}

func (r *run) lookUp() {
	for i := range r.writes {
		key := r.writes[i].Key
		r.hashes[i] = r.table.hash(key)
		r.present[i] = r.table.shard(r.hashes[i]).find(r.hashes[i], key)
		if r.present[i] == nil {
			r.missing++
		}
	}
}

// enter puts all versions in the front, and then the new entries in the ordered index.
func (r *run) enter() {
	var born []newborn
	if r.missing > 0 {
		born = r.table.nurseries[r.hashes[0]/2%nurseries].take(r.missing)
	}
	for i := range r.writes {
		w := &r.writes[i]
		if r.present[i] != nil {
			v := &Version{Timestamp: r.timestamp, Kind: w.Kind, Value: w.Value}
			r.bytes += v.sizeBytes()
			r.update(r.present[i], v, r.hashes[i])
			continue
		}
		v := &born[0].version
		v.Timestamp, v.Kind, v.Value, v.first = r.timestamp, w.Kind, w.Value, true
		r.bytes += v.sizeBytes()
		r.create(&born[0].entry, w.Key, v, r.hashes[i])
		born = born[1:]
	}
	r.index()
}

// update adds a version to a key that the table has.
func (r *run) update(e *entry, v *Version, hash uint64) {
	r.table.partitions[e.partition].raise(r.timestamp)
	e.push(v)
	// The head is stored before the flag is looked at (V5).
	if !e.chained.Load() {
		r.table.shard(hash).track(e, r.timestamp)
	}
}

// create completes the entry of a new key and puts it in the front.
func (r *run) create(e *entry, key []byte, v *Version, hash uint64) {
	p := r.partition(key)
	p.raise(r.timestamp)
	e.key, e.partition = key, p.number
	e.head.Store(v)
	present, grownBytes := r.table.shard(hash).insert(hash, e)
	if present != nil { // the same key stands earlier in this call
		r.update(present, v, hash)
		return
	}
	r.fresh[r.added] = e
	r.added++
	r.bytes += entryBytes + itemBytes + int64(len(key)) + grownBytes
}

// partition returns the partition of the key, which mostly is that of the key before it.
func (r *run) partition(key []byte) *partition {
	if r.added > 0 {
		if p := &r.table.partitions[r.fresh[r.added-1].partition]; p.holds(key) {
			return p
		}
	}
	return &r.table.partitions[r.table.locate(key)]
}

// index enters the new entries in the ordered index, taking each partition's mutex once for all
// neighbours that belong to it.
func (r *run) index() {
	for fresh := r.fresh[:r.added]; len(fresh) > 0; {
		number := int(fresh[0].partition)
		inserted, first := r.table.partitions[number].insert(fresh)
		if first {
			r.table.occupied.set(number)
		}
		fresh = fresh[inserted:]
	}
}
