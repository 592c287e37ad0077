package mvcc

import (
	"encoding/binary"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// replayBatch holds the writes of some commits of the log, in log order, until they are sorted. The writes stay encoded
// as they were logged, in chunks; an item for each says where. Neither has a pointer, so the collector has nothing to do.
type replayBatch struct {
	chunks [][]byte
	items  [][]replayItem // blocks of itemBlock
	count  int
	adds   bool      // some are additions to counters
	bytes  int64     // about what a table of them would need
	last   Timestamp // of the newest commit that is in the batch as a whole

	// large is the run of a large commit that comes after the batch, nil if the batch ends otherwise.
	large   *runs.Run
	largeTS Timestamp
}

// replayItem is one write of a batch. high and low are the first 16 bytes of its key, with zeros after a shorter one, as
// big-endian numbers: where they differ, they order as the keys do.
type replayItem struct {
	high, low uint64
	ts        Timestamp
	at        place
}

// place is where an encoded write begins: the number of its chunk, and the offset there. Later writes have higher places.
type place uint64

const (
	firstChunk  = 1 << 14 // bytes; each chunk is twice as large as the one before,
	replayChunk = 1 << 20 // up to this
	itemBlock   = 1 << 15 // items
	placeBits   = 40      // of the offset
	// replayWriteBytes is what a write needs in a table beside key and value, about.
	replayWriteBytes = 200
)

// add takes the writes of a commit, which it copies unless they may be kept. If they do not decode, none of them is in the
// batch.
func (b *replayBatch) add(ts Timestamp, writes []byte, keep bool) error {
	if len(writes) == 0 {
		b.last = max(b.last, ts)
		return nil
	}
	count := b.count
	at := b.keep(writes, keep)
	rest := b.chunks[at>>placeBits][at&(1<<placeBits-1):]
	for n := 0; len(rest) > 0; n++ {
		w, after, ok, err := cutWrite(rest)
		if err == nil && !ok {
			err = cerrors.New("it is cut off")
		}
		if err != nil {
			b.dropItems(b.count - count)
			return cerrors.Wrapf(err, "write %d", n)
		}
		b.addItem(itemOf(w.Key, ts, at))
		b.adds = b.adds || w.Kind == kindAdd
		b.bytes += int64(len(w.Key)+len(w.Value)) + replayWriteBytes
		at += place(len(rest) - len(after))
		rest = after
	}
	b.last = max(b.last, ts)
	return nil
}

// keep puts bytes at the end of the chunks.
func (b *replayBatch) keep(data []byte, keep bool) place {
	last := len(b.chunks) - 1
	switch {
	case keep:
		b.chunks = append(b.chunks, data)
		return place(last+1) << placeBits
	case last < 0 || cap(b.chunks[last])-len(b.chunks[last]) < len(data):
		b.chunks = append(b.chunks, make([]byte, 0, max(min(replayChunk, firstChunk<<min(len(b.chunks), 16)), len(data))))
		last++
	}
	at := place(last)<<placeBits | place(len(b.chunks[last]))
	b.chunks[last] = append(b.chunks[last], data...)
	return at
}

func (b *replayBatch) addItem(x replayItem) {
	switch last := len(b.items) - 1; {
	case last < 0:
		b.items = append(b.items, nil)
	case len(b.items[last]) == itemBlock:
		b.items = append(b.items, make([]replayItem, 0, itemBlock))
	}
	last := &b.items[len(b.items)-1]
	*last = append(*last, x)
	b.count++
}

// dropItems takes the last n items back.
func (b *replayBatch) dropItems(n int) {
	b.count -= n
	for n > 0 {
		last := &b.items[len(b.items)-1]
		k := min(n, len(*last))
		if *last = (*last)[:len(*last)-k]; len(*last) == 0 {
			b.items = b.items[:len(b.items)-1]
		}
		n -= k
	}
}

// addWrite takes a write of its own, without a commit around it.
func (b *replayBatch) addWrite(w versions.Write, ts Timestamp) {
	encoded := append(appendWriteHead(nil, w), w.Value...)
	b.addItem(itemOf(w.Key, ts, b.keep(encoded, false)))
	b.adds = b.adds || w.Kind == kindAdd
	b.bytes += int64(len(w.Key)+len(w.Value)) + replayWriteBytes
}

func itemOf(key []byte, ts Timestamp, at place) replayItem {
	if len(key) >= 16 {
		return replayItem{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:]), ts, at}
	}
	var start [16]byte
	copy(start[:], key)
	return replayItem{binary.BigEndian.Uint64(start[:]), binary.BigEndian.Uint64(start[8:]), ts, at}
}

// write returns the write at a place of the batch, which add has checked.
func (b *replayBatch) write(at place) versions.Write {
	w, _, _, _ := cutWrite(b.chunks[at>>placeBits][at&(1<<placeBits-1):])
	return w
}
