package engine

import (
	"encoding/binary"
	"fmt"
)

// encodeCounter is the value of a counter where the engine does not define one: 8 bytes, big-endian.
func encodeCounter(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// decodeCounter reads it; nothing is 0.
func decodeCounter(b []byte) (int64, error) {
	switch len(b) {
	case 0:
		return 0, nil
	case 8:
		return int64(binary.BigEndian.Uint64(b)), nil
	}
	return 0, fmt.Errorf("peers: a counter of %d bytes was read back, want 8", len(b))
}
