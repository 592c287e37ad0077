package wal

import (
	"io"

	"github.com/cockroachdb/errors"
)

// windowSize is how much of a file is read at a time, in bytes.
const windowSize = 1 << 20

// window reads a file forwards through one buffer, which grows only for a
// record that is longer, hence at most to payloadLimit and a header.
type window struct {
	file  io.ReaderAt
	limit int64 // the file ends here, as far as the reader is concerned
	start int64 // file offset of buf[0]
	buf   []byte
	store []byte // what buf is a part of
}

// reset begins to read another file. limit must not exceed its size.
func (w *window) reset(file io.ReaderAt, limit int64) {
	w.file, w.limit, w.start, w.buf = file, limit, 0, nil
}

// bytes returns n bytes at off, or fewer where the file ends. They are valid
// until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off >= w.limit {
		return nil, nil
	}
	n = int(min(int64(n), w.limit-off))
	if off < w.start || off+int64(n) > w.start+int64(len(w.buf)) {
		if err := w.fill(off, n); err != nil {
			return nil, err
		}
	}
	b := w.buf[off-w.start:]
	return b[:min(n, len(b))], nil
}

// fill reads at least n bytes at off, if there are so many.
func (w *window) fill(off int64, n int) error {
	want := int(min(int64(max(n, windowSize)), w.limit-off))
	if cap(w.store) < want {
		w.store = make([]byte, max(want, min(windowSize, int(w.limit))))
	}
	buf := w.store[:want]
	kept := 0
	if off >= w.start && off < w.start+int64(len(w.buf)) {
		kept = copy(buf, w.buf[off-w.start:])
	}
	read, err := w.file.ReadAt(buf[kept:], off+int64(kept))
	w.start, w.buf = off, buf[:kept+read]
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Wrapf(err, "reading %d bytes at offset %d", want-kept, off+int64(kept))
	}
	return nil
}
