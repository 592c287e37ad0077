package mvcc

import (
	"encoding/binary"
	"sync/atomic"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/hugepage"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/wal"
)

// replayBatch holds the writes of some commits of the log, in log order, until they are sorted. The writes stay encoded
// as they were logged, in chunks; an item for each says where. Neither has a pointer, so the collector has nothing to do.
//
//	add      the reader copies a commit into the last chunk
//	         a full chunk goes to a decoder (replaydecode.go), which makes the items, while the reader goes on
//	settle   all chunks are decoded; only now are items, count and adds complete
type replayBatch struct {
	chunks  [][]byte
	commits []loggedCommit // in the last chunk, which is not yet with a decoder
	slab    []byte         // what is left of the memory for chunks
	held    int64          // bytes of all chunks
	infos   []chunkInfo    // of the chunks
	scratch []byte
	limit   int64 // bytes of the largest chunk; 0 means replayChunk
	decoder replayDecoder

	items [][]replayItem // blocks
	count int
	adds  bool      // some are additions to counters
	first Timestamp // newest commit before the batch
	last  Timestamp // of the newest commit that is in the batch as a whole
	n     int64     // commits that were added

	// large is the run of a large commit that comes after the batch, nil if the batch ends otherwise.
	large   *runs.Run
	largeTS Timestamp
}

// loggedCommit is a commit in a chunk; its writes end where those of the next one begin.
type loggedCommit struct {
	ts    Timestamp
	lsn   wal.LSN // of its record; 0 for a single write, which is a part of a commit that is counted elsewhere
	start int     // in the chunk
}

// chunkInfo is what a batch knows of the commits in a chunk.
type chunkInfo struct {
	n      int64
	newest Timestamp
}

