package csvload

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"

	cerrors "github.com/cockroachdb/errors"
)

// maxRowBytes is the longest row. A longer one is most likely a quote that is never closed.
const maxRowBytes = 16 << 20

// source reads the rows of one file.
type source struct {
	path   string
	index  int // in the order of the import
	kind   kind
	size   int64 // of the file in bytes, 0 when it is not known
	file   io.Closer
	guard  guard
	csv    *csv.Reader
	header *header
	row    int // of the last record read
}

// guard hands out bytes up to a limit, so that the CSV reader cannot collect an endless row.
type guard struct {
	r     io.Reader
	read  int64
	limit int64
}

var errRowTooLong = errors.New("csvload: row too long")

func (g *guard) Read(p []byte) (int, error) {
	if g.read > g.limit {
		return 0, errRowTooLong
	}
	n, err := g.r.Read(p)
	g.read += int64(n)
	return n, err
}

// openSource opens a file and reads its header.
func openSource(path string, index int, k kind) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cerrors.Wrap(err, "csvload")
	}
	s := &source{path: path, index: index, kind: k, file: f}
	if info, err := f.Stat(); err == nil {
		s.size = info.Size()
	}
	if err := s.readHeader(f); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) close() { _ = s.file.Close() } // it was only read

func (s *source) readHeader(file io.Reader) error {
	r := bufio.NewReaderSize(file, 256<<10)
	start, err := r.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return cerrors.Wrapf(err, "csvload: %s", s.path)
	}
	switch {
	case bytes.HasPrefix(start, []byte{0xEF, 0xBB, 0xBF}):
		_, _ = r.Discard(3) // they were peeked
	case bytes.HasPrefix(start, []byte{0xFF, 0xFE}), bytes.HasPrefix(start, []byte{0xFE, 0xFF}):
		return &HeaderError{File: s.path, What: "the file is UTF-16; convert it to UTF-8"}
	}
	s.guard = guard{r: r, limit: maxRowBytes}
	s.csv = csv.NewReader(&s.guard)
	s.csv.FieldsPerRecord = -1
	s.csv.ReuseRecord = true
	fields, bad, err := s.next()
	switch {
	case errors.Is(err, io.EOF):
		return &HeaderError{File: s.path, What: "the file is empty; its first row must name the columns"}
	case bad != nil:
		return &HeaderError{File: s.path, What: bad.Value}
	case err != nil:
		return err
	}
	s.header, err = parseHeader(s.path, fields, s.kind)
	return err
}

// next returns the fields of the next row, valid until the call after; io.EOF at the end. A row that is not CSV, or
// has too many or too few fields, is bad; the one after it can still be read.
func (s *source) next() (fields []string, bad *CellError, err error) {
	s.guard.limit = s.csv.InputOffset() + maxRowBytes
	fields, err = s.csv.Read()
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil, io.EOF
	case errors.Is(err, errRowTooLong):
		s.row++
		return nil, nil, &CellError{
			File: s.path, Row: s.row, Line: s.row, Value: fmt.Sprintf("a row of more than %d bytes", maxRowBytes),
			Want: "a shorter one; is a quote missing?",
		}
	case errors.As(err, &syntax):
		s.row++
		return nil, &CellError{
			File: s.path, Row: s.row, Line: syntax.StartLine,
			Value: fmt.Sprintf("%v at line %d, byte %d", syntax.Err, syntax.Line, syntax.Column),
			Want:  `fields with quotes only around them, and doubled inside ("")`,
		}, nil
	case err != nil:
		return nil, nil, cerrors.Wrapf(err, "csvload: %s", s.path)
	}
	s.row++
	if s.header != nil && len(fields) != len(s.header.columns) {
		return nil, s.rowError(fmt.Sprintf("%d fields", len(fields)), fmt.Sprintf("%d, as in the header", len(s.header.columns))), nil
	}
	return fields, nil, nil
}

// rowError is a fault of the last row read.
func (s *source) rowError(value, want string) *CellError {
	line, _ := s.csv.FieldPos(0)
	return &CellError{File: s.path, Row: s.row, Line: line, Value: value, Want: want}
}
