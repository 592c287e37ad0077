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
	// scratch is the version of a run.
	scratch versions.Version
}

// walkSource is one layer: a table's cursor is on its newest versions.
type walkSource struct {
	source
	ok bool
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
		case s.ok && bytes.Equal(s.key(), w.key):
			s.ok = s.next()
		}
		if w.err = s.err(); w.err != nil {
			return false
		}
	}
	w.began, w.top = true, -1
	for i := range w.at {
		if w.at[i].ok && (w.top < 0 || bytes.Compare(w.at[i].key(), w.at[w.top].key()) < 0) {
			w.top = i
		}
	}
	if w.top < 0 {
		return false
	}
	w.key = append(w.key[:0], w.at[w.top].key()...)
	return true
}

// newest returns the newest version of the current key. That of a run is valid until the next step.
func (w *layerWalk) newest() (*versions.Version, error) { return w.versionOf(w.top) }

// versionOf returns the newest version of the current key in one layer, nil when it has none.
func (w *layerWalk) versionOf(i int) (*versions.Version, error) {
	if !w.at[i].ok || !bytes.Equal(w.at[i].key(), w.key) {
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