func (c *chunkInfo) add(l *loggedCommit) {
	if l.lsn != 0 {
		c.n, c.newest = c.n+1, max(c.newest, l.ts)
	}
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

func placeOf(chunk, offset int) place { return place(chunk)<<placeBits | place(offset) }

const (
	firstChunk  = 1 << 14 // bytes; each chunk is twice as large as the one before,
	replayChunk = 1 << 20 // up to this
	replaySlab  = 32 << 20
	firstItems  = 1 << 8  // in a block; a block is as large as all before,
	itemBlock   = 1 << 19 // up to this
	placeBits   = 40      // of the offset
	// replayWriteBytes is what a write needs in a table beside key and value, about.
	replayWriteBytes = 200
)

// newReplayBatch returns a batch that comes after a commit, and is full when a table of it would have limit bytes: so much
// may be decoded after that has been noticed is a fraction of it only.
func newReplayBatch(after Timestamp, limit int64) *replayBatch {
	return &replayBatch{first: after, last: after, limit: min(max(limit/64, firstChunk), replayChunk)}
}

// bytes is about what a table of the writes would need that are decoded.
func (b *replayBatch) bytes() int64 { return b.decoder.bytes.Load() }

// add takes the writes of a commit, which it copies unless they may be kept. That they do not decode is known when the
// batch is settled.
func (b *replayBatch) add(ts Timestamp, lsn wal.LSN, writes []byte, keep bool) {
	last := len(b.chunks) - 1
	if keep || len(b.commits) == 0 || cap(b.chunks[last])-len(b.chunks[last]) < len(writes) {
		b.pass()
		last++
		if keep {
			b.chunks = append(b.chunks, writes[:0])
		} else {
			b.chunks = append(b.chunks, b.newChunk(len(writes)))
		}
		b.infos = append(b.infos, chunkInfo{})
		b.held += int64(cap(b.chunks[last]))
	}
	c := loggedCommit{ts: ts, lsn: lsn, start: len(b.chunks[last])}
	b.commits = append(b.commits, c)
	b.chunks[last] = append(b.chunks[last], writes...)
	b.infos[last].add(&c)
	if lsn != 0 {
		b.last, b.n = max(b.last, ts), b.n+1
	}
	if keep {
		b.pass()
	}
}

// newChunk returns an empty chunk with room for least bytes. Chunks share large allocations.
func (b *replayBatch) newChunk(least int) []byte {
	limit := b.limit
	if limit == 0 {
		limit = replayChunk
	}
	size := max(int(min(limit, firstChunk<<min(len(b.chunks), 16))), least)
	if len(b.slab) < size {
		b.slab = hugepage.Make[byte](int(max(min(b.held, replaySlab), int64(size))))
	}
	chunk := b.slab[:0:size]
	b.slab = b.slab[size:]
	return chunk
}

// pass gives the last chunk to a decoder.
func (b *replayBatch) pass() {
	if len(b.commits) == 0 {
		return
	}
	last := len(b.chunks) - 1
	b.decoder.give(chunkToDecode{number: last, data: b.chunks[last], commits: b.commits})
	b.commits = nil
}

// settle waits until all is decoded. If a commit does not decode, it and all that come after it are taken back, and the
// error says so: the batch is what it would be if the log ended there.
func (b *replayBatch) settle() error {
	if len(b.commits) > 0 {
		last := len(b.chunks) - 1
		b.decoder.finish(&chunkToDecode{number: last, data: b.chunks[last], commits: b.commits})
	} else {
		b.decoder.finish(nil)
	}
	b.commits = nil
	for i := range b.decoder.lists {
		l := &b.decoder.lists[i]
		b.items, b.count, b.adds = append(b.items, l.blocks...), b.count+l.count, b.adds || l.adds
	}
	b.decoder.lists = nil
	bad := b.decoder.bad
	if bad == nil {
		return nil
	}
	b.decoder.bad = nil
	b.cutOff(bad)
	return bad.err
}

// cutOff takes back the commit that does not decode, and all later ones.
func (b *replayBatch) cutOff(bad *badCommit) {
	b.n, b.last = bad.before.n, max(b.first, bad.before.newest)
	for _, c := range b.infos[:bad.at>>placeBits] {
		b.n, b.last = b.n+c.n, max(b.last, c.newest)
	}
	kept := 0
	for i, block := range b.items {
		n := 0
		for _, x := range block {
			if x.at < bad.at {
				block[n] = x
				n++
			}
		}
		b.items[i] = block[:n]
		kept += n
	}
	b.count = kept
}

// addWrite takes a write of its own, without a commit around it.
func (b *replayBatch) addWrite(w versions.Write, ts Timestamp) {
	b.scratch = append(appendWriteHead(b.scratch[:0], w), w.Value...)
	b.add(ts, 0, b.scratch, false)
}

func itemOf(key []byte, ts Timestamp, at place) replayItem {
	if len(key) >= 16 {
		return replayItem{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:]), ts, at}
	}
	var start [16]byte
	copy(start[:], key)
	return replayItem{binary.BigEndian.Uint64(start[:]), binary.BigEndian.Uint64(start[8:]), ts, at}
}

// write returns the write at a place of the batch, which a decoder has checked.
func (b *replayBatch) write(at place) versions.Write {
	w, _, _, _ := cutWrite(b.chunks[at>>placeBits][at&(1<<placeBits-1):])
	return w
}

// writesAhead is how many writes touch is given at a time.
const writesAhead = 32

// touch looks at the beginnings of writes, which are anywhere in memory and will be needed one by one: so the processor
// fetches several at a time.
func (b *replayBatch) touch(items []replayItem) {
	sum := byte(0)
	for _, x := range items {
		sum += b.chunks[x.at>>placeBits][x.at&(1<<placeBits-1)]
	}
	touched.Store(uint32(sum))
}

var touched atomic.Uint32 // or the compiler might leave touch out

// badWrites is why the writes of a commit do not decode.
func badWrites(n int, ok bool, err error) error {
	if err == nil && !ok {
		err = cerrors.New("it is cut off")
	}
	return cerrors.Wrapf(err, "write %d", n)
}
