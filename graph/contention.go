package graph

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/sombradb/sombra/mvcc"
)

// contention is an error of the store about a transaction that met others: a conflict, a deadlock
// or a lock timeout. It matches what the store's error matches, but text and fields say which
// nodes and edges it was about.
//
// The nodes are looked up when somebody asks for the text or, with errors.As, for the fields, and
// once only: most of these errors are never looked at, because the transaction runs again, and the victim
// of a deadlock should give up its locks before anything else. So names are those of that moment; what
// has gone by then keeps its id. Looking up is safe wherever the error may be printed: see withNames.
type contention struct {
	store error
	named func() error
}

func (e *contention) Error() string {
	return "graph: " + strings.TrimPrefix(e.named().Error(), "mvcc: ")
}

// Is matches what the store's error matches.
func (e *contention) Is(target error) bool { return errors.Is(e.store, target) }

// As finds the store's error, and the deadlock report, in terms of the graph.
func (e *contention) As(target any) bool { return errors.As(e.named(), target) }

// explain returns the store's error in terms of the graph; others pass.
func (db *DB) explain(err error) error {
	var inGraph func(name func(string) string) error
	switch e := err.(type) {
	case nil:
		return nil
	case *mvcc.GaveUpError:
		gaveUp := *e
		gaveUp.Last = db.explain(e.Last)
		return &gaveUp
	case *mvcc.DeadlockError:
		inGraph = func(name func(string) string) error { return renamedDeadlock(e, name) }
	case *mvcc.ConflictError:
		inGraph = func(name func(string) string) error {
			c := *e
			c.Name = name(e.Name)
			return &c
		}
	case *mvcc.LockTimeoutError:
		inGraph = func(name func(string) string) error {
			t := *e
			t.Name = name(e.Name)
			return &t
		}
	default:
		return err
	}
	return &contention{err, sync.OnceValue(func() (named error) {
		db.withNames(func(name func(string) string) { named = inGraph(name) })
		return named
	})}
}

// renamedDeadlock returns a copy of a report with other names of keys.
func renamedDeadlock(e *mvcc.DeadlockError, name func(string) string) *mvcc.DeadlockError {
	report := *e.Report
	report.Cycle = slices.Clone(report.Cycle)
	for i := range report.Cycle {
		p := &report.Cycle[i]
		p.Wants.Key = name(p.Wants.Key)
		p.Holds = slices.Clone(p.Holds)
		for j := range p.Holds {
			p.Holds[j].Key = name(p.Holds[j].Key)
		}
	}
	return &mvcc.DeadlockError{Report: &report}
}
