package hugepage

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// advise tells the kernel about the whole pages of a slice. It is advice only: an error changes nothing.
func advise[T any](s []T) {
	var element T
	size := uintptr(len(s)) * unsafe.Sizeof(element)
	if size < least {
		return
	}
	page := uintptr(unix.Getpagesize())
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size)
	begin := -uintptr(unsafe.Pointer(unsafe.SliceData(s))) & (page - 1)
	_ = unix.Madvise(memory[begin:begin+(size-begin)&^(page-1)], unix.MADV_HUGEPAGE)
}
