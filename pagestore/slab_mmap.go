//go:build unix && !race && !invariants

package pagestore

import "golang.org/x/sys/unix"

// poisonFrames says whether evicted frames are overwritten, so that a use after eviction shows.
const poisonFrames = false

// newSlab returns memory outside of the Go heap, so that the garbage collector neither scans it nor counts it when it
// sets its pace. Pages of it take memory from the first write on.
func newSlab(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		adviseSlab(b)
	}
	return b, err
}

func freeSlab(b []byte) { _ = unix.Munmap(b) }
