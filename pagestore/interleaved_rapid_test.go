package pagestore

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// interleaved runs cursors on several views and one checkpoint at the same time, one step of one of them after the other.
type interleaved struct {
	*machine
	commits int
	cursors []*openCursor
	cp      *Checkpoint
	next    [NumTrees]model // what the checkpoint will make
	merged  [NumTrees]bool
}

// openCursor is a cursor and where it should stand: at keys[at], or nowhere.
type openCursor struct {
	c    *Cursor
	m    model
	keys []string
	at   int
	born int // commits before its view
}

func (m *interleaved) pick(t *rapid.T) *openCursor {
	if len(m.cursors) == 0 {
		t.Skip("no cursor")
	}
	return rapid.SampledFrom(m.cursors).Draw(t, "cursor")
}

func (m *interleaved) Open(t *rapid.T) {
	if len(m.cursors) >= 5 {
		t.Skip("enough")
	}
	tree := TreeID(rapid.IntRange(0, NumTrees-1).Draw(t, "tree"))
	o := &openCursor{c: m.s.View().Cursor(tree), m: m.now[tree], keys: m.now[tree].keys(), at: -1, born: m.commits}
	m.cursors = append(m.cursors, o)
}

func (m *interleaved) close(o *openCursor) {
	o.c.Close()
	for i, x := range m.cursors {
		if x == o {
			m.cursors = append(m.cursors[:i:i], m.cursors[i+1:]...)
			return
		}
	}
}

// Move moves a cursor: it stands where the model of its view says, or its view is outlived by two checkpoints.
func (m *interleaved) Move(t *rapid.T) {
	o := m.pick(t)
	for range rapid.IntRange(1, 30).Draw(t, "moves") {
		way := rapid.SampledFrom([]string{"next", "next", "next", "prev", "first", "last"}).Draw(t, "way")
		var ok bool
		switch {
		case way == "first" || way == "next" && o.at < 0:
			ok, o.at = o.c.First(), 0
		case way == "last" || way == "prev" && o.at < 0:
			ok, o.at = o.c.Last(), len(o.keys)-1
		case way == "next":
			ok = o.c.Next()
			o.at++
		default:
			ok = o.c.Prev()
			o.at--
		}
		if err := o.c.Err(); err != nil {
			m.stale(t, o, err)
			return
		}
		if want := o.at >= 0 && o.at < len(o.keys); ok != want {
			t.Fatalf("%s: on a record %v, want %v, of %d keys", way, ok, want, len(o.keys))
		}
		if !ok {
			o.at = -1
			continue
		}
		if !m.read(t, o) {
			return
		}
	}
}

// read compares the record under the cursor. It reports false when the view is stale and the cursor closed.
func (m *interleaved) read(t *rapid.T, o *openCursor) bool {
	key, want := o.keys[o.at], o.m[o.keys[o.at]]
	got, err := o.c.Value()
	if err != nil {
		m.stale(t, o, err)
		return false
	}
	if string(o.c.Key()) != key || string(got) != want.value || o.c.Timestamp() != want.ts {
		t.Fatalf("record %d is %.40q with %d bytes at %d, want %.40q with %d at %d", o.at, o.c.Key(), len(got), o.c.Timestamp(), key, len(want.value), want.ts)
	}
	return true
}

func (m *interleaved) stale(t *rapid.T, o *openCursor, err error) {
	if age := m.commits - o.born; !errors.Is(err, ErrStale) || age < 2 {
		t.Fatalf("a view of age %d: %v", age, err)
	}
	m.close(o)
}

func (m *interleaved) Drop(t *rapid.T) { m.close(m.pick(t)) }

func (m *interleaved) Begin(t *rapid.T) {
	if m.cp != nil {
		t.Skip("one is open")
	}
	var err error
	if m.cp, err = m.s.Begin(); err != nil {
		t.Fatal(err)
	}
	m.next, m.merged = m.now, [NumTrees]bool{}
}

func (m *interleaved) Merge(t *rapid.T) {
	tree := TreeID(rapid.IntRange(0, NumTrees-1).Draw(t, "tree"))
	if m.cp == nil || m.merged[tree] {
		t.Skip("nothing to merge")
	}
	edits := m.drawEdits(t, tree)
	m.merge(t, m.cp, tree, edits)
	m.next[tree], m.merged[tree] = m.next[tree].apply(edits), true
}

func (m *interleaved) Vacuum(t *rapid.T) {
	if m.cp == nil {
		t.Skip("no checkpoint")
	}
	if _, err := m.cp.Vacuum(context.Background(), AutoVacuum); err != nil {
		t.Fatal(err)
	}
	m.merged = [NumTrees]bool{true, true} // trees are merged before pages move
}

func (m *interleaved) Commit(t *rapid.T) {
	if m.cp == nil {
		t.Skip("no checkpoint")
	}
	if _, err := m.cp.Commit(Meta{Timestamp: m.ts}); err != nil {
		t.Fatal(err)
	}
	m.cp = nil
	m.now = m.next
	m.commits++
}

func (m *interleaved) Abort(t *rapid.T) {
	if m.cp == nil || rapid.IntRange(0, 3).Draw(t, "abort") > 0 {
		t.Skip("no abort")
	}
	m.cp.Abort()
	m.cp = nil
}

// Look reads the current view with a cursor of its own, and now and then verifies the file.
func (m *interleaved) Look(t *rapid.T) {
	for tree := range TreeID(NumTrees) {
		compareScan(t, m.s.View(), tree, m.now[tree])
	}
	if rapid.IntRange(0, 3).Draw(t, "check") == 0 {
		if rep, err := m.s.Check(context.Background(), nil); err != nil || len(rep.Problems) > 0 {
			t.Fatalf("check: %v, %v", err, rep.Problems)
		}
	}
}

// Cursors on views of several ages, stepped in any order between the steps of a checkpoint, show the records of their view,
// or ErrStale when two checkpoints have come after it.
func TestCursorsInterleavedWithCheckpointsSeeTheirView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &interleaved{machine: newMachine(t)}
		defer func() {
			for len(m.cursors) > 0 {
				m.close(m.cursors[0])
			}
			if m.cp != nil {
				m.cp.Abort()
			}
			_ = m.s.Close()
		}()
		steps := []func(*rapid.T){
			m.Open, m.Open, m.Move, m.Move, m.Move, m.Move, m.Drop, m.Begin, m.Begin, m.Merge, m.Merge, m.Merge, m.Vacuum,
			m.Commit, m.Commit, m.Abort, m.Look,
		}
		t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) { evenly(t, steps)(t) }})
	})
}

// evenly draws one of a list. Rapid itself prefers what comes first, also among the actions of Repeat.
func evenly[T any](t *rapid.T, list []T) T {
	n := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 8, 8).Draw(t, "choice") {
		if n *= 2; bit {
			n++
		}
	}
	return list[n%len(list)]
}
