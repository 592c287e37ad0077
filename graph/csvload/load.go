package csvload

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/sombradb/sombra/graph"
)

// maxBatchBytes ends a batch of long rows early.
const maxBatchBytes = 4 << 20

// Run imports files into db. It reports what it did also when it fails; then running it again goes on where
// it ended (C1). Errors: ErrConfig, ErrHeader, ErrBadCell, those of reading files, of ctx and of the
// graph.
func Run(ctx context.Context, db *graph.DB, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	l := newLoader(cfg)
	defer l.close()
	err := l.open()
	if err == nil {
		l.store = l.transactions(db)
		err = l.run(ctx)
	}
	return l.result(), err
}

// loader is one import.
type loader struct {
	cfg     Config
	store   storer
	began   time.Time
	sources []*source
	bytes   int64 // of all files

	mu struct {
		sync.Mutex
		file    string
		read    int64
		counts  [2]Counts // by kind
		skipped []badRow
	}
}

// storer stores the rows of a batch and returns what became of them. Of a batch that fails nothing counts.
type storer func(ctx context.Context, b batch) (done Counts, skipped []badRow, err error)

func newLoader(cfg Config) *loader { return &loader{cfg: cfg.withDefaults(), began: time.Now()} }

// run imports all files, nodes first (C4).
func (l *loader) run(ctx context.Context) (err error) {
	for k := nodeRows; k <= edgeRows && err == nil; k++ {
		err = l.phase(ctx, k)
	}
	return err
}

// open opens all files, so that a bad header is found before anything is written.
func (l *loader) open() error {
	rowIDs := map[string]string{} // files whose edges go by row, by base name
	for k, paths := range [...][]string{nodeRows: l.cfg.Nodes, edgeRows: l.cfg.Edges} {
		for _, path := range paths {
			s, err := openSource(path, len(l.sources), kind(k))
			if err != nil {
				return err
			}
			l.sources = append(l.sources, s)
			l.bytes += s.size
			if s.header.at[roleID] >= 0 {
				continue
			}
			base := baseName(path)
			if other := rowIDs[base]; other != "" {
				return &HeaderError{File: path, What: "there is no column ~id, and " + other + " has the same base name; rename one, rows are told apart by it"}
			}
			rowIDs[base] = path
		}
	}
	return nil
}

func (l *loader) close() {
	for _, s := range l.sources {
		s.close()
	}
}

func baseName(path string) string { return filepath.Base(filepath.ToSlash(path)) }

// batch is what one transaction writes.
type batch struct {
	kind kind
	rows []*row
	size int // bytes of the cells
}

// phase imports all files of a kind: this goroutine parses, others write.
func (l *loader) phase(ctx context.Context, k kind) error {
	p := &pipeline{loader: l, batches: make(chan batch), stop: make(chan struct{})}
	var writers sync.WaitGroup
	for range l.cfg.Writers {
		writers.Go(func() { p.write(ctx) })
	}
	for _, s := range l.sources {
		if s.kind == k {
			if err := p.parse(ctx, s); err != nil {
				p.fail(s.index, err)
				break
			}
		}
	}
	close(p.batches)
	writers.Wait()
	return p.err()
}

// pipeline is the parser and the writers of one phase.
type pipeline struct {
	*loader
	batches chan batch
	stop    chan struct{} // closed when a writer has failed

	failed struct {
		sync.Mutex
		stopped bool
		hard    error    // first that is not about a cell
		cells   []badRow // sorted
	}
}

// fail notes why the import ends. Of bad cells the first in the files counts.
func (p *pipeline) fail(file int, err error) {
	p.failed.Lock()
	defer p.failed.Unlock()
	var cell *CellError
	switch {
	case errors.As(err, &cell):
		p.failed.cells = insertBad(p.failed.cells, badRow{file, cell})
	case p.failed.hard == nil:
		p.failed.hard = err
	}
}

// halt makes the parser and the other writers end after what they are doing.
func (p *pipeline) halt() {
	p.failed.Lock()
	defer p.failed.Unlock()
	if !p.failed.stopped {
		p.failed.stopped = true
		close(p.stop)
	}
}

func (p *pipeline) err() error {
	p.failed.Lock()
	defer p.failed.Unlock()
	if p.failed.hard != nil || len(p.failed.cells) == 0 {
		return p.failed.hard
	}
	return p.failed.cells[0].err
}

// parse reads a file into batches until its end, its first bad row, or the end of the writers.
func (p *pipeline) parse(ctx context.Context, s *source) error {
	b := batch{kind: s.kind}
	for {
		r, bad, err := s.nextRow()
		if bad != nil && p.cfg.SkipBad {
			p.skip(s, bad)
			continue
		}
		if bad != nil {
			err = bad
		}
		if err == nil {
			b.rows = append(b.rows, r)
			b.size += r.size
		}
		if len(b.rows) > 0 && (err != nil || len(b.rows) >= p.cfg.Batch || b.size >= maxBatchBytes) {
			p.noteRead(s) // before the batch can be counted, so that the last report has all bytes
			if !p.send(ctx, b) {
				return context.Cause(ctx)
			}
			b = batch{kind: s.kind}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send hands a batch to a writer; false when the import ends.
func (p *pipeline) send(ctx context.Context, b batch) bool {
	select {
	case <-p.stop:
		return false
	default:
	}
	select {
	case p.batches <- b:
		return true
	case <-p.stop:
	case <-ctx.Done():
	}
	return false
}

// skip counts a bad row.
func (l *loader) skip(s *source, bad *CellError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.counts[s.kind].Bad++
	l.mu.skipped = insertBad(l.mu.skipped, badRow{s.index, bad})
}

func (l *loader) noteRead(s *source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.file = s.path
	l.mu.read = s.guard.read
	for _, earlier := range l.sources[:s.index] {
		l.mu.read += earlier.guard.read
	}
}

// wrote counts a batch and tells of the progress.
func (l *loader) wrote(k kind, done Counts, skipped []badRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.mu.counts[k]
	c.Created += done.Created
	c.Existing += done.Existing
	c.Bad += done.Bad
	for _, b := range skipped {
		l.mu.skipped = insertBad(l.mu.skipped, b)
	}
	if l.cfg.Progress != nil {
		l.cfg.Progress(Progress{
			File: l.mu.file, Nodes: l.mu.counts[nodeRows], Edges: l.mu.counts[edgeRows],
			BytesRead: l.mu.read, BytesAll: l.bytes, Elapsed: time.Since(l.began),
		})
	}
}

func (l *loader) result() Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Result{Nodes: l.mu.counts[nodeRows], Edges: l.mu.counts[edgeRows], Elapsed: time.Since(l.began)}
	for _, b := range l.mu.skipped {
		r.Bad = append(r.Bad, b.err)
	}
	return r
}
