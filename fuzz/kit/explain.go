package kit

import (
	"fmt"
	"strings"
)

// edge describes a link with what the two transactions did and saw.
func (c *checker) edge(l link) Edge {
	e := Edge{From: int(l.fromTxn), To: int(l.toTxn), Kind: l.kind, held: l.held}
	from, to := txnName(e.From), txnName(e.To)
	a, b := &c.h.Txns[l.fromTxn], &c.h.Txns[l.toTxn]
	switch l.kind {
	case SessionEdge:
		e.Text = fmt.Sprintf("%s came before %s in process %d", from, to, a.Process)
		return e
	case RealTime:
		e.Text = fmt.Sprintf("%s had completed (at %d) when %s was invoked (at %d)", from, a.Completed, to, b.Invoked)
		return e
	}
	e.Key = c.keys[l.key]
	switch l.kind {
	case WW:
		e.Text = fmt.Sprintf("%s appended %s to key %d, behind what %s appended",
			to, c.appendedBy(l.toTxn, l.key), e.Key, from)
	case WR:
		e.Text = fmt.Sprintf("%s read key %d as %s, with what %s appended", to, e.Key,
			c.seenBy(l.toTxn, l.key, func(r observation) bool { return c.orders[l.key].writer[r.length] == l.fromTxn }), from)
	case RW, PredicateRW:
		e.Text = fmt.Sprintf("%s %s before %s appended %s to it", from, c.anti(l), to, c.appendedBy(l.toTxn, l.key))
	}
	return e
}

// anti describes the read of an anti-dependency.
func (c *checker) anti(l link) string {
	seen := c.seenBy(l.fromTxn, l.key, func(r observation) bool {
		next := c.orders[l.key].next[r.length]
		return next == l.toTxn || next == none
	})
	switch {
	case l.kind == PredicateRW:
		return fmt.Sprintf("read a range and did not find key %d there", c.keys[l.key])
	case l.held:
		return fmt.Sprintf("held key %d at %s", c.keys[l.key], seen)
	}
	return fmt.Sprintf("read key %d as %s", c.keys[l.key], seen)
}

// seenBy prints what a transaction read at a key, without its own appends.
func (c *checker) seenBy(t, key int32, which func(observation) bool) string {
	for _, r := range c.obs[c.obsOf[t].from:c.obsOf[t].to] {
		if r.key == key && which(r) {
			return listString(c.orders[key].longest[:r.length])
		}
	}
	return "a list"
}

// appendedBy prints the values that a transaction appended to a key.
func (c *checker) appendedBy(t, key int32) string {
	var parts []string
	for _, o := range c.h.Txns[t].Ops {
		if o.Kind == OpAppend && c.keyIndex[o.Key] == key {
			parts = append(parts, fmt.Sprint(uint64(o.Value)))
		}
	}
	return strings.Join(parts, ", ")
}

func cycleText(cycle []Edge) string {
	parts := make([]string, len(cycle))
	for i, e := range cycle {
		parts[i] = e.Text
	}
	return strings.Join(parts, "; ") + fmt.Sprintf("; so %s would come before itself", txnName(cycle[0].From))
}
