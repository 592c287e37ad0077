package mvcc

import (
	"slices"
	"strings"
	"testing"
)

// exactly tells stories in which every outcome is given, with all transactions at the level, in both forms, and again with checkpoints
// between all steps.
func exactly(t *testing.T, level Isolation, stories []story) {
	for i := range stories {
		s := &stories[i]
		t.Run(s.name, func(t *testing.T) {
			inEachForm(t, func(t *testing.T, db *DB, failFast bool) {
				plain := s.tell(t, db, keyspace(t, db, "plain"), s.uniform(level), failFast, nil)
				moved := s.tell(t, db, keyspace(t, db, "moved"), s.uniform(level), failFast, func() { checkpoint(t, db) })
				if want := !failFast || !s.refused; plain.came != want || !slices.Equal(plain.lines, moved.lines) {
					t.Errorf("at %v\n%v\nwith checkpoints\n%v", level, plain, moved)
				}
			})
		})
	}
}

// Who writes without reading depends on nobody's writes: its snapshot moves.
var blindWrites = []story{
	{name: "after a newer commit", steps: `
		T2 put y 2 -> ok
		T1 put x 1 -> ok
		T1 commit -> ok
		T2 put x 2 -> ok
		T2 commit -> ok
		finally -> x=2 y=2`},
	{name: "of the same keys at the same time", refused: true, steps: `
		T1 put x 1 -> ok
		T2 put x 2 -> ok
		T1 put y 1 -> ok
		T1 commit -> ok
		T2 put y 2 -> ok
		T2 commit -> ok
		finally -> x=2 y=2`},
	{name: "three in a queue", refused: true, steps: `
		T1 put x 1 -> ok
		T2 put x 2 -> ok
		T3 delete x -> ok
		T1 commit -> ok
		T2 commit -> ok
		T3 commit -> ok
		finally -> y=0`},
	{name: "of a deleted key", steps: `
		T2 put y 2 -> ok
		T1 delete x -> ok
		T1 commit -> ok
		T2 delete x -> ok
		T2 commit -> ok
		finally -> y=2`},
	{name: "with a read that has not changed", steps: `
		T2 get y -> 0
		T1 put x 1 -> ok
		T1 commit -> ok
		T2 put x 2 -> ok
		T2 commit -> ok
		finally -> x=2 y=0`},
	{name: "with an empty range that has not changed", steps: `
		T2 scan z -> nothing
		T1 put x 1 -> ok
		T1 commit -> ok
		T2 delete x -> ok
		T2 commit -> ok
		finally -> y=0`},
	{name: "reading own writes", steps: `
		T2 put x 2 -> ok
		T2 get x -> 2
		T2 scan x -> x=2
		T1 put y 1 -> ok
		T1 commit -> ok
		T2 put y 2 -> ok
		T2 commit -> ok
		finally -> x=2 y=2`},
	{name: "additions", setup: "x=0", steps: `
		T1 add n -> ok
		T2 add n -> ok
		T3 add n -> ok
		T3 commit -> ok
		T1 commit -> ok
		T2 commit -> ok`},
}

func TestBlindWritesDoNotConflict(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) { exactly(t, level, blindWrites) })
	}
}

