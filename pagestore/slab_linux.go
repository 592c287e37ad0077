//go:build !race && !invariants

package pagestore

import "golang.org/x/sys/unix"

// adviseSlab asks for huge pages: random reads over small ones spend half of their time on address translation. A
// kernel that has none to give says so, which changes nothing.
func adviseSlab(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
