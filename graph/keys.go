package graph

import (
	"slices"

	"github.com/sombradb/sombra/mvcc"
)

// keyspaceName is the store's keyspace that holds the graph.
const keyspaceName = "graph"

// First bytes of keys; doc.go has the table.
const (
	keyCatalog  = 'C'
	keyEdge     = 'E'
	keyIn       = 'I'
	keyExternal = 'K'
	keyLabel    = 'L'
	keyRule     = 'M'
	keyNode     = 'N'
	keyOut      = 'O'
	keyUnique   = 'U'
	keyIndex    = 'X'
)

// Second bytes of catalog keys.
const (
	catVersion = 'v'
	catEpoch   = 's'
	catCounter = 'c'
	catName    = 'd'
	catIndex   = 'i'
	catFree    = 'f'
)

var (
	versionKey = []byte{keyCatalog, catVersion}
	epochKey   = []byte{keyCatalog, catEpoch}
	freeKey    = []byte{keyCatalog, catFree}
	// epochRange holds the one key epochKey.
	epochRange = mvcc.Range{Lo: epochKey, Hi: []byte{keyCatalog, catEpoch, 0}}
)

// NodeID identifies a node for ever. Ids begin at 1.
type NodeID uint64

// EdgeID identifies an edge for ever. Ids begin at 1.
type EdgeID uint64

// place is where an edge is: what its keys consist of.
type place struct {
	src, dst NodeID
	typ      uint64
	edge     EdgeID
}

func appendNodeKey(dst []byte, id NodeID) []byte {
	return appendUint(append(dst, keyNode), uint64(id))
}

func appendEdgeKey(dst []byte, id EdgeID) []byte {
	return appendUint(append(dst, keyEdge), uint64(id))
}

func appendLabelKey(dst []byte, label uint64, id NodeID) []byte {
	return appendUint(appendUint(append(dst, keyLabel), label), uint64(id))
}

func appendOutKey(dst []byte, p place) []byte {
	return appendAdjacency(append(dst, keyOut), uint64(p.src), p.typ, uint64(p.dst), p.edge)
}

func appendInKey(dst []byte, p place) []byte {
	return appendAdjacency(append(dst, keyIn), uint64(p.dst), p.typ, uint64(p.src), p.edge)
}

func appendAdjacency(dst []byte, node, typ, other uint64, edge EdgeID) []byte {
	dst = appendUint(appendUint(dst, node), typ)
	return appendUint(appendUint(dst, other), uint64(edge))
}

// appendPlace appends the value of an edge key.
func appendPlace(dst []byte, p place) []byte {
	return appendUint(appendUint(appendUint(dst, uint64(p.src)), p.typ), uint64(p.dst))
}

func parsePlace(id EdgeID, value []byte) (place, error) {
	f, err := cutUints(value, 3)
	if err != nil {
		return place{}, err
	}
	return place{src: NodeID(f[0]), typ: f[1], dst: NodeID(f[2]), edge: id}, nil
}

// parseAdjacency decodes an out or in key.
func parseAdjacency(key []byte) (place, error) {
	f, err := cutUints(key[1:], 4)
	if err != nil {
		return place{}, err
	}
	p := place{src: NodeID(f[0]), typ: f[1], dst: NodeID(f[2]), edge: EdgeID(f[3])}
	if key[0] == keyIn {
		p.src, p.dst = p.dst, p.src
	}
	return p, nil
}

// parseNodeKey decodes a node key.
func parseNodeKey(key []byte) (NodeID, error) {
	f, err := cutUints(key[1:], 1)
	return NodeID(f[0]), err
}

// parseLabelKey decodes a label key.
func parseLabelKey(key []byte) (label uint64, id NodeID, err error) {
	f, err := cutUints(key[1:], 2)
	return f[0], NodeID(f[1]), err
}

// cutUints decodes exactly n ordered integers, at most four.
func cutUints(b []byte, n int) (f [4]uint64, err error) {
	for i := range n {
		if f[i], b, err = cutUint(b); err != nil {
			return f, err
		}
	}
	if len(b) != 0 {
		err = errMalformed
	}
	return f, err
}

// appendIndexPrefix appends what the keys of an index begin with.
func appendIndexPrefix(dst []byte, ix *index) []byte {
	tag := byte(keyIndex)
	if ix.unique {
		tag = keyUnique
	}
	return appendUint(append(dst, tag), ix.id)
}

// appendIndexKey appends the key of the entry for a node with a value.
func appendIndexKey(dst []byte, ix *index, v Value, id NodeID) []byte {
	dst = appendValue(appendIndexPrefix(dst, ix), v)
	if ix.unique {
		return dst
	}
	return appendUint(dst, uint64(id))
}

// parseIndexKey decodes an entry's key; id is 0 for unique indexes, whose
// entries have the node as value.
func parseIndexKey(key []byte) (index uint64, v Value, id NodeID, err error) {
	index, rest, err := cutUint(key[1:])
	if err != nil {
		return 0, Value{}, 0, err
	}
	if v, rest, err = cutValue(rest); err != nil {
		return 0, Value{}, 0, err
	}
	if key[0] == keyUnique {
		if len(rest) != 0 {
			err = errMalformed
		}
		return index, v, 0, err
	}
	f, err := cutUints(rest, 1)
	return index, v, NodeID(f[0]), err
}

func appendNameKey(dst []byte, dictionary byte, name string) []byte {
	return append(append(dst, keyCatalog, catName, dictionary), name...)
}

func appendIndexDefKey(dst []byte, id uint64) []byte {
	return appendUint(append(dst, keyCatalog, catIndex), id)
}

// Kinds of elements with external ids.
const (
	externalNode = 'n'
	externalEdge = 'e'
)

func appendExternalKey(dst []byte, kind byte, importKey, id string) []byte {
	dst = appendText(append(dst, keyExternal, kind), importKey)
	return append(dst, id...)
}

func parseExternalKey(key []byte) (kind byte, importKey, id string, err error) {
	if len(key) < 2 || (key[1] != externalNode && key[1] != externalEdge) {
		return 0, "", "", errMalformed
	}
	importKey, rest, err := cutText(key[2:])
	return key[1], importKey, string(rest), err
}

// isGraphKey reports whether a key is one of those in doc.go.
func isGraphKey(key []byte) bool {
	if len(key) < 2 {
		return false
	}
	var err error
	switch key[0] {
	case keyCatalog:
		return slices.Contains([]byte{catVersion, catEpoch, catCounter, catName, catIndex, catFree}, key[1])
	case keyEdge, keyNode, keyRule:
		_, err = cutUints(key[1:], 1)
	case keyLabel:
		_, _, err = parseLabelKey(key)
	case keyOut, keyIn:
		_, err = parseAdjacency(key)
	case keyIndex, keyUnique:
		_, _, _, err = parseIndexKey(key)
	case keyExternal:
		_, _, _, err = parseExternalKey(key)
	default:
		return false
	}
	return err == nil
}
