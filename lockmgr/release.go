package lockmgr

// ReleaseAll gives up every lock of the owner, grants what becomes free, and
// forgets a Kill. The owner may be used again. It must not be called while the
// owner waits. The goroutine need not be the one that acquired, if what that did
// happened before.
func (t *Table) ReleaseAll(o *Owner) {
	if o == nil || o.table != t {
		return
	}
	for i := range o.held {
		h := &o.held[i]
		s := t.shardOf(h.hash)
		s.mu.Lock()
		s.release(h.entry, o)
		s.mu.Unlock()
	}
	o.forget()
	if o.killed.Load() != nil {
		o.killed.Store(nil)
	}
}

// ReleaseIf gives up the locks of the keys for which drop returns true, and grants what becomes free. It is for an
// owner that protects these keys in another way from now on. drop is called without a mutex, and must not keep the key. The
// rest is as for ReleaseAll.
func (t *Table) ReleaseIf(o *Owner, drop func(key []byte) bool) {
	if o == nil || o.table != t {
		return
	}
	kept := o.held[:0]
	for _, h := range o.held {
		if !drop(h.entry.key) {
			kept = append(kept, h)
			continue
		}
		s := t.shardOf(h.hash)
		s.mu.Lock()
		s.release(h.entry, o)
		s.mu.Unlock()
	}
	o.keep(kept)
}

// release takes one lock from its holder and serves the queue.
//
// REQUIRES: s.mu, and o holds e.
func (s *shard) release(e *entry, o *Owner) {
	e.release(o)
	s.holds--
	s.serve(e)
	s.retire(e)
}

// Kill makes the owner's current and future waits fail with err until
// ReleaseAll; nil means ErrKilled. It keeps its locks: who uses the owner must
// release them. Kill may be called from any goroutine, and does not wait.
func (t *Table) Kill(o *Owner, err error) {
	if o == nil || o.table != t {
		return
	}
	if err == nil {
		err = ErrKilled
	}
	reason := &err
	o.killed.Store(reason)
	// The wait may end before the mutex is taken. The next one sees the reason and
	// does not start, unless ReleaseAll has come between: then this is not its kill.
	for s := o.req.in.Load(); s != nil && o.killed.Load() == reason; s = o.req.in.Load() {
		s.kill(o, reason)
	}
}

// kill ends the owner's wait if it is in this shard.
func (s *shard) kill(o *Owner, reason *error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Unless the request stands in this shard, nothing else of it may be read.
	if o.req.in.Load() == s && o.killed.Load() == reason {
		s.withdraw(&o.req, killed, *reason)
	}
}
