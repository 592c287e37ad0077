package pagestore

import (
	"cmp"

	"github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// writeBatch is the largest single write in bytes.
const writeBatch = 1 << 20

// growthLimit bounds how far the file is extended ahead of what is written, in bytes.
const growthLimit = 64 << 20

// writer gathers neighbouring pages into large writes. The first error sticks: a checkpoint with a failed write
// cannot be committed.
type writer struct {
	s     *Store
	buf   []byte
	used  int
	start PageID
	err   error
	batch int // the largest single write in bytes; 0 means writeBatch
	early earlyWrites

	pages, bytes int64
}

// reserve returns zeroed bytes for n pages from page p on, valid until the next reserve.
func (w *writer) reserve(p PageID, n int) ([]byte, error) {
	size := n * w.s.pageSize
	if w.used > 0 && (p != w.start+PageID(w.used/w.s.pageSize) || w.used+size > len(w.buf)) {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	if size > len(w.buf) {
		w.buf = make([]byte, max(size, cmp.Or(w.batch, writeBatch)))
	}
	if w.used == 0 {
		w.start = p
	}
	b := w.buf[w.used : w.used+size]
	clear(b)
	w.used += size
	w.pages += int64(n)
	return b, nil
}

// flush writes what was reserved.
func (w *writer) flush() error {
	if w.err != nil || w.used == 0 {
		return w.err
	}
	off := int64(w.start) * int64(w.s.pageSize)
	if w.err = w.s.growFile(off + int64(w.used)); w.err != nil {
		return w.err
	}
	n, err := w.s.file.WriteAt(w.buf[:w.used], off)
	w.s.stats.pageWrites.Add(1)
	w.s.stats.writtenBytes.Add(int64(n))
	w.bytes += int64(n)
	if err != nil {
		w.err = w.s.ioError(err, "write pages at %d", w.start)
		return w.err
	}
	w.early.note(w.s.file, off, int64(w.used))
	w.used = 0
	return nil
}

// earlyWrites hands to the device what was written, while more comes: somebody waits for the sync at the end.
type earlyWrites struct {
	on       bool
	bytes    int64 // written since the last step
	from, to int64 // where that lies, with what others have written between
}

// earlyStep is how much is handed over at once: smaller parts cost the file system as much as they save at the end.
const earlyStep = 2 << 20

// note takes a part of the file that was written.
func (e *earlyWrites) note(f vfs.File, off, n int64) {
	if !e.on {
		return
	}
	if e.bytes == 0 {
		e.from, e.to = off, off
	}
	e.from, e.to = min(e.from, off), max(e.to, off+n)
	if e.bytes += n; e.bytes >= earlyStep {
		vfs.StartWrite(f, e.from, e.to-e.from)
		e.bytes = 0
	}
}

// growFile extends the file in steps of a sixteenth, so that not every write changes its length.
// REQUIRES: the caller works for the open checkpoint.
func (s *Store) growFile(need int64) error {
	if need <= s.fileBytes.Load() {
		return nil
	}
	s.growing.Lock()
	defer s.growing.Unlock()
	size := s.fileBytes.Load()
	if need <= size {
		return nil
	}
	size = need + s.growthStep(need)
	if err := s.file.Truncate(size); err != nil {
		return s.ioError(err, "extend to %d bytes", size)
	}
	s.fileBytes.Store(size)
	return nil
}

func (s *Store) growthStep(size int64) int64 {
	step := min(max(size/16, 16*MinPageSize), growthLimit)
	return step - step%int64(s.pageSize)
}

// ioError adds what was being done, and names a closed store.
func (s *Store) ioError(err error, format string, args ...any) error {
	if s.closed.Load() {
		return ErrClosed
	}
	return errors.Wrapf(err, "pagestore: %s: "+format, append([]any{s.name}, args...)...)
}

// wrapIO is ioError before there is a store.
func wrapIO(err error, name, what string) error {
	return errors.Wrapf(err, "pagestore: %s %s", what, name)
}
