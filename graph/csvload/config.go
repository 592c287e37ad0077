package csvload

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/sombradb/sombra/graph"
)

// Defaults and limits of Config.
const (
	DefaultWriters = 8
	DefaultBatch   = 1000
	MaxWriters     = 1024
	MaxBatch       = 100_000
)

// Config says what is imported and how.
type Config struct {
	// Nodes and Edges are paths of CSV files, read in this order.
	Nodes, Edges []string
	// Writers is how many batches are written at once; 0 means 8, at most 1024. A bulk load needs one.
	Writers int
	// Batch is how many rows are one transaction, or are reported at once by a bulk load; 0 means 1000, at most 100,000.
	Batch int
	// ImportKey names the source of the ids, which are unique under it. A
	// rerun must use the same one, another source another one. It must not be empty.
	ImportKey string
	// SkipBad leaves out bad rows instead of stopping at the first.
	SkipBad bool
	// Progress, when not nil, is called after each batch, by one goroutine at
	// a time. It should return quickly and must not call Run.
	Progress func(Progress)
}

// Validate reports every fault of the configuration at once, nil when there is none. Run calls it.
func (c *Config) Validate() error {
	var faults []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			faults = append(faults, &ConfigError{fmt.Sprintf(format, args...)})
		}
	}
	bad(len(c.Nodes)+len(c.Edges) == 0, "there are no files to import")
	bad(c.Writers < 0 || c.Writers > MaxWriters, "Writers is %d, want 1 to %d, or 0 for %d", c.Writers, MaxWriters, DefaultWriters)
	bad(c.Batch < 0 || c.Batch > MaxBatch, "Batch is %d, want 1 to %d, or 0 for %d", c.Batch, MaxBatch, DefaultBatch)
	bad(c.ImportKey == "", "ImportKey is empty; name the source of the ids, so that a rerun finds what is there already")
	bad(len(c.ImportKey) > graph.MaxExternalSize, "ImportKey has %d bytes, the limit is %d", len(c.ImportKey), graph.MaxExternalSize)
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.Writers == 0 {
		c.Writers = DefaultWriters
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	return c
}

// Counts are rows by what became of them.
type Counts struct {
	Created  int64
	Existing int64 // were there already
	Bad      int64 // skipped
}

// Progress is the state of an import after a batch. A bulk load stores at the end (C6).
type Progress struct {
	File                string // being read
	Nodes, Edges        Counts
	BytesRead, BytesAll int64 // of all files together
	Elapsed             time.Duration
}

// Result is what an import has done, also when it ended with an error.
type Result struct {
	Nodes, Edges Counts
	Bad          []*CellError // the first 20 skipped rows, in the order of the files
	Elapsed      time.Duration
}

// maxReported is how many bad rows a Result lists.
const maxReported = 20

// badRow is a bad row and its place in the order of the import.
type badRow struct {
	file int
	err  *CellError
}

// insert keeps the first maxReported bad rows, in order.
func insertBad(rows []badRow, b badRow) []badRow {
	i := sort.Search(len(rows), func(i int) bool {
		r := rows[i]
		return r.file > b.file || r.file == b.file && r.err.Row > b.err.Row
	})
	rows = append(rows[:i], append([]badRow{b}, rows[i:]...)...)
	return rows[:min(len(rows), maxReported)]
}
