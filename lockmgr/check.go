package lockmgr

import (
	"bytes"
	"fmt"
)

// CheckError describes a broken invariant of the table: a fault of this package.
type CheckError struct {
	Shard   int
	Key     []byte // nil when the fault is not about one key
	Problem string
}

func (e *CheckError) Error() string {
	if e.Key == nil {
		return fmt.Sprintf("lockmgr: check of shard %d: %s", e.Shard, e.Problem)
	}
	return fmt.Sprintf("lockmgr: check of shard %d, key %s: %s", e.Shard, quoted(e.Key), e.Problem)
}

// Check verifies the table: each shard in itself, under its mutex, while the
// others go on. It returns the first *CheckError found. Its cost grows with the
// number of holders and waiters.
func (t *Table) Check() error {
	for i := range t.shards {
		if err := t.shards[i].check(); err != nil {
			err.Shard = i
			return err
		}
	}
	return nil
}

func (s *shard) check() *CheckError {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *CheckError
	keys, holds, queues, keyBytes := 0, 0, 0, 0
	s.index.each(func(e *entry) {
		keys++
		holds += len(e.holders)
		keyBytes += cap(e.key)
		if e.queue.first != nil {
			queues++
		}
		if first == nil {
			first = s.checkEntry(e)
		}
	})
	spare := 0
	for e := s.free; e != nil; e = e.chain {
		spare++
		keyBytes += cap(e.key)
		if !e.idle() || e.contended != notContended {
			return &CheckError{Key: e.key, Problem: "in use, but in the free list"}
		}
	}
	if first != nil {
		return first
	}
	return s.checkCounts([]counted{
		{"keys", keys, s.index.count}, {"holders", holds, s.holds}, {"queues", queues, len(s.contended)},
		{"spare entries", spare, s.spare}, {"key bytes", keyBytes, s.keyBytes},
	})
}

// counted is a number that was kept and the same, counted anew.
type counted struct {
	what        string
	found, kept int
}

func (s *shard) checkCounts(counts []counted) *CheckError {
	for _, c := range counts {
		if c.found != c.kept {
			return &CheckError{Problem: fmt.Sprintf("%d %s, but the count says %d", c.found, c.what, c.kept)}
		}
	}
	return nil
}

func (s *shard) checkEntry(e *entry) *CheckError {
	problem := ""
	switch {
	case s.table.hash(e.key) != e.hash || s.table.shardOf(e.hash) != s:
		problem = "hash or shard does not fit the key"
	case s.index.find(e.hash, e.key) != e:
		problem = "not found by its key"
	case e.idle():
		problem = "neither held nor awaited, but still in the table"
	case (e.contended != notContended) != (e.queue.first != nil):
		problem = "contended mark does not fit the queue"
	case e.contended != notContended && s.contended[e.contended] != e:
		problem = "not at its place among the contended entries"
	default:
		if problem = e.checkHolders(); problem == "" {
			problem = s.checkQueue(e)
		}
	}
	if problem == "" {
		return nil
	}
	return &CheckError{Key: bytes.Clone(e.key), Problem: problem}
}

// checkHolders verifies L1 and the counts.
func (e *entry) checkHolders() string {
	var counts modeCounts
	seen := make(map[*Owner]bool, len(e.holders))
	for _, h := range e.holders {
		if seen[h.owner] {
			return fmt.Sprintf("owner %d holds it twice", h.owner.info.ID)
		}
		seen[h.owner] = true
		counts[h.mode]++
	}
	if counts != e.granted {
		return fmt.Sprintf("holders by mode are %v, but the counts say %v", counts, e.granted)
	}
	for _, h := range e.holders {
		if h.mode == None || h.mode.conflictsWithAny(counts.set(h.mode)) {
			return fmt.Sprintf("holders by mode are %v, which conflict", counts)
		}
	}
	return ""
}

// checkQueue verifies L2, L4 and that each request is for more than is held (L9).
func (s *shard) checkQueue(e *entry) string {
	var counts modeCounts
	var ahead modeSet
	var last *request
	for r := e.queue.first; r != nil; r = r.next {
		id := r.owner.info.ID
		switch {
		case r.prev != last:
			return fmt.Sprintf("request of owner %d is not linked to the one before", id)
		case r.in.Load() != s || r.entry != e || r.outcome() != waiting:
			return fmt.Sprintf("request of owner %d is in the queue, but does not wait here", id)
		case e.modeOf(r.owner) != r.held:
			return fmt.Sprintf("waiting owner %d holds %v, but its request says %v", id, e.modeOf(r.owner), r.held)
		case r.mode == r.held || r.mode.join(r.held) != r.mode:
			return fmt.Sprintf("waiting owner %d holds %v, but asks for %v", id, r.held, r.mode)
		case e.admits(r.mode, r.held) && !r.mode.conflictsWithAny(ahead):
			return fmt.Sprintf("request of owner %d for %v could be granted, but waits", id, r.mode)
		}
		counts[r.mode]++
		ahead |= r.mode.bit()
		last = r
	}
	if last != e.queue.last || counts != e.queue.counts {
		return fmt.Sprintf("queue ends wrongly, or its counts: %v, but kept %v", counts, e.queue.counts)
	}
	return ""
}

// modeOf returns the mode in which the owner holds the key.
func (e *entry) modeOf(o *Owner) Mode {
	for _, h := range e.holders {
		if h.owner == o {
			return h.mode
		}
	}
	return None
}
