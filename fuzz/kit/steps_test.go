package kit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/fuzz/kit"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// The engine does what the model says, in any interleaving of its levels, which holds both of them.
func TestTheEngineFollowsTheModel(t *testing.T) {
	db, err := mvcc.Open("steps.sombra", &mvcc.Options{FS: vfs.NewMem(), MemoryBudget: mvcc.MinMemoryBudget, PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		ks, err := db.Keyspace(context.Background(), fmt.Sprint("model", n))
		if err != nil {
			t.Fatal(err)
		}
		if err := kit.RunSteps(Map{db, ks}, kit.Interleavings(4, 80).Draw(t, "steps")); err != nil {
			t.Fatal(err)
		}
		if n%10 == 0 {
			if err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// flawed is a store that is a model itself, with a flaw.
type flawed struct {
	m    *kit.Map
	flaw string
	open []*flawedTxn
}

type flawedTxn struct {
	s *flawed
	t *kit.MapTxn

	dirty map[string]string
}

var errBroken = errors.New("broken")

func (s *flawed) Begin(level kit.Level) (kit.StoreTxn, error) {
	if s.flaw == "weaker level" && level == kit.Serializable {
		level = kit.Snapshot
	}
	t := &flawedTxn{s: s, t: s.m.Begin(level), dirty: map[string]string{}}
	s.open = append(s.open, t)
	return t, nil
}

func (t *flawedTxn) Get(key string) (string, bool, error) {
	if t.s.flaw == "dirty read" {
		for _, o := range t.s.open {
			if value, found := o.dirty[key]; found {
				return value, true, nil
			}
		}
	}
	if t.s.flaw == "failing" && key == "x" {
		return "", false, errBroken
	}
	value, found := t.t.Get(key)
	if t.s.flaw == "empty is absent" {
		found = found && value != ""
	}
	return value, found, nil
}

func (t *flawedTxn) Scan(from, to string) (pairs []kit.Pair, err error) {
	for key, value := range t.t.Scan(from, to) {
		if t.s.flaw == "open range" && key == from {
			continue
		}
		pairs = append(pairs, kit.Pair{Key: key, Value: value})
	}
	return pairs, nil
}

func (t *flawedTxn) Put(key, value string) error {
	if t.s.flaw == "trailing zeros" {
		key = strings.TrimRight(key, "\x00")
	}
	err := t.t.Put(key, value)
	if err == nil {
		t.dirty[key] = value
	}
	if t.s.flaw == "locks are ignored" && errors.Is(err, kit.ErrLocked) {
		return nil
	}
	return err
}

func (t *flawedTxn) Delete(key string) error {
	if t.s.flaw == "deletes are lost" {
		return nil
	}
	return t.t.Delete(key)
}

func (t *flawedTxn) Commit() error {
	t.dirty = nil
	return t.t.Commit()
}

func (t *flawedTxn) Rollback() {
	t.dirty = nil
	if t.s.flaw == "rollback commits" {
		_ = t.t.Commit() // that is the flaw
		return
	}
	t.t.Rollback()
}

// Each flaw is found within a few hundred drawn sequences, and a store without one has none.
func TestRunStepsFindsFlaws(t *testing.T) {
	steps := kit.Interleavings(3, 60)
	for _, flaw := range []string{
		"", "dirty read", "failing", "empty is absent", "open range", "trailing zeros", "locks are ignored", "deletes are lost", "rollback commits", "weaker level",
	} {
		t.Run(flaw, func(t *testing.T) {
			var err error
			for seed := 0; seed < 400 && err == nil; seed++ {
				err = kit.RunSteps(&flawed{m: kit.NewMap(), flaw: flaw}, steps.Example(seed))
			}
			var where *kit.StepError
			switch {
			case (err != nil) != (flaw != ""):
				t.Errorf("found %v", err)
			case err != nil && !errors.As(err, &where):
				t.Errorf("the error has no place: %v", err)
			case flaw == "failing" && !errors.Is(err, errBroken):
				t.Errorf("the store's own error is not in %v", err)
			}
		})
	}
}
