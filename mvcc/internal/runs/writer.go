package runs

import (
	"bytes"
	"encoding/binary"

	crdb "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// Options are those of one run.
type Options struct {
	// MaxFilterBytes limits the memory of the run's filter, which takes 1.25 bytes for each key; a run that would need
	// more has none. 0 means 8 MiB, enough for 6.6 million keys. Negative means no filter: for runs that are only
	// read in order.
	MaxFilterBytes int64

	block int // the size of blocks in tests; 0 means blockSize
}

const defaultFilterBytes = 8 << 20

// Writer makes one run. Not safe for concurrent use, except with Dir.Close.
type Writer struct {
	file    *file
	builder builder
	index   index
	filter  filter
	count   int64
	first   []byte
	last    []byte // the newest key
	before  []byte // the last key of the block before
	done    bool
	err     error // of a failed write, after which the file is not to be used
}

func newWriter(f *file, opts Options) *Writer {
	if opts.MaxFilterBytes == 0 {
		opts.MaxFilterBytes = defaultFilterBytes
	}
	if opts.block == 0 {
		opts.block = blockSize
	}
	return &Writer{file: f, builder: builder{size: opts.block}, filter: newFilter(opts.MaxFilterBytes)}
}

// Add appends a write, whose key must be above the one before. Nothing of it is kept. Every kind is stored as it is,
// and so is the value, which a Delete may have or not. The error is ErrOrder, ErrTooLarge, ErrClosed or one of the
// file system (ENOSPC for instance); after one of the latter every call returns it, and Abort gives the space back.
func (w *Writer) Add(write versions.Write) error {
	if err := w.check(write); err != nil {
		return err
	}
	size, inline := 2*uint64(len(write.Value)), write.Value
	var reference [farSize]byte
	isFar := len(write.Value) > w.builder.size/2
	if isFar {
		size, inline = size+1, reference[:]
	}
	if !w.builder.holds(write.Key, len(inline)) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if isFar {
		if err := w.writeFar(reference[:], write.Value); err != nil {
			return err
		}
	}
	w.builder.add(write.Key, write.Kind, size, inline)
	w.filter.add(write.Key)
	if w.count == 0 {
		w.first = bytes.Clone(write.Key)
	}
	w.last = append(w.last[:0], write.Key...)
	w.count++
	return nil
}

func (w *Writer) check(write versions.Write) error {
	switch {
	case w.err != nil:
		return w.err
	case w.done:
		return ErrClosed
	case w.count > 0 && bytes.Compare(write.Key, w.last) <= 0:
		return ErrOrder
	}
	return checkSizes(len(write.Key), len(write.Value))
}

func checkSizes(key, value int) error {
	switch {
	case key > MaxKeySize:
		return crdb.Wrapf(ErrTooLarge, "key of %d bytes, at most %d", key, MaxKeySize)
	case value > MaxValueSize:
		return crdb.Wrapf(ErrTooLarge, "value of %d bytes, at most %d", value, MaxValueSize)
	}
	return nil
}

// writeFar writes a value to the file, and where it is into reference.
func (w *Writer) writeFar(reference, value []byte) error {
	offset := w.file.size
	if w.err = w.file.write(value); w.err != nil {
		return w.err
	}
	binary.LittleEndian.PutUint64(reference, uint64(offset))
	binary.LittleEndian.PutUint32(reference[8:], w.file.checksum(offset, value))
	return nil
}

// flush writes the block, if there is one.
func (w *Writer) flush() error {
	if len(w.builder.starts) == 0 {
		return nil
	}
	block, offset := w.builder.encode(), w.file.size
	binary.LittleEndian.PutUint32(block, w.file.checksum(offset, block[4:]))
	if w.err = w.file.write(block); w.err != nil {
		return w.err
	}
	w.index.add(offset, len(block), w.before, w.builder.first)
	w.before = append(w.before[:0], w.last...)
	return nil
}

// Finish ends the writer, and returns the run. On an error nothing is left of it.
func (w *Writer) Finish() (*Run, error) {
	if w.done {
		return nil, ErrClosed
	}
	if w.err == nil {
		w.err = w.flush()
	}
	if w.err != nil {
		w.Abort()
		return nil, w.err
	}
	w.done = true
	w.filter.finish()
	w.builder = builder{}
	return &Run{
		file: w.file, index: w.index, filter: w.filter, count: w.count, bytes: w.file.size,
		first: w.first, last: bytes.Clone(w.last),
	}, nil
}

// Abort ends the writer, and removes its file. After Finish, or another Abort, it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.builder, w.index, w.filter = builder{}, index{}, filter{}
	w.file.drop()
}
