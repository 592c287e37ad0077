package vfs

import (
	"io/fs"
	"maps"
	"slices"
	"time"
)

// memDir holds a directory's entries. Guarded by Mem.mu.
type memDir struct {
	live    map[string]*memNode // what a process sees
	durable map[string]*memNode // what is left when the power fails now
}

func newMemDir() *memDir {
	return &memDir{live: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// entryChange puts node under name in dir, or removes the name when node is
// nil.
type entryChange struct {
	dir  *memNode
	name string
	node *memNode
}

// dirOp is one atomic change of the namespace. It survives a crash as a whole
// or not at all (M4).
type dirOp struct {
	// touched are the directories whose earlier operations must be durable
	// for this one to be: those that change, a directory that is removed and,
	// for a move between directories, the parents of the new place.
	touched []*memNode
	changes []entryChange
}

func newDirOp(touched []*memNode, changes ...entryChange) dirOp {
	return dirOp{touched: touched, changes: changes}
}

// apply carries the changes out on the entries that entriesOf returns.
func (op *dirOp) apply(entriesOf func(*memNode) map[string]*memNode) {
	for _, c := range op.changes {
		if c.node == nil {
			delete(entriesOf(c.dir), c.name)
		} else {
			entriesOf(c.dir)[c.name] = c.node
		}
	}
}

func liveEntries(n *memNode) map[string]*memNode    { return n.dir.live }
func durableEntries(n *memNode) map[string]*memNode { return n.dir.durable }

// applyLocked carries out an operation, still unsynced. REQUIRES: m.mu held for
// writing.
func (m *Mem) applyLocked(op dirOp) {
	op.apply(liveEntries)
	m.mu.dirLog = append(m.mu.dirLog, op)
}

// syncDirLocked makes durable every logged operation on dir and those that they
// build on. REQUIRES: m.mu held for writing.
func (m *Mem) syncDirLocked(dir *memNode) {
	needed := map[*memNode]bool{dir: true}
	durable := make([]bool, len(m.mu.dirLog))
	for i := len(m.mu.dirLog) - 1; i >= 0; i-- {
		touched := m.mu.dirLog[i].touched
		if !slices.ContainsFunc(touched, func(n *memNode) bool { return needed[n] }) {
			continue
		}
		durable[i] = true
		for _, n := range touched {
			needed[n] = true
		}
	}
	var rest []dirOp
	for i, op := range m.mu.dirLog {
		if durable[i] {
			op.apply(durableEntries)
		} else {
			rest = append(rest, op)
		}
	}
	m.mu.dirLog = rest
}

// survivorsLocked returns the durable entries of all directories after a crash
// that keeps, per directory, the first unsynced operations only, how many dice
// decides. REQUIRES: m.mu held.
func (m *Mem) survivorsLocked(d dice) func(*memNode) map[string]*memNode {
	unsynced := map[*memNode]int{}
	for _, op := range m.mu.dirLog {
		for _, n := range op.touched {
			unsynced[n]++
		}
	}
	left := make(map[*memNode]int, len(unsynced))
	for n, count := range unsynced {
		left[n] = d.upTo(count, n.id, diceEntries)
	}
	after := map[*memNode]map[string]*memNode{}
	entriesOf := func(n *memNode) map[string]*memNode {
		if after[n] == nil {
			after[n] = maps.Clone(n.dir.durable)
		}
		return after[n]
	}
	for _, op := range m.mu.dirLog {
		if survives(op, left) {
			op.apply(entriesOf)
		}
	}
	return entriesOf
}

// survives uses up one of the operations left in each touched directory. An
// operation that one of them loses ends the others' prefixes too: later ones
// there may build on it.
func survives(op dirOp, left map[*memNode]int) bool {
	lost := slices.ContainsFunc(op.touched, func(n *memNode) bool { return left[n] == 0 })
	for _, n := range op.touched {
		if lost {
			left[n] = 0
		} else {
			left[n]--
		}
	}
	return !lost
}

// memInfo describes a node at the time of the call.
type memInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
