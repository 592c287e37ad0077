package vfs

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const modelSector = 4 // small, so that small files have several

// fileModel is a file as the list of all contents that it had since the last
// sync, the durable one first.
type fileModel struct {
	states    [][]byte
	truncated bool // since the last sync
}

func (f *fileModel) live() []byte { return f.states[len(f.states)-1] }

func (f *fileModel) become(content []byte) { f.states = append(f.states, content) }

func (f *fileModel) sync() {
	f.states = f.states[len(f.states)-1:]
	f.truncated = false
}

// byteIn returns the byte at i of a state, zero behind its end.
func byteIn(state []byte, i int) byte {
	if i < len(state) {
		return state[i]
	}
	return 0
}

// explain returns why a crash cannot have left the content, or nil. Every
// sector must be as it was in one of the states, every byte only when a
// truncation came between, and the size that of a state or a sector border.
func (f *fileModel) explain(content []byte) error {
	sized := slices.ContainsFunc(f.states, func(s []byte) bool { return len(s) == len(content) })
	if !sized && len(content)%modelSector != 0 {
		return fmt.Errorf("no state has the size %d", len(content))
	}
	unit := modelSector
	if f.truncated {
		unit = 1
	}
	for from := 0; from < len(content); from += unit {
		to := min(from+unit, len(content))
		if !slices.ContainsFunc(f.states, func(s []byte) bool { return sameRange(content, s, from, to) }) {
			return fmt.Errorf("no state has %q at %d", content[from:to], from)
		}
	}
	return nil
}

func sameRange(a, b []byte, from, to int) bool {
	for i := from; i < to; i++ {
		if byteIn(a, i) != byteIn(b, i) {
			return false
		}
	}
	return true
}

// memModel is a directory as the list of all listings that it had since its
// last sync.
type memModel struct {
	mem   *Mem
	names []map[string]*fileModel
}

func (m *memModel) live() map[string]*fileModel { return m.names[len(m.names)-1] }

// change adds a listing.
func (m *memModel) change(f func(map[string]*fileModel)) {
	next := maps.Clone(m.live())
	f(next)
	m.names = append(m.names, next)
}

func drawName(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, label)
}

// existing draws the name of a file that exists, or skips.
func (m *memModel) existing(t *rapid.T) (string, *fileModel) {
	name := drawName(t, "name")
	f := m.live()[name]
	if f == nil {
		t.SkipNow()
	}
	return name, f
}

