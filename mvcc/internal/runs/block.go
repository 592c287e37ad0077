package runs

import (
	"bytes"
	"encoding/binary"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// Limits of a write.
const (
	// MaxKeySize is the longest key in bytes: 32 KiB of a user's key, and what the engine puts before it.
	MaxKeySize = 32<<10 + 8
	// MaxValueSize is the longest value in bytes.
	MaxValueSize = 1 << 30
)

const (
	// blockSize is the size that blocks do not exceed, if they have more than one entry.
	blockSize = 32 << 10
	// headSize is what a block has before its prefix.
	headSize = 12
	// farSize is the size of the reference to a far value.
	farSize = 12
	// maxHead is the longest that an entry is without key and value, with its offset in the block.
	maxHead = 4 + 1 + 3 + 5
	// maxBlock is the largest size of a block: a single entry with the longest key, and a value that is just not far (F3).
	maxBlock = headSize + maxHead + MaxKeySize + blockSize/2
)

// far says where a far value lies.
type far struct {
	offset   int64
	checksum uint32
}

// entry is a write as it stands in a block. Its slices are parts of the block.
type entry struct {
	kind   versions.Kind
	isFar  bool
	suffix []byte // of the key
	value  []byte // unless it is far
	size   int64  // of the value
	far    far
}

// block is a block that was read.
type block struct {
	data   []byte
	n      int
	prefix []byte
	table  []byte // the offsets of the entries
}

// decodeBlock opens the bytes of a block. REQUIRES: their checksum is right, or was not asked for.
func decodeBlock(data []byte) (b block, ok bool) {
	if len(data) < headSize || len(data) > maxBlock {
		return block{}, false
	}
	n, p := binary.LittleEndian.Uint32(data[4:]), binary.LittleEndian.Uint32(data[8:])
	if n == 0 || uint64(headSize)+uint64(p)+4*uint64(n) > uint64(len(data)) {
		return block{}, false
	}
	prefixEnd := headSize + int(p)
	tableEnd := prefixEnd + 4*int(n)
	return block{data: data, n: int(n), prefix: data[headSize:prefixEnd], table: data[prefixEnd:tableEnd]}, true
}

// entry returns entry i. It is not ok when the block is not one that a Writer made.
func (b *block) entry(i int) (e entry, ok bool) {
	suffix, size, rest, ok := b.open(i)
	if !ok {
		return entry{}, false
	}
	e = entry{
		kind:   versions.Kind(b.data[b.at(i)]),
		isFar:  size&1 != 0,
		suffix: suffix,
		size:   int64(size >> 1),
	}
	if e.isFar {
		if len(rest) < farSize {
			return entry{}, false
		}
		e.far = far{int64(binary.LittleEndian.Uint64(rest)), binary.LittleEndian.Uint32(rest[8:])}
		return e, true
	}
	if e.size > int64(len(rest)) {
		return entry{}, false
	}
	e.value = rest[:e.size:e.size]
	return e, true
}

// at returns the offset of entry i, which may point anywhere.
func (b *block) at(i int) uint32 { return binary.LittleEndian.Uint32(b.table[4*i:]) }

// open returns the key of entry i without the prefix, the doubled size of its value with the bit that says far, and
// what follows the key.
func (b *block) open(i int) (suffix []byte, size uint64, rest []byte, ok bool) {
	at := b.at(i)
	if uint64(at)+1 > uint64(len(b.data)) {
		return nil, 0, nil, false
	}
	rest = b.data[at+1:]
	length, used := binary.Uvarint(rest)
	if used <= 0 {
		return nil, 0, nil, false
	}
	rest = rest[used:]
	size, used = binary.Uvarint(rest)
	if used <= 0 || length > uint64(len(rest)-used) || size>>1 > MaxValueSize {
		return nil, 0, nil, false
	}
	rest = rest[used:]
	return rest[:length:length], size, rest[length:], true
}

// search returns the first entry whose key is at or after key, or n, and whether it is key.
func (b *block) search(key []byte) (i int, equal, ok bool) {
	if !bytes.HasPrefix(key, b.prefix) {
		if bytes.Compare(key, b.prefix) < 0 {
			return 0, false, true
		}
		return b.n, false, true
	}
	key = key[len(b.prefix):]
	low, high := 0, b.n
	for low < high {
		middle := int(uint(low+high) / 2)
		suffix, _, _, ok := b.open(middle)
		if !ok {
			return 0, false, false
		}
		switch c := bytes.Compare(suffix, key); {
		case c < 0:
			low = middle + 1
		case c > 0:
			high = middle
		default:
			return middle, true, true
		}
	}
	return low, false, true
}
