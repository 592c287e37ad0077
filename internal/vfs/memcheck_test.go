package vfs

import "testing"

// Check must be able to fail.
func TestCheckFindsDamage(t *testing.T) {
	for what, damage := range map[string]func(m *Mem, f *memNode){
		"an entry without an operation": func(m *Mem, f *memNode) { m.mu.root.dir.live["g"] = f },
		"a lost durable entry":          func(m *Mem, _ *memNode) { delete(m.mu.root.dir.durable, "f") },
		"a number used twice":           func(m *Mem, f *memNode) { f.id = m.mu.root.id },
		"a number of the future":        func(m *Mem, f *memNode) { f.id = m.mu.nextID },
		"an unlogged write":             func(_ *Mem, f *memNode) { f.file.live.writeAt([]byte("x"), 1) },
		"an unlogged growth":            func(_ *Mem, f *memNode) { f.file.live.grow(99) },
		"a lost logged write":           func(_ *Mem, f *memNode) { f.file.log = nil },
		"bytes behind the end":          func(_ *Mem, f *memNode) { f.file.live.size = 1 },
		"durable bytes behind the end":  func(_ *Mem, f *memNode) { f.file.durable.size = 1 },
	} {
		mem := NewMem()
		f := durableFile(t, mem, "f", "durable")
		writeAt(t, f, "live", 2)
		must(t, mem.Check())
		damage(mem, mem.mu.root.dir.live["f"])
		if mem.Check() == nil {
			t.Errorf("%s was not found", what)
		}
	}
}
