//go:build unix

package suite

import (
	"io/fs"
	"syscall"
)

// allocated is what a file takes on the disk, in bytes: sparse ends of preallocated files take nothing.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
