// Package hugepage allocates large slices so that the kernel may back them with huge pages.
//
// Memory that a program touches for the first time costs a page fault for each page of 4 KiB, several microseconds in a
// virtual machine, and later a miss in the address translation for most random accesses. Huge pages of 2 MiB have 512 times
// fewer of both. Where the kernel has none to give, or asks for no advice (on Linux:
// /sys/kernel/mm/transparent_hugepage/enabled says always or never), nothing changes.
//
// What Make returns is ordinary memory of the Go heap: the collector frees it, it may hold pointers, and there is nothing to
// be closed. Up to a huge page more than it needs may be resident at each end.
//
//	items := hugepage.Make[item](1 << 20)
package hugepage

// least is the size in bytes from which on there is advice: below it a slice hardly holds a whole huge page.
const least = 4 << 20

// Make returns a slice of n zero values, as make does. Like make it panics when n is negative.
func Make[T any](n int) []T {
	s := make([]T, n)
	advise(s)
	return s
}
