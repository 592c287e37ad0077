package graphdb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sombradb/sombra/bench/internal/rmat"
)

// Bbolt returns a graph of buckets whose keys are laid out for the questions of this comparison and nothing else.
//
//	bucket   key                          value
//	node     id                           label, number, name
//	number   label, number, id            nothing
//	name     label, name, id              nothing
//	out      source, type, destination    nothing
//	in       destination, type, source    nothing
//
// Ids are numbers plus one. Fields of numbers have 8 bytes, big-endian, label and type have one byte.
func Bbolt() Kind {
	return Kind{
		Name: "bbolt", Open: openBbolt,
		About: "a hand-written adjacency list: one key for each edge in each direction, prefix scans; db.Batch for inserts",
	}
}

type boltGraph struct {
	db    *bbolt.DB
	batch bool
}

// Buckets and the bytes that stand for names.
var (
	boltNode, boltNumber, boltName = []byte("node"), []byte("number"), []byte("name")
	boltOut, boltIn                = []byte("out"), []byte("in")
)

const (
	boltPerson = 'P'
	boltItem   = 'I'
	boltKnows  = 'K'
)

func openBbolt(dir string, cfg Config) (Graph, error) {
	opts := *bbolt.DefaultOptions
	opts.FreelistType = bbolt.FreelistMapType
	opts.NoFreelistSync = true
	db, err := bbolt.Open(filepath.Join(dir, "graph.bolt"), 0o600, &opts)
	if err != nil {
		return nil, err
	}
	db.MaxBatchSize, db.MaxBatchDelay = cfg.Writers, time.Millisecond
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{boltNode, boltNumber, boltName, boltOut, boltIn} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltGraph{db, cfg.Writers > 1}, nil
}

// boltBatch is how many nodes or edges are one transaction of an import.
const boltBatch = 100_000

func (b *boltGraph) Import(ctx context.Context, g *rmat.Graph) error {
	b.db.NoSync = true
	defer func() { b.db.NoSync = false }()
	err := b.inBatches(ctx, g.Nodes, func(tx *bbolt.Tx, n int) error {
		return putNode(tx, boltPerson, uint64(n)+1, int64(n), true)
	})
	if err != nil {
		return err
	}
	if err := b.putEdges(ctx, boltOut, g.Edges, func(e rmat.Edge) (from, to uint32) { return e.Src, e.Dst }); err != nil {
		return err
	}
	// In ascending order pages are filled one after the other; in another, each transaction would move what it has of a
	// page for every key.
	inward := slices.Clone(g.Edges)
	slices.SortFunc(inward, func(a, b rmat.Edge) int { return cmp.Or(cmp.Compare(a.Dst, b.Dst), cmp.Compare(a.Src, b.Src)) })
	if err := b.putEdges(ctx, boltIn, inward, func(e rmat.Edge) (from, to uint32) { return e.Dst, e.Src }); err != nil {
		return err
	}
	return b.db.Sync()
}

// putEdges puts edges, which are sorted by their end from, in one direction.
func (b *boltGraph) putEdges(ctx context.Context, bucket []byte, edges []rmat.Edge, ends func(rmat.Edge) (from, to uint32)) error {
	return b.inBatches(ctx, len(edges), func(tx *bbolt.Tx, n int) error {
		from, to := ends(edges[n])
		into := tx.Bucket(bucket)
		into.FillPercent = 1
		return into.Put(edgeKey(nil, uint64(from)+1, uint64(to)+1), nil)
	})
}

func (b *boltGraph) inBatches(ctx context.Context, n int, do func(tx *bbolt.Tx, n int) error) error {
	for lo := 0; lo < n; lo += boltBatch {
		err := b.db.Update(func(tx *bbolt.Tx) error {
			for i := lo; i < min(lo+boltBatch, n); i++ {
				if err := do(tx, i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func edgeKey(dst []byte, from, to uint64) []byte {
	return binary.BigEndian.AppendUint64(edgePrefix(dst, from), to)
}

func edgePrefix(dst []byte, from uint64) []byte {
	return append(binary.BigEndian.AppendUint64(dst, from), boltKnows)
}

func putNode(tx *bbolt.Tx, label byte, id uint64, number int64, indexName bool) error {
	idKey := binary.BigEndian.AppendUint64(nil, id)
	numberKey := binary.BigEndian.AppendUint64([]byte{label}, uint64(number))
	name := nameOf(number)
	record := append(bytes.Clone(numberKey), name...)
	err := errors.Join(tx.Bucket(boltNode).Put(idKey, record), tx.Bucket(boltNumber).Put(append(numberKey, idKey...), nil))
	if err == nil && indexName {
		key := append(append([]byte{label}, name...), idKey...)
		err = tx.Bucket(boltName).Put(key, nil)
	}
	return err
}

func (b *boltGraph) Hops(_ context.Context, start uint32, depth int) (r Reach, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(boltOut).Cursor()
		seen := map[uint64]struct{}{uint64(start) + 1: {}}
		frontier := []uint64{uint64(start) + 1}
		var prefix []byte
		for ; depth > 0; depth-- {
			var next []uint64
			for _, from := range frontier {
				prefix = edgePrefix(prefix[:0], from)
				for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
					to := binary.BigEndian.Uint64(key[len(prefix):])
					if _, known := seen[to]; known {
						continue
					}
					seen[to] = struct{}{}
					next = append(next, to)
					r.add(to - 1)
				}
			}
			frontier = next
		}
		return nil
	})
	return r, err
}

func (b *boltGraph) Insert(_ context.Context, number int64) error {
	update := b.db.Update
	if b.batch {
		update = b.db.Batch
	}
	return update(func(tx *bbolt.Tx) error {
		// Ids of inserted nodes have the highest bit set and so are none of an import.
		id, err := tx.Bucket(boltNode).NextSequence()
		if err != nil {
			return err
		}
		return putNode(tx, boltItem, id|1<<63, number, false)
	})
}

func (b *boltGraph) Inserted(context.Context) (r Reach, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(boltNumber).Cursor()
		nodes := tx.Bucket(boltNode)
		prefix := []byte{boltItem}
		for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
			if record := nodes.Get(key[9:]); !bytes.HasPrefix(record, key[:9]) {
				return errors.New("peers: an entry of bbolt's index leads to another node")
			}
			r.add(binary.BigEndian.Uint64(key[1:]))
		}
		return nil
	})
	return r, err
}

func (b *boltGraph) Close() error { return b.db.Close() }
