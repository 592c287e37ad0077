package graph

// sideView reads the edges of a node on one side, from a copy or in the store. Its methods report whether to go on.
type sideView struct {
	tx        *Txn
	node      NodeID
	side      int
	skipLoops bool // they were met on the other side
}

// places yields the places of the edges in a copy.
func (v *sideView) places(l *adjList, types *nameSet, yield func(place, error) bool) bool {
	for k := range int(l.types) {
		typ, lo, hi := l.stretch(k)
		if !v.tx.wants(types, typ) {
			continue
		}
		for i := lo; i < hi; i++ {
			p := l.place(i, v.node, v.side == 1, typ)
			if v.skipLoops && p.src == p.dst {
				continue
			}
			if !yield(p, nil) {
				return false
			}
			if i%aliveCheck == aliveCheck-1 {
				if err := v.tx.alive(); err != nil {
					yield(place{}, err)
					return false
				}
			}
		}
	}
	return true
}

// stream yields the places of the edges in the store.
func (v *sideView) stream(types nameSet, yield func(place, error) bool) bool {
	for _, r := range sideRanges(nil, v.node, v.side, &types) {
		r.skipLoops = v.skipLoops
		for key, err := range v.tx.kv.Keys(v.tx.db.ks, r.Range) {
			if err != nil {
				yield(place{}, err)
				return false
			}
			p, err := parseAdjacency(key)
			if err != nil {
				yield(place{}, v.tx.db.corrupt(key, "its key is malformed"))
				return false
			}
			if v.tx.passes(&r, p) && !yield(p, nil) {
				return false
			}
		}
	}
	return true
}

// ends yields the other ends of the edges in a copy.
func (v *sideView) ends(l *adjList, types *nameSet, yield func(NodeID, error) bool) bool {
	for k := range int(l.types) {
		typ, lo, hi := l.stretch(k)
		if !v.tx.wants(types, typ) {
			continue
		}
		for lo < hi {
			n := min(hi, lo+aliveCheck)
			if !v.endsOf(l, lo, n, yield) {
				return false
			}
			if lo = n; lo == hi {
				break
			}
			if err := v.tx.alive(); err != nil {
				yield(0, err)
				return false
			}
		}
	}
	return true
}

// endsOf yields the other ends of the edges from lo to hi.
func (v *sideView) endsOf(l *adjList, lo, hi int, yield func(NodeID, error) bool) bool {
	loop := NodeID(0) // no id
	if v.skipLoops {
		loop = v.node
	}
	if l.wide {
		for i := lo; i < hi; i++ {
			if id := l.other(i); id != loop && !yield(id, nil) {
				return false
			}
		}
		return true
	}
	for _, other := range l.others()[lo:hi] {
		if id := NodeID(other); id != loop && !yield(id, nil) {
			return false
		}
	}
	return true
}

// streamEnds yields the other ends of the edges in the store.
func (v *sideView) streamEnds(types nameSet, yield func(NodeID, error) bool) bool {
	return v.stream(types, func(p place, err error) bool { return yield(p.other(v.node), err) })
}
