package runs

import (
	"bytes"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// Merged moves over several runs as over one; of a key that several have it shows the write of the newest run. It has
// the moves of a Cursor, with the same rules. Not safe for concurrent use.
type Merged struct {
	inputs   []input // from the newest to the oldest
	heap     []*input
	backward bool
	ok       bool
	err      error
	last     []byte // the key before a step
	closed   bool
}

// input is the cursor of one run.
type input struct {
	*Cursor
	age int // 0 is the newest
}

// Merge returns a cursor without a position over the runs, the newest first. It should be closed. With a single run
// it costs no more than the run's own cursor.
func Merge(newestFirst ...*Run) *Merged {
	m := &Merged{inputs: make([]input, len(newestFirst)), heap: make([]*input, 0, len(newestFirst))}
	for age, r := range newestFirst {
		m.inputs[age] = input{r.Cursor(), age}
	}
	return m
}

// SeekFirst goes to the smallest key.
func (m *Merged) SeekFirst() bool { return m.seek(false, (*Cursor).SeekFirst) }

// SeekLast goes to the largest key.
func (m *Merged) SeekLast() bool { return m.seek(true, (*Cursor).SeekLast) }

// Seek goes to the first key at or after key.
func (m *Merged) Seek(key []byte) bool {
	return m.seek(false, func(c *Cursor) bool { return c.Seek(key) })
}

// SeekBefore goes to the last key before key.
func (m *Merged) SeekBefore(key []byte) bool {
	return m.seek(true, func(c *Cursor) bool { return c.SeekBefore(key) })
}

// seek moves each input, and builds the heap.
func (m *Merged) seek(backward bool, move func(*Cursor) bool) bool {
	m.ok, m.err, m.backward, m.heap = false, nil, backward, m.heap[:0]
	if m.closed {
		m.err = ErrClosed
		return false
	}
	for i := range m.inputs {
		in := &m.inputs[i]
		if move(in.Cursor) {
			m.heap = append(m.heap, in)
		} else if err := in.Err(); err != nil {
			m.err = err
			return false
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	m.ok = len(m.heap) > 0
	return m.ok
}

// Next goes to the following key.
func (m *Merged) Next() bool { return m.step(false) }

// Prev goes to the key before.
func (m *Merged) Prev() bool { return m.step(true) }

func (m *Merged) step(backward bool) bool {
	switch {
	case !m.ok:
		return false
	case len(m.inputs) == 1:
		m.ok = m.inputs[0].move(backward)
		m.err = m.inputs[0].Err()
		return m.ok
	}
	m.last = append(m.last[:0], m.Key()...)
	if backward != m.backward {
		return m.turn(backward)
	}
	for len(m.heap) > 0 && bytes.Equal(m.heap[0].key, m.last) {
		if !m.advance() {
			return false
		}
	}
	m.ok = len(m.heap) > 0
	return m.ok
}

// turn goes to the neighbour of the current key in the other direction. The inputs have to seek it, because each of
// them may stand anywhere behind the current key (F6).
func (m *Merged) turn(backward bool) bool {
	if backward {
		return m.SeekBefore(m.last)
	}
	m.last = append(m.last, 0) // the smallest key above
	return m.Seek(m.last)
}

// advance moves the input at the top.
func (m *Merged) advance() bool {
	top := m.heap[0]
	if !top.move(m.backward) {
		if m.err = top.Err(); m.err != nil {
			m.ok = false
			return false
		}
		n := len(m.heap) - 1
		m.heap[0] = m.heap[n]
		m.heap = m.heap[:n]
	}
	m.sink(0)
	return true
}

func (in *input) move(backward bool) bool {
	if backward {
		return in.Prev()
	}
	return in.Next()
}

// before reports whether a's write is to be shown before b's.
func (m *Merged) before(a, b *input) bool {
	c := bytes.Compare(a.key, b.key)
	if c == 0 {
		return a.age < b.age
	}
	return (c < 0) != m.backward
}

// sink puts input i of the heap where it belongs.
func (m *Merged) sink(i int) {
	h := m.heap
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && m.before(h[child+1], h[child]) {
			child++
		}
		if !m.before(h[child], h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// Key returns the current key, valid until the next move, nil without a position.
func (m *Merged) Key() []byte {
	if !m.ok {
		return nil
	}
	return m.heap[0].Key()
}

// Kind returns the kind of the current write, 0 without a position.
func (m *Merged) Kind() versions.Kind {
	if !m.ok {
		return 0
	}
	return m.heap[0].Kind()
}

// ValueSize returns the length of the current value, without reading it.
func (m *Merged) ValueSize() int64 {
	if !m.ok {
		return 0
	}
	return m.heap[0].ValueSize()
}

// Value returns the current value, like Cursor.Value.
func (m *Merged) Value() ([]byte, error) {
	if !m.ok {
		return nil, m.err
	}
	return m.heap[0].Value()
}

// Err returns what stopped the cursor, nil at the ends of the runs.
func (m *Merged) Err() error { return m.err }

// Close closes the cursors of all runs. A second Close does nothing; moves fail with ErrClosed.
func (m *Merged) Close() {
	for i := range m.inputs {
		m.inputs[i].Close()
	}
	m.ok, m.closed, m.err, m.heap = false, true, ErrClosed, nil
}
