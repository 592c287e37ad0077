package graph

// loadNames gives names their ids in a dictionary that nobody else uses yet.
type loadNames struct {
	*dict
	last uint64 // newest id
}

// intern returns the id of a name and gives it the next one if it has none.
func (n *loadNames) intern(name string) (uint64, error) {
	if id, ok := n.lookup(name); ok {
		return id, nil
	}
	if err := n.validate(name); err != nil {
		return 0, err
	}
	if err := n.checkID(n.last + 1); err != nil {
		return 0, err
	}
	n.last++
	n.add(name, n.last)
	return n.last, nil
}

// finish adds the catalog as transactions would have left it.
func (l *Loader) finish() error {
	if err := l.ready(); err != nil {
		return err
	}
	for _, n := range []*loadNames{&l.labels, &l.types, &l.properties} {
		if err := l.putNames(n); err != nil {
			return err
		}
	}
	indexes := uint64(len(l.schema.byID))
	for _, ix := range l.schema.byID {
		l.key = appendIndexDefKey(l.key[:0], ix.id)
		if err := l.put(appendIndexDef(nil, ix)); err != nil {
			return err
		}
	}
	for _, r := range l.schema.rules {
		l.key = appendRuleKey(l.key[:0], r.id)
		if err := l.put(appendRule(nil, r)); err != nil {
			return err
		}
	}
	rules := uint64(len(l.schema.rules))
	for name, c := range map[string]struct{ used, block uint64 }{
		counterNodes: {l.nodes, idBlock}, counterEdges: {l.edges, idBlock}, counterIndexes: {indexes, 1}, counterRules: {rules, 1},
	} {
		if err := l.putCounter(name, c.used, c.block); err != nil {
			return err
		}
	}
	if n := indexes + rules; n > 0 { // each was defined, then made ready
		if err := l.putUint(epochKey, 2*n); err != nil {
			return err
		}
	}
	if len(l.schema.onEdges)+len(l.schema.ends) == 0 {
		l.key = append(l.key[:0], freeKey...)
		if err := l.put(nil); err != nil {
			return err
		}
	}
	return l.putUint(versionKey, l.schema.format())
}

func (l *Loader) putNames(n *loadNames) error {
	for id := uint64(1); id <= n.last; id++ {
		name, _ := n.name(id)
		if err := l.putUint(appendNameKey(nil, n.kind, name), id); err != nil {
			return err
		}
	}
	return l.putCounter(string(n.kind), n.last, 1)
}

// putCounter adds a counter that has handed out ids up to used, in blocks (G7).
func (l *Loader) putCounter(name string, used, block uint64) error {
	if used == 0 {
		return nil
	}
	return l.putUint(counterKey(name), 1+(used+block-1)/block*block)
}

func (l *Loader) putUint(key []byte, u uint64) error {
	l.key = append(l.key[:0], key...)
	return l.put(appendUint(nil, u))
}
