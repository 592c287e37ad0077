package bench

import (
	"fmt"
	"io"

	"github.com/sombradb/sombra/bench/internal/figures"
)

// Sample is one measurement in one setting: a row of a result in the form that reports are made of.
type Sample = figures.Sample

// Outcome is the result of any workload.
type Outcome interface {
	// WriteText writes the result as a table.
	WriteText(io.Writer) error
	// Measurements returns the rows that are throughputs or factors, for a report.
	Measurements() []Sample
}

// Result is the outcome of the workloads whose rows are throughputs and nothing else.
type Result struct {
	Workload    string      `json:"workload"`
	Environment Environment `json:"environment"`
	Config      any         `json:"config"`
	Rows        []Sample    `json:"rows"`

	title string // of the table; the workload's name when it is empty
}

// Measurements implements Outcome.
func (r *Result) Measurements() []Sample { return r.Rows }

// add appends a row. workers and name complete it.
func (r *Result) add(name string, workers int, s Sample) {
	s.Workload, s.Case, s.Workers = r.Workload, name, workers
	r.Rows = append(r.Rows, s)
}

// column is one of a Result's table; it is left out when no row has it.
type column struct {
	head string
	has  func(Sample) bool
	text func(Sample) string
}

func always(Sample) bool { return true }

var columns = [...]column{
	{"workers", always, func(s Sample) string { return fmt.Sprint(s.Workers) }},
	{"ops", always, func(s Sample) string { return Count(s.Ops) + " " + s.Unit }},
	{"per second", always, func(s Sample) string { return rate(s.PerSecond) }},
	{"p50 µs", hasLatency, func(s Sample) string { return micros(s.Latency.P50) }},
	{"p99 µs", hasLatency, func(s Sample) string { return micros(s.Latency.P99) }},
	{"p99.9 µs", hasLatency, func(s Sample) string { return micros(s.Latency.P999) }},
	{"max µs", hasLatency, func(s Sample) string { return micros(s.Latency.Max) }},
	{"given up", func(s Sample) bool { return s.Offered > 0 }, func(s Sample) string { return Count(s.Missed) }},
	{"made again", func(s Sample) bool { return s.Aborts > 0 }, func(s Sample) string { return Count(s.Aborts) }},
	{"commits/s beside", func(s Sample) bool { return s.Beside > 0 }, func(s Sample) string { return rate(s.Beside) }},
	{"on disk", func(s Sample) bool { return s.Bytes > 0 }, func(s Sample) string { return Bytes(s.Bytes) }},
}

func hasLatency(s Sample) bool { return s.Latency.Max > 0 }

// WriteText writes the result as a table.
func (r *Result) WriteText(w io.Writer) error {
	title := r.title
	if title == "" {
		title = r.Workload
	}
	shown, heads := r.shown()
	t := newTable(w, title, r.Environment, append(append([]string{"what"}, heads...), "checksum")...)
	for _, row := range r.Rows {
		cells := []any{row.Case}
		for _, c := range shown {
			text := ""
			if c.has(row) {
				text = c.text(row)
			}
			cells = append(cells, text)
		}
		t.row(append(cells, row.Checksum)...)
	}
	return t.flush()
}

func (r *Result) shown() (list []column, heads []string) {
	for _, c := range columns {
		for _, row := range r.Rows {
			if c.has(row) {
				list, heads = append(list, c), append(heads, c.head)
				break
			}
		}
	}
	return list, heads
}
