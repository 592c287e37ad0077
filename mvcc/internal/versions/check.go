package versions

import (
	"bytes"
	"fmt"
)

// Check verifies the invariants that can be seen in a table at rest, and the accounting. The first
// one that is broken is returned as an *InvariantError. REQUIRES: no Apply and no Prune runs.
// It visits everything.
func (t *Table) Check() error {
	c := checker{table: t, onList: make(map[*entry]int)}
	for i := range t.shards {
		if err := c.checkShard(&t.shards[i]); err != nil {
			return err
		}
	}
	for i := range t.partitions {
		if err := c.checkPartition(&t.partitions[i]); err != nil {
			return err
		}
	}
	return c.checkTotals()
}

type checker struct {
	table  *Table
	onList map[*entry]int // how often a shard lists the entry as a chain
	front  int64          // keys in the front
	index  int64          // keys in the ordered index
	bytes  int64
}

func broken(invariant string, key []byte, format string, args ...any) error {
	return &InvariantError{Invariant: invariant, Key: key, Problem: fmt.Sprintf(format, args...)}
}

func (c *checker) checkShard(s *shard) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, listed := range s.mu.chains {
		c.onList[listed.entry]++
		if lowest := s.prunableAt.Load(); listed.next < lowest {
			return broken("V5", listed.entry.key, "it can be pruned at %d, its shard says %d", listed.next, lowest)
		}
	}
	table := s.slots.Load()
	if table == nil {
		return nil
	}
	keys := 0
	for i := range table.table {
		hash := table.table[i].hash.Load()
		if hash == 0 {
			continue
		}
		keys++
		if err := c.checkSlot(s, hash, table.table[i].entry.Load()); err != nil {
			return err
		}
	}
	if keys != s.mu.keys || 4*keys > 3*len(table.table) {
		return broken("V6", nil, "a shard has %d keys in %d slots, and counts %d", keys, len(table.table), s.mu.keys)
	}
	c.front += int64(keys)
	c.bytes += int64(len(table.table)) * slotBytes
	return nil
}

func (c *checker) checkSlot(s *shard, hash uint64, e *entry) error {
	switch {
	case e == nil:
		return broken("V6", nil, "a slot with a hash has no entry")
	case c.table.hash(e.key) != hash || c.table.shard(hash) != s:
		return broken("V6", e.key, "its slot has another key's hash, or is in another shard")
	case c.table.find(e.key) != e:
		return broken("V6", e.key, "a lookup does not find it")
	}
	return nil
}

func (c *checker) checkPartition(p *partition) error {
	p.readLock()
	defer p.mu.RUnlock()
	keys := 0
	if p.mu.tree != nil {
		keys = p.mu.tree.Len()
	}
	if occupied := c.table.occupied.has(int(p.number)); occupied != (keys > 0) {
		return broken("V7", nil, "partition %d has %d keys, its bit says %v", p.number, keys, occupied)
	}
	if keys == 0 {
		return nil
	}
	c.index += int64(keys)
	var previous *entry
	var err error
	p.mu.tree.Ascend(func(i item) bool {
		if previous != nil && bytes.Compare(previous.key, i.entry.key) >= 0 {
			err = broken("V7", i.entry.key, "it stands after %q", previous.key)
		} else {
			err = c.checkEntry(p, i.entry)
		}
		previous = i.entry
		return err == nil
	})
	return err
}

func (c *checker) checkEntry(p *partition, e *entry) error {
	head := e.head.Load()
	switch {
	case e.partition != p.number || !p.holds(e.key):
		return broken("V7", e.key, "it is outside its partition %d, [%q, %q)", p.number, p.start, p.end)
	case c.table.find(e.key) != e:
		return broken("V3", e.key, "it is in the ordered index and not in the front")
	case head == nil:
		return broken("V3", e.key, "it has no version")
	case head.Timestamp > p.newest.Load():
		return broken("V7", e.key, "its version %d is newer than its partition's newest, %d", head.Timestamp, p.newest.Load())
	}
	c.bytes += entryBytes + itemBytes + int64(len(e.key)) + head.sizeBytes()
	versions := 1
	for v := head; v.Older() != nil; v = v.Older() {
		if v.Timestamp < v.Older().Timestamp {
			return broken("V2", e.key, "version %d stands above version %d", v.Timestamp, v.Older().Timestamp)
		}
		versions++
		c.bytes += v.Older().sizeBytes()
	}
	return c.checkChain(e, versions)
}

func (c *checker) checkChain(e *entry, versions int) error {
	listed, flagged := c.onList[e], e.chained.Load()
	if listed > 1 || (listed == 1) != flagged || (versions > 1) != flagged {
		return broken("V5", e.key, "it has %d versions, flag %v, and is listed %d times", versions, flagged, listed)
	}
	return nil
}

func (c *checker) checkTotals() error {
	switch {
	case c.front != c.index:
		return broken("V3", nil, "the front has %d keys, the ordered index %d", c.front, c.index)
	case c.table.Keys() != c.index:
		return broken("accounting", nil, "Keys is %d, the table has %d", c.table.Keys(), c.index)
	case c.table.Bytes() != c.bytes+c.table.kept.Load():
		return broken("accounting", nil, "Bytes is %d, the table has %d and keeps %d", c.table.Bytes(), c.bytes, c.table.kept.Load())
	}
	return nil
}
