package vfs

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Mem is a file system in memory that knows what a power loss may take away.
// Its semantics are those of a Unix file system: an open file outlives its
// removal. Relative names start at the root, which always exists. The zero
// value is not usable; call NewMem. All methods are safe for concurrent use.
type Mem struct {
	// mu is one lock for everything, because a crash image must show all
	// files at one moment: seen file by file, it could hold an unsynced write
	// and miss a synced one that came before it.
	mu struct {
		sync.RWMutex
		root   *memNode
		nextID uint64
		// dirLog holds the directory operations that no SyncDir covered yet,
		// oldest first (M3).
		dirLog []dirOp
		open   map[*memFile]struct{}
		locks  map[*memLock]struct{}
	}
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	m := &Mem{}
	m.mu.open = map[*memFile]struct{}{}
	m.mu.locks = map[*memLock]struct{}{}
	m.mu.root = m.newNodeLocked(fs.ModeDir | 0o755)
	return m
}

// memNode is a file or a directory, whatever its names are. Exactly one of dir
// and file is set. Guarded by Mem.mu.
type memNode struct {
	id   uint64 // creation order; the same in every run of the same workload
	mode fs.FileMode
	dir  *memDir
	file *memData
	// Holders of advisory locks on the node.
	exclusive bool
	shared    int
}

// newNodeLocked returns an unlinked node. REQUIRES: m.mu held for writing.
func (m *Mem) newNodeLocked(mode fs.FileMode) *memNode {
	n := &memNode{id: m.mu.nextID, mode: mode}
	m.mu.nextID++
	if mode.IsDir() {
		n.dir = newMemDir()
	} else {
		n.file = newMemData()
	}
	return n
}

// elements splits a name into its path elements, none for the root.
func elements(name string) []string {
	name = filepath.ToSlash(name[len(filepath.VolumeName(name)):])
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// walkLocked returns the directories along elems, root first, and the node at
// the end. REQUIRES: m.mu held.
func (m *Mem) walkLocked(elems []string) (parents []*memNode, node *memNode, err error) {
	node = m.mu.root
	for _, elem := range elems {
		if node.dir == nil {
			return nil, nil, syscall.ENOTDIR
		}
		parents = append(parents, node)
		next, ok := node.dir.live[elem]
		if !ok {
			return parents, nil, fs.ErrNotExist
		}
		node = next
	}
	return parents, node, nil
}

// place is where a name is or would be: its parent directory, the element in
// it, and the node there, nil when the name is free.
type place struct {
	parents []*memNode // from the root to parent
	parent  *memNode
	elem    string
	node    *memNode
}

// placeLocked finds name, whose parent must exist. REQUIRES: m.mu held.
func (m *Mem) placeLocked(name string) (place, error) {
	elems := elements(name)
	if len(elems) == 0 {
		return place{}, syscall.EINVAL
	}
	last := len(elems) - 1
	parents, parent, err := m.walkLocked(elems[:last])
	if err != nil {
		return place{}, err
	}
	if parent.dir == nil {
		return place{}, syscall.ENOTDIR
	}
	return place{
		parents: append(parents, parent),
		parent:  parent,
		elem:    elems[last],
		node:    parent.dir.live[elems[last]],
	}, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pathError("remove", name, m.removeLocked(name))
}

func (m *Mem) removeLocked(name string) error {
	at, err := m.placeLocked(name)
	switch {
	case err != nil:
		return err
	case at.node == nil:
		return fs.ErrNotExist
	case at.node.dir != nil && len(at.node.dir.live) > 0:
		return syscall.ENOTEMPTY
	}
	touched := []*memNode{at.parent}
	if at.node.dir != nil {
		// A directory must not go before the files that were moved out of it.
		touched = append(touched, at.node)
	}
	m.applyLocked(newDirOp(touched, entryChange{at.parent, at.elem, nil}))
	return nil
}

// Rename implements FS. Like package os, it replaces a file but no directory.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.renameLocked(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) renameLocked(oldname, newname string) error {
	from, err := m.placeLocked(oldname)
	if err != nil {
		return err
	}
	to, err := m.placeLocked(newname)
	if err != nil {
		return err
	}
	if err := renameAllowed(from, to); err != nil || from.node == to.node {
		return err
	}
	touched := []*memNode{from.parent}
	if from.parent != to.parent {
		// The entry must not leave one directory for another that a crash
		// takes away, so the way to the new one belongs to the operation.
		touched = append(touched, to.parents...)
	}
	m.applyLocked(newDirOp(touched,
		entryChange{from.parent, from.elem, nil}, entryChange{to.parent, to.elem, from.node}))
	return nil
}

func renameAllowed(from, to place) error {
	switch {
	case from.node == nil:
		return fs.ErrNotExist
	case from.node == to.node:
		return nil
	case to.node != nil && to.node.dir != nil:
		return fs.ErrExist
	case to.node != nil && from.node.dir != nil:
		return syscall.ENOTDIR
	case slices.Contains(to.parents, from.node):
		return syscall.EINVAL // a directory into itself
	}
	return nil
}

// MkdirAll implements FS. Each new directory is durable once its parent is
// synced.
func (m *Mem) MkdirAll(dir string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.mu.root
	for _, elem := range elements(dir) {
		if node.dir == nil {
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
		next, ok := node.dir.live[elem]
		if !ok {
			next = m.newNodeLocked(fs.ModeDir | perm.Perm())
			m.applyLocked(newDirOp([]*memNode{node}, entryChange{node, elem, next}))
		}
		node = next
	}
	if node.dir == nil {
		return pathError("mkdir", dir, syscall.ENOTDIR)
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(dir string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	node, err := m.dirNodeLocked(dir)
	if err != nil {
		return nil, pathError("readdir", dir, err)
	}
	return slices.Sorted(maps.Keys(node.dir.live)), nil
}

// dirNodeLocked returns the directory of that name. REQUIRES: m.mu held.
func (m *Mem) dirNodeLocked(name string) (*memNode, error) {
	_, node, err := m.walkLocked(elements(name))
	if err != nil {
		return nil, err
	}
	if node.dir == nil {
		return nil, syscall.ENOTDIR
	}
	return node, nil
}

// Stat implements FS. There is no clock in a Mem: modification times are zero.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	elems := elements(name)
	_, node, err := m.walkLocked(elems)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	info := memInfo{name: "/", mode: node.mode}
	if len(elems) > 0 {
		info.name = elems[len(elems)-1]
	}
	if node.file != nil {
		info.size = node.file.live.size
	}
	return info, nil
}

// SyncDir implements FS. It makes the entries of dir durable, not the entry of
// dir in its own parent and not the contents of the files.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.dirNodeLocked(dir)
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	m.syncDirLocked(node)
	return nil
}

// OpenHandles returns the names of the files and locks that are not closed yet,
// sorted. A test asks for it at its end to find leaks.
func (m *Mem) OpenHandles() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var names []string
	for f := range m.mu.open {
		names = append(names, f.name)
	}
	for l := range m.mu.locks {
		names = append(names, l.name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

// pathError wraps err the way package os does; nil stays nil.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var already *fs.PathError
	if errors.As(err, &already) {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
