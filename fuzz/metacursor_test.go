package fuzz

import (
	"bytes"
	"fmt"

	"github.com/sombradb/sombra/mvcc"
)

func (m *metaRun) cursor(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		if old := x.cursors[a["slot"]]; old != nil {
			old.Close()
		}
		c, err := x.tx.Cursor(ks, metaRange(a))
		x.cursors[a["slot"]], x.spaces[a["slot"]] = c, a["ks"]
		return m.outcome(err)
	})
}

// move moves a cursor and shows where it stands.
func (m *metaRun) move(a metaArgs, move func(c *mvcc.Cursor) bool) string {
	return m.within(a, func(x *metaTxn) string {
		c := x.cursors[a["slot"]]
		if c == nil {
			return "no cursor"
		}
		ok := move(x.settled(a["slot"]))
		x.stale[a["slot"]] = false
		if !ok {
			return "nowhere " + m.outcome(c.Err())
		}
		value, err := c.Value()
		if x.tx.Isolation() != mvcc.ReadCommitted && err == nil { // there a cursor shows the state in which it began to move
			if want, found := m.expect(x, x.spaces[a["slot"]], string(c.Key())); !found || want != string(value) {
				m.fail("a cursor shows %.40q as %s, the model has %s, found %v", c.Key(), metaShow(string(value)), metaShow(want), found)
			}
		}
		return fmt.Sprintf("%.20q=%s %s", c.Key(), metaShow(string(value)), m.outcome(err))
	})
}

func (m *metaRun) first(a metaArgs) string { return m.move(a, (*mvcc.Cursor).First) }
func (m *metaRun) last(a metaArgs) string  { return m.move(a, (*mvcc.Cursor).Last) }
func (m *metaRun) next(a metaArgs) string  { return m.move(a, (*mvcc.Cursor).Next) }
func (m *metaRun) prev(a metaArgs) string  { return m.move(a, (*mvcc.Cursor).Prev) }

func (m *metaRun) seek(a metaArgs) string {
	return m.move(a, func(c *mvcc.Cursor) bool { return c.Seek([]byte(metaKey(a["key"]))) })
}

func (m *metaRun) seekBefore(a metaArgs) string {
	return m.move(a, func(c *mvcc.Cursor) bool { return c.SeekBefore([]byte(metaKey(a["key"]))) })
}

func (m *metaRun) closeCursor(a metaArgs) string {
	return m.within(a, func(x *metaTxn) string {
		c := x.cursors[a["slot"]]
		if c == nil {
			return "no cursor"
		}
		c.Close()
		x.cursors[a["slot"]] = nil
		return "ok"
	})
}

// changed notes that the transaction has written: whether a cursor that stands somewhere sees that is not promised.
func (x *metaTxn) changed() {
	for i := range x.stale {
		x.stale[i] = true
	}
}

// settled returns a cursor that stands where it stood, or behind that when its key is gone, and sees all own writes.
func (x *metaTxn) settled(slot int) *mvcc.Cursor {
	c := x.cursors[slot]
	if x.stale[slot] && c.Key() != nil {
		c.Seek(bytes.Clone(c.Key()))
	}
	return c
}
