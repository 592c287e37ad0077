package mvcc

import "golang.org/x/sys/windows"

// errReadOnlyMedium is what writing to a write-protected volume yields.
var errReadOnlyMedium error = windows.ERROR_WRITE_PROTECT
