package csvdump

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/graph"
)

// ErrConfig is returned for a configuration without an output.
var ErrConfig = errors.New("csvdump: give a writer for nodes, for edges or for both")

// ErrName matches *NameError.
var ErrName = errors.New("csvdump: name cannot be written")

// NameError reports the name of a label, an edge type or a property that a CSV file cannot hold.
type NameError struct{ What, Name, Why string }

func (e *NameError) Error() string {
	return "csvdump: the name " + strconv.Quote(e.Name) + " of a " + e.What + " cannot be written: " + e.Why
}

// Is matches ErrName.
func (e *NameError) Is(target error) bool { return target == ErrName }

// Config says where the files go; a nil writer leaves one out.
type Config struct {
	Nodes, Edges io.Writer
	// Progress is called now and then with what has been written; nil is silent.
	Progress func(Result)
}

// Result counts what was written.
type Result struct {
	Nodes, Edges int64
	Changed      int64 // values that will come back as another kind (D2)
}

// progressEvery is how many rows lie between two calls of Progress.
const progressEvery = 10_000

// Run writes the graph. Errors: ErrConfig, ErrName, those of the writers, of ctx and of reading.
func Run(ctx context.Context, db *graph.DB, cfg Config) (Result, error) {
	if cfg.Nodes == nil && cfg.Edges == nil {
		return Result{}, ErrConfig
	}
	d := &dump{cfg: cfg}
	err := db.View(ctx, func(tx *graph.Txn) error {
		if cfg.Nodes != nil {
			if err := d.file(cfg.Nodes, []string{"~id", "~label"}, nodesOf(tx), &d.result.Nodes); err != nil {
				return err
			}
		}
		if cfg.Edges != nil {
			return d.file(cfg.Edges, []string{"~id", "~from", "~to", "~label"}, edgesOf(tx), &d.result.Edges)
		}
		return nil
	})
	return d.result, err
}

// element is a node or an edge, as a row.
type element struct {
	fixed []string // cells before the properties
	props graph.Props
}

func nodesOf(tx *graph.Txn) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		for n, err := range tx.Nodes() {
			var e element
			if err == nil {
				var labels string
				labels, err = joinLabels("label", n.Labels...)
				e = element{[]string{id(n.ID), labels}, n.Props}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func edgesOf(tx *graph.Txn) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		for x, err := range tx.AllEdges() {
			var e element
			if err == nil {
				var typ string
				typ, err = joinLabels("edge type", x.Type)
				e = element{[]string{id(x.ID), id(x.Src), id(x.Dst), typ}, x.Props}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func id[ID ~uint64](n ID) string { return strconv.FormatUint(uint64(n), 10) }

func joinLabels(what string, names ...string) (string, error) {
	for i, name := range names {
		if name != strings.TrimSpace(name) {
			return "", &NameError{what, name, "it begins or ends with white space"}
		}
		names[i] = escapeElement(name)
	}
	return strings.Join(names, ";"), nil
}

var elementMarks = strings.NewReplacer(`\`, `\\`, `;`, `\;`)

// escapeElement marks what would end an element of a list.
func escapeElement(s string) string { return elementMarks.Replace(s) }

// dump is a run.
type dump struct {
	cfg    Config
	result Result
}

// file writes one file: it walks the elements for their columns, then for their rows.
func (d *dump) file(w io.Writer, fixed []string, elements iter.Seq2[element, error], count *int64) error {
	columns := newColumns(fixed)
	for e, err := range elements {
		if err == nil {
			err = columns.learn(e.props)
		}
		if err != nil {
			return err
		}
	}
	out := csv.NewWriter(w)
	if err := out.Write(columns.header()); err != nil {
		return failed(err)
	}
	for e, err := range elements {
		if err != nil {
			return err
		}
		row, changed := columns.row(e)
		if err := out.Write(row); err != nil {
			return failed(err)
		}
		*count++
		d.result.Changed += int64(changed)
		if *count%progressEvery == 0 && d.cfg.Progress != nil {
			d.cfg.Progress(d.result)
		}
	}
	out.Flush()
	return failed(out.Error())
}

func failed(err error) error { return cerrors.Wrap(err, "csvdump") }
