package mvcc

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/sombradb/sombra/internal/hugepage"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// loadBatch collects pairs of a bulk load that come in no order, in memory of a fixed size, and sorts them.
type loadBatch struct {
	arena []byte // uvarint key length, uvarint value length, key, value
	pairs []loadPair
	spare []loadPair // for sorting; as long as pairs
}

// loadPair is a pair in the arena.
type loadPair struct {
	head uint64 // the first bytes of the key, big endian, padded with zeros
	at   int64
}

// pairBytes is the size of a pair in both lists; a batch has room for pairs of meanPair bytes and more.
const (
	pairBytes = 32
	meanPair  = 24
)

func newLoadBatch(size int64) *loadBatch {
	n := max(size/(pairBytes+meanPair), 1)
	return &loadBatch{
		arena: hugepage.Make[byte](int(n * meanPair))[:0], pairs: hugepage.Make[loadPair](int(n))[:0],
		spare: hugepage.Make[loadPair](int(n)),
	}
}

// fits reports whether the pair has room. In an empty batch every pair has.
func (b *loadBatch) fits(key, value []byte) bool {
	need := 2*binary.MaxVarintLen32 + len(key) + len(value)
	return len(b.pairs) == 0 || len(b.pairs) < cap(b.pairs) && len(b.arena)+need <= cap(b.arena)
}

func (b *loadBatch) add(key, value []byte) {
	p := loadPair{head: headOf(key), at: int64(len(b.arena))}
	b.arena = binary.AppendUvarint(binary.AppendUvarint(b.arena, uint64(len(key))), uint64(len(value)))
	b.arena = append(append(b.arena, key...), value...)
	b.pairs = append(b.pairs, p)
}

// headOf returns the first eight bytes of a key as a number, which orders keys as far as they go.
func headOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var head [8]byte
	copy(head[:], key)
	return binary.BigEndian.Uint64(head[:])
}

// reset empties the batch. A large value may have made the arena too long to be kept.
func (b *loadBatch) reset() {
	b.arena, b.pairs = b.arena[:0], b.pairs[:0]
	if limit := cap(b.pairs) * meanPair; cap(b.arena) > 2*limit {
		b.arena = make([]byte, 0, limit)
	}
}

func (b *loadBatch) key(p loadPair) []byte {
	key, _ := b.pair(p)
	return key
}

func (b *loadBatch) pair(p loadPair) (key, value []byte) {
	rest := b.arena[p.at:]
	keyLen, n := binary.Uvarint(rest)
	valueLen, k := binary.Uvarint(rest[n:])
	rest = rest[n+k:]
	return rest[:keyLen], rest[keyLen : keyLen+valueLen]
}

// sort orders the pairs by key, and pairs of one key as they came: by the heads first, and those of one head by the rest
// of their keys.
func (b *loadBatch) sort() {
	sorted := sortHeads(b.pairs, b.spare[:len(b.pairs)])
	if len(sorted) > 0 && &sorted[0] != &b.pairs[0] {
		b.pairs, b.spare = sorted, b.pairs[:cap(b.pairs)]
	}
	for i := 0; i < len(sorted); {
		n := i + 1
		for n < len(sorted) && sorted[n].head == sorted[i].head {
			n++
		}
		if n > i+1 {
			slices.SortStableFunc(sorted[i:n], func(x, y loadPair) int { return bytes.Compare(b.key(x), b.key(y)) })
		}
		i = n
	}
}

// sortHeads is a stable radix sort by head, a byte at a time from the last one on; bytes that all heads share are left
// out. The result is one of the two slices, which are of one length.
func sortHeads(pairs, spare []loadPair) []loadPair {
	var counts [8][256]int
	for i := range pairs {
		head := pairs[i].head
		for d := range counts {
			counts[d][byte(head>>(8*d))]++
		}
	}
	for d := range counts {
		count := &counts[d]
		if len(pairs) > 0 && count[byte(pairs[0].head>>(8*d))] == len(pairs) {
			continue
		}
		at := 0
		for v, n := range count {
			count[v] = at
			at += n
		}
		for i := range pairs {
			v := byte(pairs[i].head >> (8 * d))
			spare[count[v]] = pairs[i]
			count[v]++
		}
		pairs, spare = spare, pairs
	}
	return pairs
}

// pairsAhead is how many pairs touch is given at a time.
const pairsAhead = 32

// touch looks at pairs, which are anywhere in the arena and will be needed one by one: so the processor fetches several at
// a time.
func (b *loadBatch) touch(pairs []loadPair) {
	sum := byte(0)
	for _, p := range pairs {
		sum += b.arena[p.at]
	}
	touched.Store(uint32(sum))
}

// write sorts the pairs and makes a run of them, nil if there are none. Of pairs with one key the last one counts.
func (b *loadBatch) write(dir *runs.Dir, prefix [prefixSize]byte) (*runs.Run, error) {
	if len(b.pairs) == 0 {
		return nil, nil
	}
	b.sort()
	w, err := dir.Create(runs.Options{MaxFilterBytes: -1})
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	internal := slices.Clone(prefix[:])
	next, nextValue := b.pair(b.pairs[0])
	for i := range b.pairs {
		if i%pairsAhead == 0 {
			b.touch(b.pairs[i:min(i+pairsAhead+1, len(b.pairs))])
		}
		key, value := next, nextValue
		if i+1 < len(b.pairs) {
			if next, nextValue = b.pair(b.pairs[i+1]); b.pairs[i].head == b.pairs[i+1].head && bytes.Equal(key, next) {
				continue
			}
		}
		internal = append(internal[:prefixSize], key...)
		if err := w.Add(versions.Write{Key: internal, Value: value, Kind: versions.Put}); err != nil {
			return nil, err
		}
	}
	return w.Finish()
}