// Where a write is blind but a read is not.
var readsBesideBlindWrites = []story{
	{name: "a read and the written key have changed", steps: `
		T2 get y -> 0
		T1 put x 1 -> ok
		T1 put y 1 -> ok
		T1 commit -> ok
		T2 put x 2 -> conflict
		finally -> x=1 y=1`},
	{name: "a read has changed", steps: `
		T2 get y -> 0
		T2 put x 2 -> ok
		T1 put y 1 -> ok
		T1 commit -> ok
		T2 commit -> conflict
		finally -> x=0 y=1`},
	{name: "a read has changed after the snapshot moved", steps: `
		T2 get y -> 0
		T1 put x 1 -> ok
		T1 commit -> ok
		T2 put x 2 -> ok
		T3 put y 3 -> ok
		T3 commit -> ok
		T2 commit -> conflict
		finally -> x=1 y=3`},
	{name: "what is read after the snapshot moved is newer", steps: `
		T2 get y -> 0
		T1 put x 1 -> ok
		T1 put z1 1 -> ok
		T1 commit -> ok
		T2 put x 2 -> ok
		T2 scan z -> z1=1
		T2 commit -> ok
		finally -> x=2 y=0 z1=1`},
	{name: "a phantom appears after the snapshot moved", steps: `
		T2 scan z -> nothing
		T1 put x 1 -> ok
		T1 commit -> ok
		T2 put x 2 -> ok
		T3 put z1 3 -> ok
		T3 commit -> ok
		T2 commit -> conflict
		finally -> x=1 y=0 z1=3`},
	{name: "a range around an own write", steps: `
		T2 put z2 2 -> ok
		T2 scan z -> z2=2
		T1 put z1 1 -> ok
		T1 commit -> ok
		T2 commit -> conflict
		finally -> x=0 y=0 z1=1`},
	{name: "a range around an own deletion", setup: "z2=0", steps: `
		T2 delete z2 -> ok
		T2 back z -> nothing
		T1 put z1 1 -> ok
		T1 commit -> ok
		T2 commit -> conflict
		finally -> z1=1 z2=0`},
	{name: "a read before a savepoint that was rolled back", steps: `
		T2 get y -> 0
		T2 mark -> ok
		T2 put x 2 -> ok
		T2 undo -> ok
		T2 put z 2 -> ok
		T1 put y 1 -> ok
		T1 commit -> ok
		T2 commit -> conflict
		finally -> x=0 y=1`},
	{name: "a range around a write that a savepoint took back", steps: `
		T2 mark -> ok
		T2 put z2 2 -> ok
		T2 scan z -> z2=2
		T2 undo -> ok
		T2 put x 2 -> ok
		T1 put z1 1 -> ok
		T1 commit -> ok
		T2 commit -> conflict
		finally -> x=0 y=0 z1=1`},
	{name: "nothing is left to write", steps: `
		T2 mark -> ok
		T2 put x 2 -> ok
		T2 get y -> 0
		T2 undo -> ok
		T1 put y 1 -> ok
		T1 commit -> ok
		T2 get y -> 0
		T2 commit -> ok
		finally -> x=0 y=1`},
	{name: "a savepoint took back the write, and its lock stays", refused: true, steps: `
		T2 mark -> ok
		T2 put x 2 -> ok
		T2 undo -> ok
		T1 put x 1 -> ok
		T2 get x -> 0
		T2 put y 2 -> ok
		T2 commit -> ok
		T1 commit -> ok
		finally -> x=1 y=2`},
	{name: "a counter that was read", setup: "x=0", steps: `
		T2 get n -> -
		T1 add n -> ok
		T1 commit -> ok
		T2 add n -> ok
		T2 commit -> conflict`},
	{name: "only reading", readOnly: "T2", steps: `
		T2 get x -> 0
		T1 put x 1 -> ok
		T1 put z1 1 -> ok
		T1 commit -> ok
		T2 get x -> 0
		T2 scan z -> nothing
		T2 commit -> ok
		finally -> x=1 y=0 z1=1`},
}

func TestSerializableReadsBesideBlindWrites(t *testing.T) {
	exactly(t, Serializable, readsBesideBlindWrites)
}

// A story that says nothing, or speaks of a transaction that is not in it, would prove nothing.
func TestStoriesAreWellFormed(t *testing.T) {
	for _, s := range slices.Concat(blindWrites, readsBesideBlindWrites) {
		for _, st := range s.parse() {
			if len(st.wants) == 0 {
				t.Errorf("%s: no outcome for %q", s.name, st.text)
			}
		}
	}
	for _, a := range anomalies {
		for i := range a.stories {
			s := &a.stories[i]
			if !strings.Contains(s.steps, "->") && !strings.Contains(s.steps, "commit") {
				t.Errorf("%s, %s: nothing tells whether it happened", a.name, s.name)
			}
			for _, who := range strings.Fields(s.by + " " + s.readOnly) {
				if !slices.Contains(s.names(), who) {
					t.Errorf("%s, %s: there is no %s", a.name, s.name, who)
				}
			}
		}
	}
}
