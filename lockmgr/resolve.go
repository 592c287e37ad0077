package lockmgr

import (
	"slices"
	"time"

	"github.com/sombradb/sombra/deadlock"
)

// resolve verifies a cycle of the survey against the table and, if it is real,
// ends one of its waits and returns the report. nil means that the cycle was
// gone, and that nobody was ended.
func (t *Table) resolve(sv *survey, cycle []int) *deadlock.Error {
	// The user's functions run before the mutexes are taken. What they say belongs
	// to these waits and stays true while the waits last, which verification proves.
	members := make([]*wait, len(cycle))
	keys := make(map[*entry]*awaited, len(cycle))
	parties := make([]deadlock.Waiter, len(cycle))
	order := make([]int, len(cycle))
	for i, at := range cycle {
		w := &sv.waits[at]
		members[i], order[i] = w, i
		if a := keys[w.entry]; a != nil {
			a.others = true
		} else {
			keys[w.entry] = &awaited{name: t.opts.Describe(sv.key(w)), by: w.owner}
		}
		parties[i] = w.contender()
	}
	shards := lockShards(members)
	defer unlockShards(shards)
	if !verified(members) {
		return nil
	}
	at, reason := deadlock.Victim(parties, order)
	report := describe(members, parties, keys)
	report.Reason = reason
	report.Cycle[at].Victim = true
	report.Cycle = slices.Concat(report.Cycle[at:], report.Cycle[:at]) // the victim first
	if loser := members[at]; !loser.shard.withdraw(&loser.owner.req, victim, report) {
		return nil
	}
	return report
}

// awaited is a key that members of a cycle want.
type awaited struct {
	name   string
	by     *Owner // the first of them
	others bool   // more than that one
	listed bool   // its holders are in the report
}

// contender returns what the choice of the victim looks at.
func (w *wait) contender() deadlock.Waiter {
	info := &w.owner.info
	work := int64(w.locks)
	if info.Work != nil {
		work += info.Work()
	}
	return deadlock.Waiter{
		ID: deadlock.TxnID(info.ID), WaitSeq: w.seq, Work: work,
		Priority: info.Priority, Retries: info.Retries, Began: uint64(info.Began.UnixNano()),
	}
}

// lockShards locks the shards of all members in the order of their numbers
// (the lock order), and returns them.
func lockShards(members []*wait) []*shard {
	t := members[0].shard.table
	var wanted [shardCount]bool
	for _, w := range members {
		wanted[w.shard.number] = true
	}
	var locked []*shard
	for i := range t.shards {
		if wanted[i] {
			t.shards[i].mu.Lock()
			locked = append(locked, &t.shards[i])
		}
	}
	return locked
}

func unlockShards(shards []*shard) {
	for _, s := range slices.Backward(shards) {
		s.mu.Unlock()
	}
}

// verified reports whether the members still wait as they did in the survey, each
// for the next, the last for the first. With all shards locked that makes a
// deadlock: no member can do anything about another's wait.
//
// REQUIRES: the mutexes of the shards of all members.
func verified(members []*wait) bool {
	for _, w := range members {
		if r := &w.owner.req; r.in.Load() != w.shard || r.seq != w.seq {
			return false
		}
	}
	for i, w := range members {
		next := members[(i+1)%len(members)]
		if !w.entry.blocks(next.owner, &w.owner.req) {
			return false
		}
	}
	return true
}

// describe returns the report about a cycle, without a victim.
//
// REQUIRES: the mutexes of the shards of all members, and a verified cycle.
func describe(members []*wait, contenders []deadlock.Waiter, keys map[*entry]*awaited) *deadlock.Error {
	now := time.Now()
	report := &deadlock.Error{At: now, Cycle: make([]deadlock.Party, len(members))}
	place := make(map[*Owner]int, len(members))
	for i, w := range members {
		info := &w.owner.info
		place[w.owner] = i
		report.Cycle[i] = deadlock.Party{
			ID: deadlock.TxnID(info.ID), Label: info.Label, Isolation: info.Isolation,
			Age: now.Sub(info.Began), Waited: now.Sub(w.owner.req.since),
			Priority: info.Priority, Retries: info.Retries, Work: contenders[i].Work,
			Wants: deadlock.Lock{Key: keys[w.entry].name, Mode: w.mode.String()},
		}
	}
	for _, w := range members {
		if a := keys[w.entry]; !a.listed {
			a.listed = true
			a.addHolders(report, w.entry, place)
		}
	}
	return report
}

// addHolders notes who of the cycle holds the key, if another member wants it.
func (a *awaited) addHolders(report *deadlock.Error, e *entry, place map[*Owner]int) {
	for _, h := range e.holders {
		if at, inCycle := place[h.owner]; inCycle && (a.others || a.by != h.owner) {
			held := deadlock.Lock{Key: a.name, Mode: h.mode.String()}
			report.Cycle[at].Holds = append(report.Cycle[at].Holds, held)
		}
	}
}

// keptReports is how many deadlock reports stay readable.
const keptReports = 64

// publish keeps the report and tells the observer.
func (t *Table) publish(report *deadlock.Error) {
	t.counters.deadlocks.Add(1)
	p := &t.reports
	p.mu.Lock()
	p.mu.ring[p.mu.next%keptReports] = report
	p.mu.next++
	p.mu.Unlock()
	if t.opts.OnDeadlock != nil {
		t.opts.OnDeadlock(report)
	}
}

// Deadlocks returns the last reports, newest first, at most 64.
func (t *Table) Deadlocks() []*deadlock.Error {
	p := &t.reports
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := make([]*deadlock.Error, 0, min(p.mu.next, keptReports))
	for i := range cap(kept) {
		kept = append(kept, p.mu.ring[(p.mu.next-1-i)%keptReports])
	}
	return kept
}
