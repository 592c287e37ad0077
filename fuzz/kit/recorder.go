package kit

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Recorder collects a history from several goroutines. Each has a Process of its
// own, with its own memory, so that recorders do not make a store's clients wait
// for each other.
type Recorder struct {
	clock atomic.Int64

	mu struct {
		sync.Mutex
		processes []*Process
	}
}

// NewRecorder returns an empty recorder. It is safe for concurrent use.
func NewRecorder() *Recorder { return &Recorder{} }

// Process adds a process. Its number is the count of those before it.
func (r *Recorder) Process() *Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &Process{recorder: r, number: len(r.mu.processes)}
	r.mu.processes = append(r.mu.processes, p)
	return p
}

// History returns what was recorded so far, transactions in the order in which
// they began. It may be called while processes go on; transactions that have not
// ended yet are Unknown in it. What it returns is not changed by the recorder
// later, and shares its memory: do not change it either.
//
// It fails with an error that matches ErrRecorder if a process was used wrongly.
func (r *Recorder) History() (History, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// All at once: whatever was read was recorded by its writer before.
	for _, p := range r.mu.processes {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	var h History
	for _, p := range r.mu.processes {
		if p.mu.err != nil {
			return History{}, p.mu.err
		}
		h.Txns = append(h.Txns, p.mu.txns...)
		if p.mu.open {
			h.Txns = append(h.Txns, p.openLocked())
		}
	}
	slices.SortFunc(h.Txns, func(a, b Txn) int { return cmp.Compare(a.Invoked, b.Invoked) })
	return h, nil
}

// Process records one transaction after the other:
//
//	p.Begin(kit.Snapshot)       // before the store is asked for anything
//	p.Append(1, 17)             // before the store may commit it
//	p.Read(2, list)             // when the store has answered
//	p.End(kit.Committed)        // when the outcome is known
//
// One goroutine at a time uses it. What it is given is copied.
type Process struct {
	recorder *Recorder
	number   int

	mu struct {
		sync.Mutex
		txns   []Txn
		ops    []Op // memory for operations, rows and values, in blocks
		rows   []Row
		values []Value

		open    bool
		current Txn
		pending []Op
		err     error
	}
}

// Number returns the number that the transactions of the process have.
func (p *Process) Number() int { return p.number }

// Begin starts a transaction.
func (p *Process) Begin(level Level) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.open {
		p.misusedLocked("Begin", "before the transaction that was open had ended")
		return
	}
	p.mu.open = true
	p.mu.current = Txn{Process: p.number, Level: level, Invoked: p.recorder.clock.Add(1)}
}

// Append records that a value is appended.
func (p *Process) Append(key Key, value Value) { p.record("Append", Append(key, value)) }

// Read records which list was read; nil stands for an absent key.
func (p *Process) Read(key Key, list []Value) { p.record("Read", Read(key, list...)) }

// ReadHeld records a read after which nobody may change the key until the
// transaction ends.
func (p *Process) ReadHeld(key Key, list []Value) {
	p.record("ReadHeld", Op{Kind: OpRead, Held: true, Key: key, List: list})
}

// ReadRange records which keys from <= key < end were found.
func (p *Process) ReadRange(from, end Key, rows []Row) {
	p.record("ReadRange", ReadRange(from, end, rows...))
}

// Record records any operation.
func (p *Process) Record(op Op) { p.record("Record", op) }

func (p *Process) record(method string, op Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.open {
		p.misusedLocked(method, "while no transaction was open")
		return
	}
	op.List = p.copyListLocked(op.List)
	if len(op.Rows) > 0 {
		rows := take(&p.mu.rows, len(op.Rows))
		for _, row := range op.Rows {
			rows = append(rows, Row{row.Key, p.copyListLocked(row.List)})
		}
		op.Rows = rows
	}
	p.mu.pending = append(p.mu.pending, op)
}

// End ends the transaction.
func (p *Process) End(status Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.open {
		p.misusedLocked("End", "while no transaction was open")
		return
	}
	txn := p.mu.current
	txn.Status, txn.Completed = status, p.recorder.clock.Add(1)
	txn.Ops = append(take(&p.mu.ops, len(p.mu.pending)), p.mu.pending...)
	p.mu.txns = append(p.mu.txns, txn)
	p.mu.open, p.mu.pending = false, p.mu.pending[:0]
}

// openLocked returns the transaction that has not ended. REQUIRES: p.mu.
func (p *Process) openLocked() Txn {
	txn := p.mu.current
	txn.Status, txn.Ops = Unknown, slices.Clone(p.mu.pending)
	return txn
}

// misusedLocked keeps the first mistake for History. REQUIRES: p.mu.
func (p *Process) misusedLocked(method, when string) {
	if p.mu.err == nil {
		p.mu.err = &misuse{ErrRecorder, fmt.Sprintf("%s of process %d was called %s, after %d transactions",
			method, p.number, when, len(p.mu.txns))}
	}
}

func (p *Process) copyListLocked(list []Value) []Value {
	if len(list) == 0 {
		return nil
	}
	return append(take(&p.mu.values, len(list)), list...)
}

// blockLen is how many elements a process takes from the heap at once.
const blockLen = 4096

// take returns an empty slice with room for n elements, cut from a block.
func take[T any](block *[]T, n int) []T {
	if cap(*block)-len(*block) < n {
		*block = make([]T, 0, max(n, blockLen))
	}
	from := len(*block)
	*block = (*block)[:from+n]
	return (*block)[from:from:len(*block)]
}
