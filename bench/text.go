package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
)

// table writes aligned columns, right-aligned but for the first.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(w io.Writer, title string, env Environment, columns ...string) *table {
	t := &table{}
	_, t.err = fmt.Fprintf(w, "%s\n%s, %s/%s, %d CPUs, file system %s\n",
		title, env.GoVersion, env.OS, env.Arch, env.CPUs, env.FileSystem)
	t.w = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	cells := make([]any, len(columns))
	for i, c := range columns {
		cells[i] = c
	}
	t.row(cells...)
	return t
}

func (t *table) row(cells ...any) {
	for _, c := range cells {
		if t.err == nil {
			_, t.err = fmt.Fprintf(t.w, "%v\t", c)
		}
	}
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w)
	}
}

func (t *table) flush() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// Count renders a number with its thousands apart: 12,345.
func Count[T ~int | ~int64](n T) string { return figures.Count(n) }

// Bytes renders a size for a person: 12.3 MiB.
func Bytes(n int64) string { return figures.Bytes(n) }

func rate(perSecond float64) string { return Count(int64(perSecond)) }

// mebibytes renders a size in MiB with one digit.
func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

func micros(us float64) string { return fmt.Sprintf("%.1f", us) }

func ratio(r float64) string { return fmt.Sprintf("%.2f", r) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

// per divides, and answers 0 where there is nothing to divide by.
func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
