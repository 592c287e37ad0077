package mvcc

import (
	"bytes"

	"github.com/sombradb/sombra/pagestore"
)

// merged walks several sources, newest first, as one. It reads ahead: fill takes as many rows as can be had
// without giving up what a row refers to. While no other source has a key among those at hand of the nearest one, these are
// taken in one go, with one search for the bound instead of a comparison for each key. From a leaf of the data tree they
// are not even taken, but read in place (rows.Run).
type merged struct {
	layers []layer
	back   bool // the direction of the walk
	rows   pagestore.Ahead
	lazy   int // the layer that has the value of the last row, when rows.Lazy
}

// layer is a source in one of three states:
//
//	standing  on an entry that is in no row; its key is here
//	due       on an entry that is done with; to leave it would make rows invalid, so it moves at the next fill
//	ended     there is no entry any more
type layer struct {
	source
	at  []byte // the key of the entry it stands on
	ok  bool   // standing or due
	due bool
}

func (l *layer) stand(ok bool) {
	l.ok, l.due = ok, false
	if ok {
		l.at = l.key()
	}
}

// move leaves the entry of a layer that is due.
func (l *layer) move(back bool) {
	if back {
		l.stand(l.prev())
	} else {
		l.stand(l.next())
	}
}

// leave goes on from an entry that is done with, now or later.
func (l *layer) leave(back bool) {
	if l.hop(back) {
		l.at = l.key()
	} else {
		l.due = true
	}
}

// seek goes to the first keys at or after key, or, when back is set, to the last ones before it.
func (m *merged) seek(key []byte, back bool, limit int) bool {
	m.back = back
	for i := range m.layers {
		l := &m.layers[i]
		if back {
			l.stand(l.seekBefore(key))
		} else {
			l.stand(l.seek(key))
		}
	}
	return m.fill(limit)
}

// fill takes the next rows, at most limit, in place of those that there are. It reports whether there are any.
func (m *merged) fill(limit int) bool {
	m.rows.Reset()
	for m.rows.Empty() {
		for i := range m.layers {
			if l := &m.layers[i]; l.due {
				l.move(m.back)
			}
		}
		if m.err() != nil || !m.take(limit) {
			return false
		}
	}
	if m.rows.Run.Active() { // there is none where each move is an operation
		m.rows.Run.Extend(maxRun)
	}
	return true
}

// runOn goes on with a run that has ended in the next leaf, if the data tree is the only layer.
func (m *merged) runOn() bool {
	if m.back || len(m.layers) != 1 {
		return false
	}
	s, ok := m.layers[0].source.(*baseSource)
	return ok && m.rows.Run.IntoNext(s.bounds.hi, maxRun)
}

// take takes rows until there are enough of them or a layer is due. It reports false when all layers have ended.
func (m *merged) take(limit int) bool {
	for {
		at, bound, shared := m.nearest()
		if at < 0 {
			return false
		}
		l := &m.layers[at]
		due := shared && m.leaveBelow(at)
		n := len(m.rows.Entries)
		switch {
		case l.deleted():
			l.leave(m.back)
		case shared:
			m.takeFrom(at, nil, len(m.rows.Entries)+1)
		default:
			if m.takeFrom(at, bound, limit); len(m.rows.Entries) == n {
				return true // a run, at hand or next
			}
		}
		if due || l.due || len(m.rows.Entries) >= limit {
			return true
		}
	}
}

func (m *merged) takeFrom(at int, bound []byte, limit int) {
	l := &m.layers[at]
	if l.take(&m.rows, m.back, bound, limit) {
		l.at = l.key()
	} else {
		l.due, m.lazy = true, at
	}
}

// nearest returns the newest of the layers that stand on the next key, and the key that the nearest of the others stands
// on, nil when there is none. If that is the same key, it is shared, and the first layer decides about it.
func (m *merged) nearest() (at int, bound []byte, shared bool) {
	at = -1
	for i := range m.layers {
		l := &m.layers[i]
		if !l.ok {
			continue
		}
		if at < 0 {
			at = i
			continue
		}
		c := bytes.Compare(l.at, m.layers[at].at)
		if m.back {
			c = -c
		}
		switch {
		case c < 0:
			at, bound, shared = i, m.layers[at].at, false
		case c == 0:
			shared = true
		case bound == nil || precedes(l.at, bound, m.back):
			bound = l.at
		}
	}
	return at, bound, shared
}

// leaveBelow leaves the key that a layer has decided about in the older layers, and reports whether one of them is due.
func (m *merged) leaveBelow(at int) (due bool) {
	key := m.layers[at].at
	for i := at + 1; i < len(m.layers); i++ {
		if l := &m.layers[i]; l.ok && bytes.Equal(l.at, key) {
			l.leave(m.back)
			due = due || l.due
		}
	}
	return due
}

// lazyValue reads the value of the last row, which its source was left on.
func (m *merged) lazyValue() ([]byte, error) { return m.layers[m.lazy].value() }

func (m *merged) err() error {
	for i := range m.layers {
		if err := m.layers[i].err(); err != nil {
			return err
		}
	}
	return nil
}

// close gives back what the sources hold.
func (m *merged) close() {
	m.rows.Reset()
	for i := range m.layers {
		m.layers[i].close()
	}
	clear(m.layers)
	m.layers = m.layers[:0]
	clear(m.rows.Entries[:cap(m.rows.Entries)])
}
