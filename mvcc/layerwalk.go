package mvcc

import (
	"bytes"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// layerWalk goes over the keys of several frozen layers in key order, for a merge.
type layerWalk struct {
	layers []frozen
	at     []walkSource
	from   []byte // where it begins; nil: at the first key
	key    []byte // the current one, valid until the next step
	top    int    // the newest layer that has it
	began  bool
	err    error
	// While only top has the current key, the others' keys are not below limit; nil: they have none left.
	alone bool
	limit []byte
	// scratch is the version of a run.
	scratch versions.Version
}

// walkSource is one layer: a table's cursor is on its newest versions.
type walkSource struct {
	source
	ok bool // it is on a key
	on bool // it is on the current key
}

func newLayerWalk(layers []frozen, from []byte) *layerWalk {
	w := &layerWalk{layers: layers, from: from, at: make([]walkSource, len(layers))}
	for i := range layers {
		w.at[i].source = layers[i].source(maxTimestamp)
	}
	return w
}

// next goes to the next key.
func (w *layerWalk) next() bool {
	for i := range w.at {
		s := &w.at[i]
		switch {
		case !w.began:
			s.ok = s.seek(w.from)
		case s.on:
			s.ok = s.next()
		default:
			continue
		}
		if w.err = s.err(); w.err != nil {
			return false
		}
	}
	w.began = true
	if w.alone && w.at[w.top].ok {
		if key := w.at[w.top].key(); w.limit == nil || bytes.Compare(key, w.limit) < 0 {
			w.key = key
			return true
		}
	}
	return w.choose()
}

// choose finds the smallest key, who has it, and the smallest one of the others.
func (w *layerWalk) choose() bool {
	w.top = -1
	for i := range w.at {
		if w.at[i].ok && (w.top < 0 || bytes.Compare(w.at[i].key(), w.at[w.top].key()) < 0) {
			w.top = i
		}
	}
	if w.top < 0 {
		return false
	}
	w.key, w.alone, w.limit = w.at[w.top].key(), true, nil
	for i := range w.at {
		s := &w.at[i]
		s.on = s.ok && (i == w.top || bytes.Equal(s.key(), w.key))
		switch {
		case i == w.top || !s.ok:
		case s.on:
			w.alone = false
		case w.limit == nil || bytes.Compare(s.key(), w.limit) < 0:
			w.limit = s.key()
		}
	}
	return true
}

// newest returns the newest version of the current key. That of a run is valid until the next step.
func (w *layerWalk) newest() (*versions.Version, error) { return w.versionOf(w.top) }

// versionOf returns the newest version of the current key in one layer, nil when it has none.
func (w *layerWalk) versionOf(i int) (*versions.Version, error) {
	if !w.at[i].on {
		return nil, nil
	}
	switch s := w.at[i].source.(type) {
	case tableSource:
		return s.c.Version(), nil
	case runSource:
		value, err := s.value()
		w.scratch = versions.Version{Timestamp: uint64(w.layers[i].ts), Kind: s.c.Kind(), Value: value}
		return &w.scratch, err
	}
	return nil, nil
}

func (w *layerWalk) close() {
	for i := range w.at {
		w.at[i].close()
	}
}
