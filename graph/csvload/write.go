package csvload

import (
	"context"
	"errors"
	"fmt"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// write writes batches until there are no more or the import ends.
func (p *pipeline) write(ctx context.Context) {
	for b := range p.batches {
		if err := p.writeBatch(ctx, b); err != nil {
			p.fail(b.rows[0].source.index, err)
			p.halt()
			return
		}
	}
}

// writeBatch writes a batch in one transaction (C2). The transaction may run several times; what
// it counts is taken over after it has committed.
func (p *pipeline) writeBatch(ctx context.Context, b batch) error {
	var done Counts
	var skipped []badRow
	err := p.db.UpdateWith(ctx, &mvcc.TxnOptions{Label: "csv import"}, func(tx *graph.Txn) error {
		done, skipped = Counts{}, nil
		w := writer{tx: tx, key: p.cfg.ImportKey, nodes: map[string]graph.NodeID{}}
		for _, r := range b.rows {
			created, err := w.write(r)
			var bad *CellError
			switch {
			case errors.As(err, &bad) && p.cfg.SkipBad:
				done.Bad++
				skipped = insertBad(skipped, badRow{r.source.index, bad})
			case err != nil:
				return err
			case created:
				done.Created++
			default:
				done.Existing++
			}
		}
		return nil
	})
	if err == nil {
		p.wrote(b.kind, done, skipped)
	}
	return err
}

// writer writes rows in one transaction. A row that turns out to be bad has written nothing.
type writer struct {
	tx    *graph.Txn
	key   string
	nodes map[string]graph.NodeID // found in this transaction
}

func (w *writer) write(r *row) (created bool, err error) {
	if r.source.kind == nodeRows {
		_, created, err = w.tx.CreateNodeAs(w.key, r.id, r.labels, r.props)
		return created, refused(r, err)
	}
	from, err := w.find(r, roleFrom, r.from)
	if err != nil {
		return false, err
	}
	to, err := w.find(r, roleTo, r.to)
	if err != nil {
		return false, err
	}
	_, created, err = w.tx.CreateEdgeAs(w.key, r.id, from, to, r.labels[0], r.props)
	return created, refused(r, err)
}

// find returns the node that an end of an edge names.
func (w *writer) find(r *row, end role, id string) (graph.NodeID, error) {
	if node, known := w.nodes[id]; known {
		return node, nil
	}
	node, err := w.tx.LookupNode(w.key, id)
	if errors.Is(err, graph.ErrNodeNotFound) {
		want := fmt.Sprintf("the id of a node that was imported under the key %q", w.key)
		return 0, r.bad(r.source.header.title(end), id, want, err)
	}
	if err != nil {
		return 0, err
	}
	w.nodes[id] = node
	return node, nil
}

// refused turns the graph's refusal of a row into a bad cell; other errors pass.
func refused(r *row, err error) error {
	var constraint *graph.ConstraintError
	switch {
	case errors.As(err, &constraint):
		title := constraint.Property
		if i := r.source.header.propertyColumn(title); i >= 0 {
			title = r.source.header.columns[i].title
		}
		want := fmt.Sprintf("a value that no other :%s has; node %d has it", constraint.Label, constraint.Existing)
		return r.bad(title, constraint.Value.String(), want, err)
	case errors.Is(err, graph.ErrInvalid):
		return r.bad("", err.Error(), "a row that the graph accepts", err)
	}
	return err
}
