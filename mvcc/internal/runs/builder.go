package runs

import (
	"encoding/binary"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// builder collects the entries of a block. Their keys are whole until encode knows what they share.
type builder struct {
	size    int // the size that a block of several entries does not exceed
	entries []byte
	starts  []uint32 // of the entries in entries
	first   []byte
	shared  int    // length of the prefix that all keys share
	out     []byte // the encoded block
}

// holds reports whether one more entry may be added: the first always, another one if the block does not get too
// large. The limit for entries bounds memory when keys share most of their bytes.
func (b *builder) holds(key []byte, value int) bool {
	n := len(b.starts)
	if n == 0 {
		return true
	}
	raw := len(b.entries) + maxHead + len(key) + value
	shared := min(b.shared, commonPrefix(b.first, key))
	encoded := headSize + 4*n + raw - n*shared
	return encoded <= b.size && raw <= 2*b.size
}

// add appends an entry. The inline part is the value, or the reference to it.
func (b *builder) add(key []byte, kind versions.Kind, size uint64, inline []byte) {
	if len(b.starts) == 0 {
		b.first = append(b.first[:0], key...)
		b.shared = len(key)
	} else {
		b.shared = min(b.shared, commonPrefix(b.first, key))
	}
	b.starts = append(b.starts, uint32(len(b.entries)))
	b.entries = append(b.entries, byte(kind))
	b.entries = binary.AppendUvarint(b.entries, uint64(len(key)))
	b.entries = binary.AppendUvarint(b.entries, size)
	b.entries = append(b.entries, key...)
	b.entries = append(b.entries, inline...)
}

// encode returns the block, valid until the next encode, with room for the checksum, and empties the builder.
func (b *builder) encode() []byte {
	n := len(b.starts)
	out := append(b.out[:0], make([]byte, headSize)...)
	binary.LittleEndian.PutUint32(out[4:], uint32(n))
	binary.LittleEndian.PutUint32(out[8:], uint32(b.shared))
	out = append(out, b.first[:b.shared]...)
	table := len(out)
	for range n {
		out = append(out, 0, 0, 0, 0)
	}
	for i, start := range b.starts {
		end := len(b.entries)
		if i+1 < n {
			end = int(b.starts[i+1])
		}
		binary.LittleEndian.PutUint32(out[table+4*i:], uint32(len(out)))
		out = b.appendShort(out, b.entries[start:end])
	}
	b.out, b.entries, b.starts = out, b.entries[:0], b.starts[:0]
	return out
}

// appendShort appends an entry without the shared prefix of its key.
func (b *builder) appendShort(out, e []byte) []byte {
	length, used := binary.Uvarint(e[1:])
	rest := e[1+used:]
	_, sizeLength := binary.Uvarint(rest)
	out = append(out, e[0])
	out = binary.AppendUvarint(out, length-uint64(b.shared))
	out = append(out, rest[:sizeLength]...)
	return append(out, rest[sizeLength+b.shared:]...)
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for n-i >= 8 && binary.LittleEndian.Uint64(a[i:]) == binary.LittleEndian.Uint64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
