package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// soakBatch overwrites all of its rows in one transaction now and then: whoever looks finds one version everywhere.
type soakBatch struct {
	*store
	s            *soaking
	acknowledged atomic.Uint64 // version
	started      atomic.Uint64 // version, perhaps rolled back
}

func newSoakBatch(ctx context.Context, s *soaking) (*soakBatch, error) {
	st, err := s.keyspace(ctx, "batch")
	b := &soakBatch{store: st, s: s}
	if err == nil {
		err = b.put(ctx, 0, false)
	}
	return b, err
}

// put writes all rows: the version, then bytes that follow from it.
func (b *soakBatch) put(ctx context.Context, version uint64, undo bool) error {
	err := b.db.UpdateWith(ctx, levelOf("batch", int(version)), func(tx *mvcc.Txn) error {
		var value []byte
		for n := range uint64(b.s.cfg.LargeRows) {
			value = binary.BigEndian.AppendUint64(value[:0], version)
			value = gen.AppendValue(value, n, version, b.s.cfg.ValueSize-8)
			if err := tx.Put(b.ks, gen.AppendKey(nil, n), value); err != nil {
				return err
			}
		}
		if undo {
			return errUndone
		}
		return nil
	})
	if errors.Is(err, errUndone) {
		return nil
	}
	return err
}

// overwrite gives all rows a new version; every fourth transaction is rolled back.
func (b *soakBatch) overwrite(ctx context.Context) func() error {
	return func() error {
		version := b.started.Add(1)
		undo := version%4 == 0
		err := timed(b.s.large, func() error { return b.put(ctx, version, undo) })
		if err == nil && !undo {
			b.acknowledged.Store(version)
		}
		return err
	}
}

func (b *soakBatch) scan(ctx context.Context) func() error {
	return func() error {
		return timed(b.s.scans, func() error {
			_, err := b.look(ctx)
			return err
		})
	}
}

// look wants one version in all rows, which is not older than what had been acknowledged nor newer than what was started.
func (b *soakBatch) look(ctx context.Context) (sum Checksum, err error) {
	least := b.acknowledged.Load()
	var rows int64
	var version uint64
	err = b.db.View(ctx, func(tx *mvcc.Txn) error {
		for item, err := range tx.Scan(b.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			found := binary.BigEndian.Uint64(item.Value)
			if rows == 0 {
				version = found
			}
			if err := auditCount("version of a row of the batch", int64(found), int64(version)); err != nil {
				return err
			}
			rows++
			sum.Add(item.Key, item.Value)
		}
		return auditCount("rows of the batch", rows, b.s.cfg.LargeRows)
	})
	if err == nil && (version < least || version > b.started.Load() || version > 0 && version%4 == 0) {
		err = auditCount("version of the batch", int64(version), int64(least))
	}
	return sum, err
}

func (b *soakBatch) audit(ctx context.Context) (Checksum, error) { return b.look(ctx) }

// soakHub adds edges to one node and deletes its oldest ones.
type soakHub struct {
	hub
	s       *soaking
	workers int
	edges   [][]hubEdgeOf // of each worker, oldest first
}

// hubEdgeOf is an edge that is there.
type hubEdgeOf struct {
	id     graph.EdgeID
	number uint64
}

func newSoakHub(ctx context.Context, s *soaking) (*soakHub, error) {
	const workers = 2
	h, err := newHub(ctx, s.db, workers)
	return &soakHub{hub: *h, s: s, workers: workers, edges: make([][]hubEdgeOf, workers)}, err
}

// checkDegreeEvery is the number of edges between two looks at the degree.
const checkDegreeEvery = 64

// step adds an edge, at alternating levels, and deletes the oldest one when there are enough; now and then it changes the
// node itself and counts its own edges.
func (h *soakHub) step(ctx context.Context, w int) func() error {
	var turn uint64
	return func() error {
		turn++
		e := hubEdgeOf{number: opNumber(w, turn)}
		full := len(h.edges[w]) >= h.s.cfg.HubEdges
		err := timed(h.s.writes, func() error {
			return h.db.UpdateWith(ctx, levelOf("hub", int(turn)), func(tx *graph.Txn) (err error) {
				e.id, err = tx.CreateEdge(h.leaves[w], h.center, hubEdge, graph.Props{hubNumber: graph.Int(int64(e.number))})
				if err == nil && full {
					err = tx.DeleteEdge(h.edges[w][0].id)
				}
				if err == nil && turn%checkDegreeEvery == 0 {
					err = tx.SetProperty(h.center, hubNumber, graph.Int(int64(turn)))
				}
				return err
			})
		})
		if err != nil {
			return err
		}
		h.edges[w] = append(h.edges[w], e)
		if full {
			h.edges[w] = h.edges[w][1:]
		}
		if turn%checkDegreeEvery == 0 {
			return h.count(ctx, w)
		}
		return nil
	}
}

// count compares the edges of a worker's leaf with those that it has made. The first leaf has one more, to itself.
func (h *soakHub) count(ctx context.Context, w int) error {
	return timed(h.s.reads, func() error {
		return h.db.View(ctx, func(tx *graph.Txn) error {
			degree, err := tx.Degree(h.leaves[w], graph.Out, hubEdge)
			want := len(h.edges[w])
			if w == 0 {
				want++
			}
			return errors.Join(err, auditCount("edges of a leaf", int64(degree), int64(want)))
		})
	})
}

func (h *soakHub) audit(ctx context.Context) (Checksum, error) {
	row := ContentionRow{}
	for _, edges := range h.edges {
		for _, e := range edges {
			row.Done++
			row.Checksum += Checksum(gen.Mix(e.number))
		}
	}
	row.Attempts = row.Done
	return row.Checksum, h.hub.audit(ctx, row)
}
