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
	freed := int64(0)
	for i := range t.shards {
		if s := &t.shards[i]; s.prunableAt.Load() <= horizon {
			freed += s.prune(horizon)
		}
	}
	t.bytes.Add(-freed)
	return freed
}

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
func (s *shard) prune(horizon uint64) (freedBytes int64) {
	chains := s.takeChains()
	kept, prunableAt := chains[:0], uint64(never)
	for _, c := range chains {
		rest, freed, still := c.cut(horizon)
		freedBytes += freed
		if still {
			kept = append(kept, rest)
			prunableAt = min(prunableAt, rest.next)
		}
	}
	clear(chains[len(kept):])
	s.returnChains(kept, prunableAt)
	return freedBytes
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
func (c chain) cut(horizon uint64) (rest chain, freedBytes int64, still bool) {
	if c.next > horizon {
		return c, 0, true
	}
	var above *Version
	v := c.entry.head.Load()
	for v != nil && v.Timestamp > horizon {
		above, v = v, v.older.Load()
	}
	if v == nil { // all are newer
		return c, 0, true
	}
	freedBytes = v.dropOlder()
	if above != nil {
		return chain{c.entry, above.Timestamp}, freedBytes, true
	}
	rest, still = c.release(v)
	return rest, freedBytes, still
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
func (v *Version) dropOlder() (freedBytes int64) {
	for v != nil {
		older := v.older.Load()
		if older != nil {
			freedBytes += older.sizeBytes()
			v.older.Store(nil)
		}
		v = older
	}
	return freedBytes
}
