package kit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Store is a transactional map of strings as RunSteps uses it: an adapter to the code that is to be tested. Transactions
// must not wait for each other's locks, since one goroutine runs them all.
type Store interface {
	Begin(level Level) (StoreTxn, error)
}

// StoreTxn is a transaction of a Store. For a key that another transaction holds the error of a write matches ErrLocked,
// and for a transaction that has lost against another one it matches ErrConflict; any other error is a failure.
type StoreTxn interface {
	Get(key string) (value string, found bool, err error)
	// Scan returns the pairs with from <= key < to in key order; an empty to is no bound.
	Scan(from, to string) ([]Pair, error)
	Put(key, value string) error
	Delete(key string) error
	Commit() error
	Rollback()
}

// Pair is a key and its value.
type Pair struct{ Key, Value string }

// StepKind says what a Step does.
type StepKind uint8

// The steps.
const (
	StepBegin StepKind = iota + 1
	StepGet
	StepScan
	StepPut
	StepDelete
	StepCommit
	StepRollback
)

// Step is one operation of one of several transactions that are interleaved. Key, To and Value are those of the
// operation; a scan goes from Key up to To.
type Step struct {
	Txn            int
	Kind           StepKind
	Level          Level // of StepBegin
	Key, To, Value string
}

// String returns the step in short: "T1 put "a" 3 bytes".
func (s Step) String() string {
	text := txnName(s.Txn) + " "
	switch s.Kind {
	case StepBegin:
		return text + "begin " + s.Level.String()
	case StepGet:
		return text + "get " + shortKey(s.Key)
	case StepScan:
		return text + "scan " + shortKey(s.Key) + " to " + shortKey(s.To)
	case StepPut:
		return text + "put " + shortKey(s.Key) + " " + strconv.Itoa(len(s.Value)) + " bytes"
	case StepDelete:
		return text + "delete " + shortKey(s.Key)
	case StepCommit:
		return text + "commit"
	case StepRollback:
		return text + "rollback"
	}
	return text + "step of kind " + strconv.Itoa(int(s.Kind))
}

func shortKey(key string) string { return fmt.Sprintf("%.24q", key) }

// RunSteps runs steps against a store and a Map side by side. It returns an error that says at which step they differ: in
// what a transaction reads, or in which write or commit is refused. In the end it rolls back what is still open and
// compares everything. Steps of transactions that are not open do nothing.
//
// It demands the rules of a Map exactly. A store that refuses more can still be tested with a History.
func RunSteps(store Store, steps []Step) error {
	r := &stepper{store: store, model: NewMap(), open: map[int]*stepTxn{}}
	defer r.rollback()
	for i, s := range steps {
		if err := r.step(s); err != nil {
			return &StepError{Step: i, What: s.String() + ": " + err.Error(), Cause: err}
		}
	}
	r.rollback()
	if err := r.compare(); err != nil {
		return &StepError{Step: len(steps), What: "at the end: " + err.Error(), Cause: err}
	}
	return nil
}

// StepError says where a store and the model differ, or where the store failed.
type StepError struct {
	Step  int // index; the number of steps at the end
	What  string
	Cause error
}

// Error tells the step and the difference.
func (e *StepError) Error() string { return fmt.Sprintf("kit: step %d: %s", e.Step, e.What) }

// Unwrap returns the store's error, if there was one.
func (e *StepError) Unwrap() error { return e.Cause }

type stepper struct {
	store Store
	model *Map
	open  map[int]*stepTxn
}

type stepTxn struct {
	txn   StoreTxn
	model *MapTxn
}

func (r *stepper) rollback() {
	for n, x := range r.open {
		x.txn.Rollback()
		x.model.Rollback()
		delete(r.open, n)
	}
}

func (r *stepper) step(s Step) error {
	x := r.open[s.Txn]
	if s.Kind == StepBegin && x == nil {
		txn, err := r.store.Begin(s.Level)
		if err == nil {
			r.open[s.Txn] = &stepTxn{txn, r.model.Begin(s.Level)}
		}
		return err
	}
	if s.Kind == StepBegin || x == nil {
		return nil
	}
	switch s.Kind {
	case StepGet:
		return x.get(s.Key)
	case StepScan:
		return x.scan(s.Key, s.To)
	case StepPut:
		return agree(x.txn.Put(s.Key, s.Value), x.model.Put(s.Key, s.Value))
	case StepDelete:
		return agree(x.txn.Delete(s.Key), x.model.Delete(s.Key))
	}
	delete(r.open, s.Txn)
	if s.Kind == StepCommit {
		return agree(x.txn.Commit(), x.model.Commit())
	}
	x.txn.Rollback()
	x.model.Rollback()
	return nil
}

// agree compares how an operation ended.
func agree(got, want error) error {
	if errors.Is(got, want) && (got == nil) == (want == nil) {
		return nil
	}
	return &differ{fmt.Sprintf("ended with %v, the model with %v", got, want), got}
}

// differ is a difference, with the store's error if there was one.
type differ struct {
	text  string
	cause error
}

func (d *differ) Error() string { return d.text }
func (d *differ) Unwrap() error { return d.cause }

func (x *stepTxn) get(key string) error {
	got, found, err := x.txn.Get(key)
	if err != nil {
		return err
	}
	want, there := x.model.Get(key)
	if got != want || found != there {
		return &differ{fmt.Sprintf("got %.40q, found %v, the model has %.40q, found %v", got, found, want, there), nil}
	}
	return nil
}

func (x *stepTxn) scan(from, to string) error {
	got, err := x.txn.Scan(from, to)
	if err != nil {
		return err
	}
	var want []Pair
	for key, value := range x.model.Scan(from, to) {
		want = append(want, Pair{key, value})
	}
	if !slices.Equal(got, want) {
		return &differ{fmt.Sprintf("got %s, the model has %s", pairsString(got), pairsString(want)), nil}
	}
	return nil
}

func pairsString(pairs []Pair) string {
	text := strconv.Itoa(len(pairs)) + " pairs"
	for _, p := range pairs[:min(len(pairs), shownElements)] {
		text += fmt.Sprintf(" %.24q=%.16q", p.Key, p.Value)
	}
	return text
}

// compare compares everything in a new transaction.
func (r *stepper) compare() error {
	txn, err := r.store.Begin(Snapshot)
	if err != nil {
		return err
	}
	x := &stepTxn{txn, r.model.Begin(Snapshot)}
	defer x.txn.Rollback()
	defer x.model.Rollback()
	return x.scan("", "")
}
