package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sombradb/sombra/bench/internal/figures"
)

// Report is what was measured in one or several rounds.
type Report struct {
	Environment Environment
	Samples     []Sample
	// Against, when not nil, is an earlier run that this one is compared with.
	Against *Report
}

// SampleLog writes samples to a file as JSON lines, behind a line with the environment, as soon as they are there.
type SampleLog = figures.LogWriter

// CreateSamples creates or replaces a file of samples. Close it.
func CreateSamples(path string, env Environment) (*SampleLog, error) {
	return figures.CreateLog(path, env)
}

// ReadSamples reads a file that a SampleLog wrote.
func ReadSamples(path string) (*Report, error) {
	log, err := figures.ReadLog[Environment](path)
	return &Report{Environment: log.Environment, Samples: log.Samples}, err
}

// figure returns that of a setting, nil if it was not measured.
func (r *Report) figure(at figures.Setting) *figures.Figure {
	for _, f := range figures.Collect(r.Samples) {
		if f.Setting == at {
			return f
		}
	}
	return nil
}

// rounds returns how often everything was measured.
func (r *Report) rounds() (n int) {
	for _, s := range r.Samples {
		n = max(n, s.Round+1)
	}
	return n
}

// compared is a figure divided by another one.
type compared struct {
	label  string
	spread figures.Spread
}

// ratios compares with the earlier run if there is one. Without, a figure is divided within rounds by that of the same case
// with the fewest workers, or of the case without what is beside it, and commits by syncs of the device.
func (r *Report) ratios() (list []compared) {
	all := figures.Collect(r.Samples)
	for _, f := range all {
		if r.Against != nil {
			if old := r.Against.figure(f.Setting); old != nil {
				list = appendRatio(list, label(f)+" / before")(figures.RatioTo(f, old.Rate.Median))
			}
			continue
		}
		base := slices.IndexFunc(all, func(b *figures.Figure) bool {
			return b.Workload == f.Workload && (b.Case == f.Case || strings.HasPrefix(f.Case, b.Case+" beside"))
		})
		if all[base] != f {
			list = appendRatio(list, label(f)+" / "+within(all[base]))(figures.Ratio(f, all[base]))
		}
		if device := slices.IndexFunc(all, func(b *figures.Figure) bool { return b.Workload == "device" }); device >= 0 && f.Workload == "commit" {
			list = appendRatio(list, label(f)+" / device")(figures.Ratio(f, all[device]))
		}
	}
	return list
}

func appendRatio(list []compared, label string) func(figures.Spread, bool) []compared {
	return func(s figures.Spread, ok bool) []compared {
		if !ok {
			return list
		}
		return append(list, compared{label, s})
	}
}

// within names a figure within its workload.
func within(f *figures.Figure) string {
	workers := fmt.Sprintf("%d workers", f.Workers)
	if f.Workers == 1 {
		workers = "1 worker"
	}
	if f.Case == "" {
		return workers
	}
	return f.Case + ", " + workers
}

func label(f *figures.Figure) string { return f.Workload + ": " + within(f) }

// WriteText writes a table of medians with their ranges.
func (r *Report) WriteText(w io.Writer) error {
	heads := []string{"what", "workers", "unit", "per second", "p50 µs", "p99 µs", "p99.9 µs", "factor"}
	if r.Against != nil {
		heads = append(heads, "before")
	}
	t := newTable(w, fmt.Sprintf("medians of %d rounds, and their range", r.rounds()), r.Environment, heads...)
	for _, f := range figures.Collect(r.Samples) {
		cells := []any{strings.TrimSuffix(f.Workload+": "+f.Case, ": "), f.Workers, f.Samples[0].Unit, f.Rate}
		for _, q := range [...]float64{f.Latency.P50, f.Latency.P99, f.Latency.P999} {
			cells = append(cells, optional(q, micros))
		}
		cells = append(cells, optional(f.Factor, ratio))
		if r.Against != nil {
			cells = append(cells, r.before(f))
		}
		t.row(cells...)
	}
	return t.flush()
}

// optional renders a number that is not zero.
func optional(v float64, text func(float64) string) string {
	if v == 0 {
		return ""
	}
	return text(v)
}

