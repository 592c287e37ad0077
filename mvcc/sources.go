package mvcc

import (
	"bytes"

	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// source is one layer of versions under a cursor: its entries in key order,
// each the layer's answer for the cursor's timestamp. Layers are asked from the
// newest to the oldest; the first that has a key decides about it.
type source interface {
	// seek goes to the first entry at or after key; seekBefore to the last one before it.
	seek(key []byte) bool
	seekBefore(key []byte) bool
	next() bool
	prev() bool
	key() []byte
	// deleted reports that the entry says: not here.
	deleted() bool
	// value is valid until the source moves.
	value() ([]byte, error)
	err() error
	// close gives back what the source holds. It is not used afterwards.
	close()
}

// writeSource shows the transaction's own writes. It seeks at every step, so
// that writes made meanwhile do it no harm.
type writeSource struct {
	tx     *txn
	writes *writeSet
	at     versions.Write
}

func (s *writeSource) seek(key []byte) (ok bool) {
	s.at, ok = s.writes.atOrAfter(key)
	return ok
}

func (s *writeSource) seekBefore(key []byte) (ok bool) {
	s.at, ok = s.writes.before(key)
	return ok
}

func (s *writeSource) next() bool    { return s.seek(successor(nil, s.at.Key)) }
func (s *writeSource) prev() bool    { return s.seekBefore(s.at.Key) }
func (s *writeSource) key() []byte   { return s.at.Key }
func (s *writeSource) deleted() bool { return s.at.Kind == versions.Delete }

func (s *writeSource) err() error { return nil }
func (s *writeSource) close()     {}

func (s *writeSource) value() ([]byte, error) {
	if s.at.Kind == kindAdd {
		return s.tx.ownAdd(nil, s.at)
	}
	return s.at.Value, nil
}

// tableSource shows one generation of the version store.
type tableSource struct{ c *versions.Cursor }

func (s tableSource) seek(key []byte) bool       { return s.c.Seek(key) }
func (s tableSource) seekBefore(key []byte) bool { return s.c.SeekLT(key) }
func (s tableSource) next() bool                 { return s.c.Next() }
func (s tableSource) prev() bool                 { return s.c.Prev() }
func (s tableSource) key() []byte                { return s.c.Key() }
func (s tableSource) deleted() bool              { return s.c.Version().Kind == versions.Delete }
func (s tableSource) value() ([]byte, error)     { return s.c.Version().Value, nil }
func (s tableSource) err() error                 { return nil }
func (s tableSource) close()                     {}

// baseSource shows the data tree without the records after the timestamp:
// about their keys the history tree decides.
type baseSource struct {
	c  *pagestore.Cursor
	ts Timestamp
}

func (s *baseSource) seek(key []byte) bool       { return s.forward(s.c.Seek(key)) }
func (s *baseSource) seekBefore(key []byte) bool { return s.backward(s.c.SeekLT(key)) }
func (s *baseSource) next() bool                 { return s.forward(s.c.Next()) }
func (s *baseSource) prev() bool                 { return s.backward(s.c.Prev()) }
func (s *baseSource) key() []byte                { return s.c.Key() }
func (s *baseSource) deleted() bool              { return false }
func (s *baseSource) value() ([]byte, error)     { return s.c.Value() }
func (s *baseSource) err() error                 { return s.c.Err() }
func (s *baseSource) close()                     { s.c.Close() }

func (s *baseSource) forward(ok bool) bool {
	for ok && Timestamp(s.c.Timestamp()) > s.ts {
		ok = s.c.Next()
	}
	return ok
}

func (s *baseSource) backward(ok bool) bool {
	for ok && Timestamp(s.c.Timestamp()) > s.ts {
		ok = s.c.Prev()
	}
	return ok
}

// historySource shows for each key of the history tree the version that was
// current at the timestamp, if the tree has it.
type historySource struct {
	c    *pagestore.Cursor
	ts   Timestamp
	at   historyVersion
	fail error
}

func (s *historySource) seek(key []byte) bool {
	return s.forward(s.c.Seek(appendGrouped(nil, key)))
}

func (s *historySource) seekBefore(key []byte) bool {
	return s.backward(s.c.SeekLT(appendGrouped(nil, key)))
}

func (s *historySource) next() bool {
	return s.forward(s.c.Seek(historySeekKey(nil, successor(nil, s.at.key), maxTimestamp)))
}

func (s *historySource) prev() bool { return s.seekBefore(s.at.key) }

// forward finds the first version with s.ts in [timestamp, end), from the cursor on.
func (s *historySource) forward(ok bool) bool {
	for ; ok; ok = s.c.Next() {
		if !s.parse() {
			return false
		}
		if s.at.timestamp <= s.ts && s.ts < s.at.end {
			return true
		}
	}
	return false
}

func (s *historySource) backward(ok bool) bool {
	for ; ok; ok = s.c.Prev() {
		if !s.parse() {
			return false
		}
		if s.at.timestamp <= s.ts && s.ts < s.at.end {
			return true
		}
	}
	return false
}

func (s *historySource) parse() (ok bool) {
	s.at, ok = parseHistoryKey(s.at.key[:0], s.c.Key())
	if !ok {
		s.fail = badHistoryKey(s.c.Key())
	}
	return ok
}

func (s *historySource) key() []byte            { return s.at.key }
func (s *historySource) deleted() bool          { return s.at.kind == versions.Delete }
func (s *historySource) value() ([]byte, error) { return s.c.Value() }
func (s *historySource) close()                 { s.c.Close() }

func (s *historySource) err() error {
	if s.fail != nil {
		return s.fail
	}
	return s.c.Err()
}

// merged walks several sources, newest first, as one.
type merged struct {
	layers   []layer
	at       int // the layer that decides about the current key, -1 when there is none
	backward bool
	buf      []byte
}

type layer struct {
	source
	ok bool // stands on an entry
}

// seek goes to the first live key at or after key.
func (m *merged) seek(key []byte) bool {
	m.backward = false
	for i := range m.layers {
		m.layers[i].ok = m.layers[i].seek(key)
	}
	return m.settle()
}

// seekBefore goes to the last live key before key.
func (m *merged) seekBefore(key []byte) bool {
	m.backward = true
	for i := range m.layers {
		m.layers[i].ok = m.layers[i].seekBefore(key)
	}
	return m.settle()
}

// next and prev move from the current key; turning round means to seek.
func (m *merged) next() bool {
	if m.backward {
		m.buf = successor(m.buf[:0], m.key())
		return m.seek(m.buf)
	}
	m.step()
	return m.settle()
}

func (m *merged) prev() bool {
	if !m.backward {
		m.buf = append(m.buf[:0], m.key()...)
		return m.seekBefore(m.buf)
	}
	m.step()
	return m.settle()
}

// step moves every layer that stands on the current key.
func (m *merged) step() {
	if len(m.layers) == 1 {
		m.advance(0)
		return
	}
	m.buf = append(m.buf[:0], m.key()...)
	for i := range m.layers {
		if l := &m.layers[i]; l.ok && bytes.Equal(l.key(), m.buf) {
			m.advance(i)
		}
	}
}

func (m *merged) advance(i int) {
	l := &m.layers[i]
	if m.backward {
		l.ok = l.prev()
	} else {
		l.ok = l.next()
	}
}

// settle picks the deciding layer, stepping over deleted keys.
func (m *merged) settle() bool {
	for {
		m.at = -1
		for i := range m.layers {
			if m.layers[i].ok && (m.at < 0 || m.nearer(i)) {
				m.at = i
			}
		}
		if m.err() != nil {
			m.at = -1
		}
		if m.at < 0 || !m.layers[m.at].deleted() {
			return m.at >= 0
		}
		m.step()
	}
}

// nearer reports whether layer i comes before the one chosen so far; at equal
// keys the newer layer, which was chosen first, stays.
func (m *merged) nearer(i int) bool {
	c := bytes.Compare(m.layers[i].key(), m.layers[m.at].key())
	if m.backward {
		return c > 0
	}
	return c < 0
}

func (m *merged) key() []byte            { return m.layers[m.at].key() }
func (m *merged) value() ([]byte, error) { return m.layers[m.at].value() }

func (m *merged) err() error {
	for i := range m.layers {
		if err := m.layers[i].err(); err != nil {
			return err
		}
	}
	return nil
}
