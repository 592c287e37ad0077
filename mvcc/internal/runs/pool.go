package runs

import (
	"sync"

	"github.com/sombradb/sombra/internal/invariants"
)

// windowSize is how much a cursor reads at once when it goes on and on in one direction.
const windowSize = 256 << 10

// Buffers for one block, and for a cursor's window. Pools of pointers to arrays: putting a slice back would allocate.
var (
	blockBuffers  = sync.Pool{New: func() any { return new([maxBlock]byte) }}
	windowBuffers = sync.Pool{New: func() any { return new([windowSize]byte) }}
)

func getBlockBuffer() *[maxBlock]byte { return blockBuffers.Get().(*[maxBlock]byte) }

func putBlockBuffer(b *[maxBlock]byte) {
	invariants.Poison(b[:])
	blockBuffers.Put(b)
}

func getWindowBuffer() *[windowSize]byte { return windowBuffers.Get().(*[windowSize]byte) }

func putWindowBuffer(b *[windowSize]byte) {
	invariants.Poison(b[:])
	windowBuffers.Put(b)
}
