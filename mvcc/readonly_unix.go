//go:build unix

package mvcc

import "syscall"

// errReadOnlyMedium is what writing to a read-only file system yields.
var errReadOnlyMedium error = syscall.EROFS
