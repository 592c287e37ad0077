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
		done, skipped, err := p.store(ctx, b)
		if err != nil {
			p.fail(b.rows[0].source.index, err)
			p.halt()
			return
		}
		p.wrote(b.kind, done, skipped)
	}
}

// transactions stores each batch in one transaction (C2). The transaction may run several times; what
// it counts is taken over after it has committed.
func (l *loader) transactions(db *graph.DB) storer {
	return func(ctx context.Context, b batch) (done Counts, skipped []badRow, err error) {
		err = db.UpdateWith(ctx, &mvcc.TxnOptions{Label: "csv import"}, func(tx *graph.Txn) (err error) {
			done, skipped, err = l.writeRows(tx, b)
			return err
		})
		return done, skipped, err
	}
}

// target is where elements are created: a transaction, or a bulk load.
type target interface {
	CreateNodeAs(importKey, id string, labels []string, props graph.Props) (graph.NodeID, bool, error)
	CreateEdgeAs(importKey, id string, src, dst graph.NodeID, typ string, props graph.Props) (graph.EdgeID, bool, error)
	LookupNode(importKey, id string) (graph.NodeID, error)
}

// writeRows writes a batch.
func (l *loader) writeRows(t target, b batch) (done Counts, skipped []badRow, err error) {
	w := writer{target: t, key: l.cfg.ImportKey, nodes: map[string]graph.NodeID{}}
	for _, r := range b.rows {
		created, err := w.write(r)
		var bad *CellError
		switch {
		case errors.As(err, &bad) && l.cfg.SkipBad:
			done.Bad++
			skipped = insertBad(skipped, badRow{r.source.index, bad})
		case err != nil:
			return done, skipped, err
		case created:
			done.Created++
		default:
			done.Existing++
		}
	}
	return done, skipped, nil
}

// writer writes rows to a target. A row that turns out to be bad has written nothing.
type writer struct {
	target
	key   string
	nodes map[string]graph.NodeID // found in this batch
}

func (w *writer) write(r *row) (created bool, err error) {
	if r.source.kind == nodeRows {
		_, created, err = w.CreateNodeAs(w.key, r.id, r.labels, r.props)
		return created, refused(r, 0, err)
	}
	from, err := w.find(r, roleFrom, r.from)
	if err != nil {
		return false, err
	}
	to, err := w.find(r, roleTo, r.to)
	if err != nil {
		return false, err
	}
	_, created, err = w.CreateEdgeAs(w.key, r.id, from, to, r.labels[0], r.props)
	return created, refused(r, from, err)
}

// find returns the node that an end of an edge names.
func (w *writer) find(r *row, end role, id string) (graph.NodeID, error) {
	if node, known := w.nodes[id]; known {
		return node, nil
	}
	node, err := w.LookupNode(w.key, id)
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

// refused turns the graph's refusal of a row into a bad cell; other errors pass. from is the source of an edge.
func refused(r *row, from graph.NodeID, err error) error {
	var constraint *graph.ConstraintError
	switch {
	case errors.As(err, &constraint):
		return r.violates(constraint, from, err)
	case errors.Is(err, graph.ErrRefused):
		return r.bad("", err.Error(), "a row that the service's hooks accept", err)
	case errors.Is(err, graph.ErrInvalid):
		return r.bad("", err.Error(), "a row that the graph accepts", err)
	}
	return err
}

// violates turns the violation of a constraint into a bad cell: that of the property, of the label, or of the end of an edge.
func (r *row) violates(c *graph.ConstraintError, from graph.NodeID, err error) error {
	switch {
	case c.Kind == graph.UniqueValue:
		want := fmt.Sprintf("a value that no other :%s has; node %d has it", c.Label, c.Existing)
		return r.bad(r.title(c.Property), c.Value.String(), want, err)
	case c.Kind == graph.EndpointLabels:
		end, id := roleTo, r.to
		if c.Node == from && c.Needs == c.Source {
			end, id = roleFrom, r.from
		}
		return r.bad(r.source.header.title(end), id, fmt.Sprintf("a node with the label %s: %v", c.Needs, c.Constraint), err)
	case c.Value.IsNull():
		return r.bad(r.title(c.Property), "", fmt.Sprintf("a value: %v", c.Constraint), err)
	}
	return r.bad(r.title(c.Property), c.Value.String(), c.Constraint.String(), err)
}

// title returns the column of a property as the header has it, or the property if there is none.
func (r *row) title(property string) string {
	if i := r.source.header.propertyColumn(property); i >= 0 {
		return r.source.header.columns[i].title
	}
	return property
}
