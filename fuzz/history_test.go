package fuzz

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/sombradb/sombra/mvcc"
)

// outcome is what a writer knows of a commit that may have taken place.
type outcome struct {
	id    commitID
	entry *entry // nil when only the acknowledgement came through
	ts    mvcc.Timestamp
	acked bool // otherwise unknown
	epoch int  // recoveries before it
}

// history is what the writers were told, by the nonces of their attempts. An
// attempt that is not in it was refused or rolled back.
type history struct {
	mu struct {
		sync.Mutex
		epoch     int
		outcomes  map[uint64]outcome
		witnessed map[uint64]uint64 // newest commit of each writer that a reader saw
		loads     map[string]bool   // keyspaces whose loads were acknowledged
	}
	// dark: some outcomes never reached the history, because their writer was killed.
	dark bool
}

func newHistory() *history {
	h := &history{}
	h.mu.outcomes, h.mu.witnessed, h.mu.loads = map[uint64]outcome{}, map[uint64]uint64{}, map[string]bool{}
	return h
}

// witness notes that a read-only transaction saw a commit and all before it of that writer.
func (h *history) witness(id commitID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.witnessed[id.writer] = max(h.mu.witnessed[id.writer], id.seq)
}

func (h *history) add(nonce uint64, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.epoch = h.mu.epoch
	h.mu.outcomes[nonce] = o
}

// recovered begins a new epoch: commits that the recovery did not find may be
// missing although later ones are there.
func (h *history) recovered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.epoch++
}

// acknowledged counts the acknowledged commits.
func (h *history) acknowledged() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.mu.outcomes {
		if o.acked {
			n++
		}
	}
	return n
}

// compare verifies H1 to H5.
func (h *history) compare(s *survivors) error {
	lost, err := h.examine(s)
	switch {
	case err != nil:
		return err
	case len(lost) > 0:
		return violated("%d acknowledged commits are lost, one is %v, timestamp %d", len(lost), lost[0].id, lost[0].ts)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for writer, seq := range h.mu.witnessed {
		if s.heads[writer].seq < seq {
			return violated("commit %d/%d was seen by a reader and is lost", writer, seq)
		}
	}
	return nil
}

// examine verifies H2 to H4 and returns what H1 forbids: the acknowledged commits that are lost.
func (h *history) examine(s *survivors) (lost []outcome, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	newest, err := h.knownLocked(s)
	if err != nil {
		return nil, err
	}
	for nonce, o := range h.mu.outcomes {
		e := s.entries[o.id]
		there := e != nil && e.nonce == nonce
		switch {
		case !there && o.ts <= newest[o.epoch]:
			return nil, violated("commit %v, timestamp %d, is missing although one with timestamp %d is there", o.id, o.ts, newest[o.epoch])
		case !there && o.acked:
			lost = append(lost, o)
		case there && o.entry != nil && !reflect.DeepEqual(e, o.entry):
			return nil, violated("commit %v is there as %+v, written was %+v", o.id, e, o.entry)
		}
	}
	return lost, nil
}

// knownLocked verifies that no survivor was refused (H2), and returns the newest timestamp of each epoch. REQUIRES: mu.
func (h *history) knownLocked(s *survivors) (newest map[int]mvcc.Timestamp, err error) {
	newest = map[int]mvcc.Timestamp{}
	for id, e := range s.entries {
		o, known := h.mu.outcomes[e.nonce]
		if !known && !h.dark {
			return nil, violated("commit %v is there, and its writer was told that it failed", id)
		}
		newest[o.epoch] = max(newest[o.epoch], o.ts)
	}
	return newest, nil
}

// settle makes what a recovery found the truth that later ones must keep:
// unknown outcomes become known. REQUIRES: compare found nothing.
func (h *history) settle(s *survivors) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for nonce, o := range h.mu.outcomes {
		if e := s.entries[o.id]; e == nil || e.nonce != nonce {
			delete(h.mu.outcomes, nonce)
		}
	}
	h.mu.witnessed = map[uint64]uint64{}
	for id, e := range s.entries {
		o := h.mu.outcomes[e.nonce]
		o.id, o.entry, o.acked = id, e, true
		h.mu.outcomes[e.nonce] = o
	}
}

// clone returns an independent copy, for images that go different ways.
func (h *history) clone() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := newHistory()
	c.dark, c.mu.epoch = h.dark, h.mu.epoch
	maps.Copy(c.mu.outcomes, h.mu.outcomes)
	maps.Copy(c.mu.witnessed, h.mu.witnessed)
	maps.Copy(c.mu.loads, h.mu.loads)
	return c
}

// completedBy returns h, taken in the middle of a run, with what the whole history knows of the commits that were on
// their way then: they may be there or not, and no other may.
func (h *history) completedBy(whole *history) *history {
	c := h.clone()
	whole.mu.Lock()
	defer whole.mu.Unlock()
	for nonce, o := range whole.mu.outcomes {
		if _, known := c.mu.outcomes[nonce]; !known {
			o.acked = false
			c.mu.outcomes[nonce] = o
		}
	}
	return c
}

// loaded notes that a keyspace is there.
func (h *history) loaded(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.loads[name] = true
}

// compareLoads verifies that the acknowledged loads are there, and settles the others.
func (h *history) compareLoads(names []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	there := map[string]bool{}
	for _, name := range names {
		there[name] = isLoad(name)
	}
	for name := range h.mu.loads {
		if !there[name] {
			return violated("keyspace %q was loaded and is lost", name)
		}
	}
	for name, load := range there {
		if load {
			h.mu.loads[name] = true
		}
	}
	return nil
}

// timestamps returns those of the commits that are there, ascending.
func (h *history) timestamps(s *survivors) (at []mvcc.Timestamp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range s.entries {
		at = append(at, h.mu.outcomes[e.nonce].ts)
	}
	slices.Sort(at)
	return at
}
