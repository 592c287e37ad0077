package vfs

import (
	"fmt"
	"maps"
)

// Check verifies the invariants M1 and M3 of a Mem: durable state plus the
// unsynced operations make up what a process sees, for every file and
// directory.
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
	return checkTree(m.mu.root, "/", entriesOf)
}

func checkTree(n *memNode, name string, entriesOf func(*memNode) map[string]*memNode) error {
	if n.file != nil {
		if err := n.file.check(); err != nil {
			return fmt.Errorf("vfs: file %q: %w", name, err)
		}
		return nil
	}
	if !maps.Equal(entriesOf(n), n.dir.live) {
		return fmt.Errorf("vfs: directory %q: durable entries plus unsynced operations are not what it lists", name)
	}
	for elem, child := range n.dir.live {
		if err := checkTree(child, name+elem+"/", entriesOf); err != nil {
			return err
		}
	}
	return nil
}
