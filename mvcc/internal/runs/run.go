package runs

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// Run is a finished run. It is immutable but for Drop, and safe for concurrent use. Reads return ErrDropped after
// Drop, a *CorruptionError when the file is damaged, or the error of the file system.
type Run struct {
	file   *file
	index  index
	filter filter
	count  int64
	bytes  int64
	first  []byte
	last   []byte
}

// Len returns the number of writes.
func (r *Run) Len() int64 { return r.count }

// Bytes returns the size of the file.
func (r *Run) Bytes() int64 { return r.bytes }

// MemoryBytes returns the memory that index and filter take as long as the run is in use.
func (r *Run) MemoryBytes() int64 {
	return r.index.memoryBytes() + r.filter.memoryBytes() + int64(len(r.first)+cap(r.last))
}

// First returns the smallest key, nil when the run is empty. It belongs to the run: do not change it.
func (r *Run) First() []byte { return r.first }

// Last returns the largest key, nil when the run is empty. It belongs to the run: do not change it.
func (r *Run) Last() []byte { return r.last }

// Splits returns up to n-1 ascending keys that cut the run into parts of about one size. They belong to the run.
func (r *Run) Splits(n int) (keys [][]byte) {
	blocks := len(r.index.blocks)
	for i := 1; i < n; i++ {
		if at := i * blocks / n; at > 0 && at > (i-1)*blocks/n {
			keys = append(keys, r.index.separator(at))
		}
	}
	return keys
}

// Drop removes the file, at once or when the reads under way have returned; whoever does it waits for the file system.
// Later reads fail with ErrDropped. A second Drop does nothing.
func (r *Run) Drop() { r.file.drop() }

// excludes reports that the key is not in the run, for what is known in memory.
func (r *Run) excludes(key []byte) bool {
	return r.count == 0 || bytes.Compare(key, r.first) < 0 || bytes.Compare(key, r.last) > 0 || r.filter.excludes(key)
}

// Get returns the write of a key. Its Value is dst with the value appended, so pass buf[:0] to use a buffer again; its
// Key is key.
func (r *Run) Get(dst, key []byte) (write versions.Write, found bool, err error) {
	return r.lookup(dst, key, true)
}

// Has reports whether the run has a write of the key, whatever its kind.
func (r *Run) Has(key []byte) (bool, error) {
	_, found, err := r.lookup(nil, key, false)
	return found, err
}

func (r *Run) lookup(dst, key []byte, withValue bool) (write versions.Write, found bool, err error) {
	if r.excludes(key) {
		if r.file.dropped() {
			err = ErrDropped
		}
		return versions.Write{}, false, err
	}
	if !r.file.enter() {
		return versions.Write{}, false, ErrDropped
	}
	defer r.file.leave()
	buffer := getBlockBuffer()
	defer putBlockBuffer(buffer)
	e, found, err := r.findEntry(buffer, key)
	if err != nil || !found {
		return versions.Write{}, false, err
	}
	write = versions.Write{Key: key, Kind: e.kind}
	if withValue {
		if write.Value, err = r.appendValue(dst, &e); err != nil {
			return versions.Write{}, false, err
		}
	}
	return write, true, nil
}

// findEntry returns the entry of a key, in the buffer. REQUIRES: the file is entered, and the run's first key is not
// above the key.
func (r *Run) findEntry(buffer *[maxBlock]byte, key []byte) (e entry, found bool, err error) {
	at := r.index.blocks[r.index.find(key)]
	data := buffer[:at.length]
	if err := r.file.read(data, at.offset); err != nil {
		return entry{}, false, err
	}
	b, err := r.openBlock(data, at)
	if err != nil {
		return entry{}, false, err
	}
	i, equal, ok := b.search(key)
	if ok && equal {
		e, ok = b.entry(i)
	}
	if !ok {
		return entry{}, false, r.file.corrupt(at.offset, unreadableEntry)
	}
	return e, equal, nil
}

const unreadableEntry = "an entry of the block cannot be read"

// openBlock checks the bytes of a block.
func (r *Run) openBlock(data []byte, at span) (block, error) {
	if r.file.checksum(at.offset, data[4:]) != binary.LittleEndian.Uint32(data) {
		return block{}, r.file.corrupt(at.offset, "the checksum of the block is wrong")
	}
	b, ok := decodeBlock(data)
	if !ok {
		return block{}, r.file.corrupt(at.offset, "the block cannot be read")
	}
	return b, nil
}

// appendValue appends the value of an entry to dst. REQUIRES: the file is entered.
func (r *Run) appendValue(dst []byte, e *entry) ([]byte, error) {
	if !e.isFar {
		return append(dst, e.value...), nil
	}
	if err := r.checkFar(e); err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, int(e.size))
	value := dst[len(dst) : len(dst)+int(e.size)]
	if err := r.file.read(value, e.far.offset); err != nil {
		return nil, err
	}
	if err := r.verifyFar(e, value); err != nil {
		return nil, err
	}
	return dst[:len(dst)+int(e.size)], nil
}

// checkFar makes sure that a far value lies in the file (F3).
func (r *Run) checkFar(e *entry) error {
	if e.far.offset < 0 || e.far.offset > r.bytes-e.size {
		return r.file.corrupt(e.far.offset, "a value would lie behind the end of the file")
	}
	return nil
}

func (r *Run) verifyFar(e *entry, value []byte) error {
	if r.file.checksum(e.far.offset, value) != e.far.checksum {
		return r.file.corrupt(e.far.offset, "the checksum of the value is wrong")
	}
	return nil
}

// Check reads the whole run, and verifies that it is what its index and filter say.
func (r *Run) Check() error {
	c := r.Cursor()
	defer c.Close()
	var count int64
	var last []byte
	for ok := c.SeekFirst(); ok; ok = c.Next() {
		at := r.index.blocks[c.at]
		switch {
		case count > 0 && bytes.Compare(last, c.Key()) >= 0:
			return r.file.corrupt(at.offset, "keys do not ascend")
		case r.index.find(c.Key()) != c.at:
			return r.file.corrupt(at.offset, "a key stands in another block than the index says")
		case r.excludes(c.Key()):
			return r.file.corrupt(at.offset, "the filter denies a key of the block")
		}
		if _, err := c.Value(); err != nil {
			return err
		}
		last = append(last[:0], c.Key()...)
		count++
	}
	if c.Err() == nil && (count != r.count || !bytes.Equal(last, r.last)) {
		return r.file.corrupt(r.bytes, "writes are missing")
	}
	return c.Err()
}