func fatalIf(t *rapid.T, err error) {
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// with runs f on an open file.
func (m *memModel) with(t *rapid.T, name string, f func(File) error) {
	file, err := m.mem.OpenFile(name, os.O_RDWR, 0)
	fatalIf(t, err)
	fatalIf(t, f(file))
	fatalIf(t, file.Close())
}

func (m *memModel) create(t *rapid.T) {
	name := drawName(t, "name")
	if m.live()[name] != nil {
		t.SkipNow()
	}
	f, err := m.mem.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	fatalIf(t, err)
	fatalIf(t, f.Close())
	m.change(func(names map[string]*fileModel) { names[name] = &fileModel{states: [][]byte{{}}} })
}

func (m *memModel) write(t *rapid.T) {
	name, model := m.existing(t)
	off := rapid.IntRange(0, 20).Draw(t, "off")
	data := rapid.SliceOfN(rapid.ByteRange(0, 9), 1, 12).Draw(t, "data")
	m.with(t, name, func(f File) error { _, err := f.WriteAt(data, int64(off)); return err })
	model.become(contentModel(model.live()).write(data, off))
}

func (m *memModel) truncate(t *rapid.T) {
	name, model := m.existing(t)
	size := rapid.IntRange(0, 20).Draw(t, "size")
	m.with(t, name, func(f File) error { return f.Truncate(int64(size)) })
	model.become(contentModel(model.live()).resize(size))
	model.truncated = true
}

func (m *memModel) sync(t *rapid.T) {
	name, model := m.existing(t)
	m.with(t, name, rapid.SampledFrom([]func(File) error{File.Sync, File.SyncData}).Draw(t, "sync"))
	model.sync()
}

func (m *memModel) rename(t *rapid.T) {
	name, model := m.existing(t)
	to := drawName(t, "to")
	fatalIf(t, m.mem.Rename(name, to))
	if name == to {
		return
	}
	m.change(func(names map[string]*fileModel) {
		delete(names, name)
		names[to] = model
	})
}

func (m *memModel) remove(t *rapid.T) {
	name, _ := m.existing(t)
	fatalIf(t, m.mem.Remove(name))
	m.change(func(names map[string]*fileModel) { delete(names, name) })
}

func (m *memModel) syncDir(t *rapid.T) {
	fatalIf(t, m.mem.SyncDir("/"))
	m.names = m.names[len(m.names)-1:]
}

// contents reads a whole file system.
func contents(t *rapid.T, mem *Mem) map[string][]byte {
	names, err := mem.ReadDir("/")
	fatalIf(t, err)
	all := map[string][]byte{}
	for _, name := range names {
		f, err := mem.OpenFile(name, os.O_RDONLY, 0)
		fatalIf(t, err)
		size, err := f.Size()
		fatalIf(t, err)
		buf := make([]byte, size)
		if n, _ := f.ReadAt(buf, 0); int64(n) != size {
			t.Fatalf("%q: read %d of %d bytes", name, n, size)
		}
		all[name] = buf
		fatalIf(t, f.Close())
	}
	return all
}

// crash takes an image, checks that the model allows it, and sometimes goes on
// with it.
func (m *memModel) crash(t *rapid.T) {
	cfg := CrashConfig{
		Mode:       rapid.SampledFrom([]CrashMode{LoseAll, KeepAll, Random, Random}).Draw(t, "mode"),
		Seed:       rapid.Uint64().Draw(t, "seed"),
		SectorSize: modelSector,
	}
	image := m.mem.Crash(cfg)
	fatalIf(t, image.Check())
	left := contents(t, image)
	if again := contents(t, m.mem.Crash(cfg)); !maps.EqualFunc(left, again, bytes.Equal) {
		t.Fatalf("two images of one crash differ: %v, %v", left, again)
	}
	m.verifyImage(t, cfg.Mode, left)
	if rapid.Bool().Draw(t, "go on with the image") {
		m.adopt(image, left)
	}
}

func (m *memModel) verifyImage(t *rapid.T, mode CrashMode, left map[string][]byte) {
	switch mode {
	case LoseAll:
		wantContents(t, left, m.names[0], func(f *fileModel) []byte { return f.states[0] })
	case KeepAll:
		wantContents(t, left, m.live(), (*fileModel).live)
	default:
		var reasons []error
		for _, names := range m.names {
			reason := explainAll(left, names)
			if reason == nil {
				return
			}
			reasons = append(reasons, reason)
		}
		t.Fatalf("nothing explains the image %v: %v", left, reasons)
	}
}

func wantContents(t *rapid.T, left map[string][]byte, names map[string]*fileModel, of func(*fileModel) []byte) {
	want := map[string][]byte{}
	for name, f := range names {
		want[name] = of(f)
	}
	if !maps.EqualFunc(left, want, bytes.Equal) {
		t.Fatalf("image %v, want %v", left, want)
	}
}

func explainAll(left map[string][]byte, names map[string]*fileModel) error {
	if len(left) != len(names) {
		return fmt.Errorf("%d files, not %d", len(left), len(names))
	}
	for name, content := range left {
		f := names[name]
		if f == nil {
			return fmt.Errorf("no file %q", name)
		}
		if err := f.explain(content); err != nil {
			return fmt.Errorf("file %q: %w", name, err)
		}
	}
	return nil
}

func (m *memModel) adopt(image *Mem, left map[string][]byte) {
	m.mem = image
	names := map[string]*fileModel{}
	for name, content := range left {
		names[name] = &fileModel{states: [][]byte{content}}
	}
	m.names = []map[string]*fileModel{names}
}

func TestMemIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &memModel{mem: NewMem(), names: []map[string]*fileModel{{}}}
		t.Repeat(map[string]func(*rapid.T){
			"create":   m.create,
			"write":    m.write,
			"truncate": m.truncate,
			"sync":     m.sync,
			"rename":   m.rename,
			"remove":   m.remove,
			"syncDir":  m.syncDir,
			"crash":    m.crash,
			"": func(t *rapid.T) {
				fatalIf(t, m.mem.Check())
				wantContents(t, contents(t, m.mem), m.live(), (*fileModel).live)
			},
		})
	})
}

