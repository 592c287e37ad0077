package versions

// chain is a key with more than one version, on the list of its shard.
type chain struct {
	entry *entry
	// next is at or after the timestamp of the second oldest version: below it there is nothing to
	// cut. Looking at it costs no pointer, and spares a walk down a long chain in vain.
	next uint64
}

// Prune drops versions that no snapshot can see: of the versions at or before horizon, all but the
// newest, key by key. It returns the bytes freed. The horizon must not be above any timestamp that
// readers use now or later (V4): the oldest active snapshot, or the watermark if there is none.
//
// It visits only keys with a version to drop, and costs 256 loads when there is none. Calls
// of Prune wait for each other.
func (t *Table) Prune(horizon uint64) int64 {
	t.pruning.Lock()
	defer t.pruning.Unlock()
	var sum pruned
	for i := range t.shards {
		if s := &t.shards[i]; s.prunableAt.Load() <= horizon {
			sum.add(s.prune(horizon))
		}
	}
	t.bytes.Add(-sum.freed)
	t.kept.Add(sum.kept)
	return sum.freed
}

// pruned are bytes of versions that were dropped: those that are free, and those that the entries of their keys keep.
type pruned struct{ freed, kept int64 }

func (p *pruned) add(more pruned) { p.freed, p.kept = p.freed+more.freed, p.kept+more.kept }

// track enters the key in the list of chains unless it is there, and thereby sets its flag (V5).
func (s *shard) track(e *entry, next uint64) {
	if !e.chained.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.chains = append(s.mu.chains, chain{e, next})
	s.prunableAt.Store(min(s.prunableAt.Load(), next))
}

// prune takes the list away, cuts without the mutex, and puts back what is still a chain.
// REQUIRES: Table.pruning is held.
func (s *shard) prune(horizon uint64) (sum pruned) {
	chains := s.takeChains()
	kept, prunableAt := chains[:0], uint64(never)
	for _, c := range chains {
		rest, bytes, still := c.cut(horizon)
		sum.add(bytes)
		if still {
			kept = append(kept, rest)
			prunableAt = min(prunableAt, rest.next)
		}
	}
	clear(chains[len(kept):])
	s.returnChains(kept, prunableAt)
	return sum
}

func (s *shard) takeChains() []chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	chains := s.mu.chains
	s.mu.chains = nil
	s.prunableAt.Store(never)
	return chains
}

// returnChains puts the chains back, beside those that were tracked meanwhile.
func (s *shard) returnChains(chains []chain, prunableAt uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.chains = append(chains, s.mu.chains...)
	s.prunableAt.Store(min(s.prunableAt.Load(), prunableAt))
}

// cut drops the versions below the newest at or before horizon. It returns the chain as it stands
// in the list from now on, and whether it does so at all.
func (c chain) cut(horizon uint64) (rest chain, bytes pruned, still bool) {
	if c.next > horizon {
		return c, pruned{}, true
	}
	var above *Version
	v := c.entry.head.Load()
	for v != nil && v.Timestamp > horizon {
		above, v = v, v.older.Load()
	}
	if v == nil { // all are newer
		return c, pruned{}, true
	}
	bytes = v.dropOlder()
	if above != nil {
		return chain{c.entry, above.Timestamp}, bytes, true
	}
	rest, still = c.release(v)
	return rest, bytes, still
}

// release takes the entry from the list, because v is its only version, unless Apply has just
// added another and left it to us.
func (c chain) release(v *Version) (rest chain, still bool) {
	// The flag is cleared before the head is looked at (V5).
	c.entry.chained.Store(false)
	newest := c.entry.head.Load()
	if newest == v || !c.entry.chained.CompareAndSwap(false, true) {
		return chain{}, false
	}
	return chain{c.entry, newest.Timestamp}, true
}

// dropOlder unlinks all versions below v, also from each other, so that one that is still held
// by somebody retains none of the rest. It returns their bytes.
func (v *Version) dropOlder() (bytes pruned) {
	for v != nil {
		older := v.older.Load()
		if older != nil {
			v.older.Store(nil)
			if older.first {
				bytes.kept += older.sizeBytes()
			} else {
				bytes.freed += older.sizeBytes()
			}
		}
		v = older
	}
	return bytes
}
