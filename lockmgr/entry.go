package lockmgr

// notContended is the place of an entry that nobody waits for.
const notContended = -1

// entry is one locked key. The shard's mutex guards all of it, except that hash
// and key do not change while somebody holds or awaits the lock, so that owners
// may compare their own keys without the mutex.
type entry struct {
	hash    uint64
	key     []byte
	chain   *entry // next in the bucket, or in the free list
	holders []holder
	inline  [2]holder // backs holders in the usual case
	granted modeCounts
	queue   queue
	// contended is the place in shard.contended, or notContended.
	contended int
}

// holder is one granted lock.
type holder struct {
	owner *Owner
	mode  Mode
}

// admits reports whether the holders allow mode to an owner that holds the key
// in mode held itself (None: not at all).
func (e *entry) admits(mode, held Mode) bool {
	return !mode.conflictsWithAny(e.granted.set(held))
}

// grant makes the owner a holder in mode, or raises its mode from held.
func (e *entry) grant(o *Owner, mode, held Mode) {
	e.granted[mode]++
	if held == None {
		e.holders = append(e.holders, holder{o, mode})
		return
	}
	e.granted[held]--
	e.holders[e.holderAt(o)].mode = mode
}

// release removes the owner from the holders. The order of holders means
// nothing, so the last takes the free place.
func (e *entry) release(o *Owner) {
	at, last := e.holderAt(o), len(e.holders)-1
	e.granted[e.holders[at].mode]--
	e.holders[at] = e.holders[last]
	e.holders[last] = holder{}
	e.holders = e.holders[:last]
}

// holderAt returns the owner's place among the holders.
//
// REQUIRES: o holds the key.
func (e *entry) holderAt(o *Owner) int {
	at := 0
	for e.holders[at].owner != o {
		at++
	}
	return at
}

// idle reports whether nobody holds or awaits the lock.
func (e *entry) idle() bool { return len(e.holders) == 0 && e.queue.first == nil }

// place returns where a request belongs in the queue (before which request; nil:
// at the end), and whether it may be granted at once: neither holders nor
// requests ahead of it conflict (L5).
func (e *entry) place(mode, held Mode) (before *request, free bool) {
	if e.idle() {
		return nil, true
	}
	if held == None {
		return nil, !mode.conflictsWithAny(e.granted.set(None) | e.queue.counts.set(None))
	}
	var ahead modeSet
	for before = e.queue.first; before != nil && !before.yieldsTo(mode, held); before = before.next {
		ahead |= before.mode.bit()
	}
	return before, !mode.conflictsWithAny(e.granted.set(held) | ahead)
}

// blocks reports whether the owner is in the way of a request in the queue: as a
// holder, or by an own request ahead of it.
func (e *entry) blocks(o *Owner, r *request) bool {
	for i := range e.holders {
		if h := &e.holders[i]; h.owner == o && o != r.owner && r.mode.conflictsWith(h.mode) {
			return true
		}
	}
	for p := r.prev; p != nil; p = p.prev {
		if p.owner == o {
			return r.mode.conflictsWith(p.mode)
		}
	}
	return false
}