// M4 over several directories: whatever is moved around and whatever directory
// is synced, each file is in every image exactly once.
func TestMovedFilesAreInEveryImageOnce(t *testing.T) {
	dirs := []string{"/", "/p", "/q", "/p/r"}
	rapid.Check(t, func(t *rapid.T) {
		mem := NewMem()
		fatalIf(t, mem.MkdirAll("/p/r", 0o755))
		fatalIf(t, mem.MkdirAll("/q", 0o755))
		for i, dir := range dirs {
			f, err := mem.OpenFile(fmt.Sprintf("%s/f%d", dir, i), os.O_RDWR|os.O_CREATE, 0o644)
			fatalIf(t, err)
			fatalIf(t, f.Close())
		}
		for _, dir := range dirs {
			fatalIf(t, mem.SyncDir(dir))
		}
		t.Repeat(map[string]func(*rapid.T){
			"move": func(t *rapid.T) {
				places := list(t, mem)
				from := rapid.SampledFrom(slices.Sorted(maps.Keys(places))).Draw(t, "from")
				to := rapid.SampledFrom(directories(t, mem)).Draw(t, "to")
				fatalIf(t, mem.Rename(from, to+"/"+places[from]))
			},
			"mkdir": func(t *rapid.T) {
				dir := rapid.SampledFrom(directories(t, mem)).Draw(t, "in")
				fatalIf(t, mem.MkdirAll(dir+"/"+rapid.SampledFrom([]string{"s", "t"}).Draw(t, "name"), 0o755))
			},
			"rmdir": func(t *rapid.T) {
				dir := rapid.SampledFrom(directories(t, mem)).Draw(t, "dir")
				_ = mem.Remove(dir) // fails when it is not empty
			},
			"syncDir": func(t *rapid.T) {
				fatalIf(t, mem.SyncDir(rapid.SampledFrom(directories(t, mem)).Draw(t, "dir")))
			},
			"": func(t *rapid.T) {
				fatalIf(t, mem.Check())
				seed := rapid.Uint64().Draw(t, "seed")
				for mode := LoseAll; mode <= Random; mode++ {
					image := mem.Crash(CrashConfig{Mode: mode, Seed: seed})
					if found := slices.Sorted(maps.Values(list(t, image))); fmt.Sprint(found) != "[f0 f1 f2 f3]" {
						t.Fatalf("mode %d, seed %d: files %v", mode, seed, found)
					}
				}
			},
		})
	})
}

// list returns base names by full name of all files.
func list(t *rapid.T, mem *Mem) map[string]string {
	found := map[string]string{}
	for _, dir := range directories(t, mem) {
		names, err := mem.ReadDir(dir)
		fatalIf(t, err)
		for _, name := range names {
			if info, err := mem.Stat(dir + "/" + name); err == nil && !info.IsDir() {
				found[dir+"/"+name] = name
			}
		}
	}
	return found
}

// directories returns all directories, the root as "".
func directories(t *rapid.T, mem *Mem) []string {
	all := []string{""}
	for i := 0; i < len(all); i++ {
		names, err := mem.ReadDir(all[i])
		fatalIf(t, err)
		for _, name := range names {
			if info, err := mem.Stat(all[i] + "/" + name); err == nil && info.IsDir() {
				all = append(all, all[i]+"/"+name)
			}
		}
	}
	return all
}
