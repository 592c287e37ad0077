package vfs

import (
	"fmt"
	"maps"
	"path"
)

// Check verifies the invariants M1 and M3 of a Mem: durable state plus the
// unsynced operations make up what a process sees, for every file and
// directory. M5 needs a different number for each node.
func (m *Mem) Check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	replayed := map[*memNode]map[string]*memNode{}
	entriesOf := func(n *memNode) map[string]*memNode {
		if replayed[n] == nil {
			replayed[n] = maps.Clone(n.dir.durable)
		}
		return replayed[n]
	}
	for _, op := range m.mu.dirLog {
		op.apply(entriesOf)
	}
	c := treeChecker{entriesOf: entriesOf, ids: map[uint64]bool{}, nextID: m.mu.nextID}
	return c.check(m.mu.root, "/")
}

type treeChecker struct {
	entriesOf func(*memNode) map[string]*memNode
	ids       map[uint64]bool
	nextID    uint64
}

// check verifies a node and what lies below. REQUIRES: Mem.mu held for writing.
func (c *treeChecker) check(n *memNode, name string) error {
	if c.ids[n.id] || n.id >= c.nextID {
		return &checkError{name, fmt.Sprintf("its number %d is not its own", n.id)}
	}
	c.ids[n.id] = true
	if n.file != nil {
		if problem := n.file.check(); problem != "" {
			return &checkError{name, problem}
		}
		return nil
	}
	if !maps.Equal(c.entriesOf(n), n.dir.live) {
		return &checkError{name, "durable entries plus unsynced operations are not what it lists"}
	}
	for elem, child := range n.dir.live {
		if err := c.check(child, path.Join(name, elem)); err != nil {
			return err
		}
	}
	return nil
}

// checkError says which file or directory breaks an invariant.
type checkError struct{ name, problem string }

func (e *checkError) Error() string {
	return fmt.Sprintf("vfs: %q in memory: %s", e.name, e.problem)
}
