package mvcc

import (
	"bytes"
	"sync"

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

	// take appends the entry, which is not deleted, to rows, and may go on with those that follow it, without the deleted
	// ones: while they come before bound (nil: no bound) in the direction of the walk, while there are less than
	// limit rows, and as far as the rows stay valid. It reports whether the source stands on an entry that was not taken;
	// if not, it must move by next or prev. When it leaves a value to be read (rows.Lazy), or begins a run (rows.Run), it stays there.
	take(rows *pagestore.Ahead, back bool, bound []byte, limit int) (more bool)
	// hop is next, or prev when back is set, as long as the rows taken stay valid. Else it reports false and does nothing.
	hop(back bool) bool
}

// takeLazily is take for a source that can show one value at a time.
func takeLazily(rows *pagestore.Ahead, key []byte) (more bool) {
	rows.Entries, rows.Lazy = append(rows.Entries, pagestore.Entry{Key: key}), true
	return false
}

// writeSource shows the transaction's own writes. It seeks at every step, so
// that writes made meanwhile do it no harm.
type writeSource struct {
	tx     *txn
	writes *writeSet
	at     versions.Write
	behind []byte // buffer for a key to seek
}

func (s *writeSource) seek(key []byte) (ok bool) {
	s.at, ok = s.writes.atOrAfter(key)
	return ok
}

func (s *writeSource) seekBefore(key []byte) (ok bool) {
	s.at, ok = s.writes.before(key)
	return ok
}

func (s *writeSource) next() bool {
	s.behind = successor(s.behind[:0], s.at.Key)
	return s.seek(s.behind)
}

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

func (s *writeSource) take(rows *pagestore.Ahead, back bool, _ []byte, _ int) bool {
	if s.at.Kind == kindAdd {
		return takeLazily(rows, s.at.Key)
	}
	rows.Entries = append(rows.Entries, pagestore.Entry{Key: s.at.Key, Value: s.at.Value})
	return s.hop(back)
}

// hop stays on the entry at the end of the writes: there may be more when it is asked again.
func (s *writeSource) hop(back bool) bool {
	here := s.at
	if back && s.prev() || !back && s.next() {
		return true
	}
	s.at = here
	return false
}

// tableSource shows one generation of the version store.
type tableSource struct{ c *versions.Cursor }

// tableCursors are cursors without a table.
var tableCursors = sync.Pool{New: func() any { return (*versions.Table)(nil).Cursor(0) }}

func newTableSource(t *versions.Table, ts Timestamp) tableSource {
	c := tableCursors.Get().(*versions.Cursor)
	c.Reset(t, uint64(ts))
	return tableSource{c}
}

func (s tableSource) seek(key []byte) bool       { return s.c.Seek(key) }
func (s tableSource) seekBefore(key []byte) bool { return s.c.SeekLT(key) }
func (s tableSource) next() bool                 { return s.c.Next() }
func (s tableSource) prev() bool                 { return s.c.Prev() }
func (s tableSource) key() []byte                { return s.c.Key() }
func (s tableSource) deleted() bool              { return s.c.Version().Kind == versions.Delete }
func (s tableSource) value() ([]byte, error)     { return s.c.Version().Value, nil }
func (s tableSource) err() error                 { return nil }

// close keeps the cursor for somebody else; the rows that were taken belong to the table.
func (s tableSource) close() {
	s.c.Reset(nil, 0)
	tableCursors.Put(s.c)
}

func (s tableSource) take(rows *pagestore.Ahead, back bool, bound []byte, limit int) bool {
	ahead, i := s.c.Ahead(), 0
	for key, v := s.c.Peek(0); ; {
		if v.Kind != versions.Delete {
			rows.Entries = append(rows.Entries, pagestore.Entry{Key: key, Value: v.Value})
		}
		if i == ahead {
			s.c.Skip(i)
			return false
		}
		i++
		if key, v = s.c.Peek(i); len(rows.Entries) >= limit || bound != nil && !precedes(key, bound, back) {
			s.c.Skip(i)
			return true
		}
	}
}

// hop does not leave the batch, though rows would stay valid: so it need not know what to do at the end of the table.
func (s tableSource) hop(bool) bool {
	if s.c.Ahead() == 0 {
		return false
	}
	s.c.Skip(1)
	return true
}

// baseSource shows the data tree without the records after the timestamp:
// about their keys the history tree decides.
type baseSource struct {
	c      *pagestore.Cursor
	ts     Timestamp
	bounds span // of the cursor
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

func (s *baseSource) take(rows *pagestore.Ahead, back bool, bound []byte, limit int) bool {
	end := s.bounds.hi
	if back {
		end = s.bounds.lo
	}
	switch {
	case !precedes(s.c.Key(), end, back):
		limit = len(rows.Entries) + 1
	case bound == nil || precedes(end, bound, back):
		bound = end
	}
	more := s.c.ReadAhead(rows, back, bound, uint64(s.ts), limit)
	return more && (Timestamp(s.c.Timestamp()) <= s.ts || s.hop(back))
}

func (s *baseSource) hop(back bool) bool {
	for back && s.c.PrevInLeaf() || !back && s.c.NextInLeaf() {
		if Timestamp(s.c.Timestamp()) <= s.ts {
			return true
		}
	}
	return false
}

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
func (s *historySource) hop(bool) bool          { return false }

func (s *historySource) take(rows *pagestore.Ahead, _ bool, _ []byte, _ int) bool {
	return takeLazily(rows, s.at.key)
}

func (s *historySource) err() error {
	if s.fail != nil {
		return s.fail
	}
	return s.c.Err()
}

// precedes reports whether a walk comes to key before it comes to other.
func precedes(key, other []byte, back bool) bool {
	if back {
		return bytes.Compare(key, other) > 0
	}
	return bytes.Compare(key, other) < 0
}