// before renders the change since the earlier run.
func (r *Report) before(f *figures.Figure) string {
	old := r.Against.figure(f.Setting)
	if old == nil {
		return ""
	}
	s, ok := figures.RatioTo(f, old.Rate.Median)
	if !ok {
		return ""
	}
	return "x " + s.String()
}

// WriteMarkdown writes a document with tables and plots to a file; the plots go to a directory beside it that has its name
// without the ending.
func (r *Report) WriteMarkdown(path string) error {
	plots := strings.TrimSuffix(path, filepath.Ext(path))
	if plots == path {
		return &ConfigError{Field: "report", Value: path, Want: "a name with an ending such as .md"}
	}
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return fmt.Errorf("bench: report: %w", err)
	}
	drawn, err := r.draw(plots)
	if err != nil {
		return err
	}
	p := &figures.Page{}
	r.preface(p)
	for _, workload := range r.workloads() {
		p.F("## %s\n", workload)
		for _, name := range drawn {
			if strings.HasPrefix(name, workload+"-") {
				p.F("![%s](%s/%s)\n", strings.TrimSuffix(name, ".png"), filepath.Base(plots), name)
			}
		}
		r.section(p, workload)
	}
	if slices.Contains(drawn, ratiosPlot) {
		p.F("## Ratios\n\n![ratios](%s/%s)\n", filepath.Base(plots), ratiosPlot)
	}
	if err := os.WriteFile(path, []byte(strings.TrimRight(p.String(), "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("bench: report: %w", err)
	}
	return nil
}

func (r *Report) workloads() (list []string) {
	for _, s := range r.Samples {
		if !slices.Contains(list, s.Workload) {
			list = append(list, s.Workload)
		}
	}
	return list
}

func (r *Report) preface(p *figures.Page) {
	e := r.Environment
	p.F("# Measurements of Sombra\n")
	p.F("Made by `sombra bench`. Every row was checked: what was written has been read back and compared. A figure is the median of %d rounds, "+
		"with the range behind it; rounds are interleaved, and each measurement that time ends has a warm-up of a fifth of it before.\n", r.rounds())
	p.F("| | |\n|---|---|")
	p.F("| CPU | %s, %d cores |", e.CPU, e.CPUs)
	p.F("| system | %s/%s, kernel %s |", e.OS, e.Arch, e.Kernel)
	p.F("| disk | %s, %s |", e.Disk, e.FileSystem)
	p.F("| Go | %s |", e.GoVersion)
	if e.Revision != "" {
		p.F("| revision | %s |", e.Revision)
	}
	if e.Busy() {
		p.F("| load before the run | %.1f: **other programs were busy on this machine** |", e.Load)
	}
	p.F("")
}

// section writes the table of a workload.
func (r *Report) section(p *figures.Page, workload string) {
	head := []string{"what", "workers", "per second", "p50 / p99 / p99.9, µs", "factor", "bytes"}
	if r.Against != nil {
		head = append(head, "before")
	}
	var rows [][]string
	var notes []string
	for _, f := range figures.Collect(r.Samples) {
		if f.Workload != workload {
			continue
		}
		latency, size := "", ""
		if f.Latency.Max > 0 {
			latency = fmt.Sprintf("%s / %s / %s", figures.Number(f.Latency.P50), figures.Number(f.Latency.P99), figures.Number(f.Latency.P999))
		}
		if f.Bytes > 0 {
			size = Bytes(f.Bytes)
		}
		what := strings.TrimPrefix(f.Case+", ", ", ") + f.Samples[0].Unit
		row := []string{what, fmt.Sprint(f.Workers), f.Rate.String(), latency, optional(f.Factor, ratio), size}
		if r.Against != nil {
			row = append(row, r.before(f))
		}
		rows = append(rows, row)
		if of := f.Samples[0].FactorOf; of != "" && !slices.Contains(notes, of) {
			notes = append(notes, of)
		}
	}
	p.Table(head, rows)
	if len(notes) > 0 {
		p.F("The factor is %s.\n", strings.Join(notes, "; "))
	}
}
