//go:build !linux

package bench

// residentBytes returns what the Go runtime holds, less what it gave back.
// Memory outside the runtime is not in it: only Linux reports that simply.
func residentBytes() int64 {
	return runtimeBytes("/memory/classes/total:bytes") - runtimeBytes("/memory/classes/heap/released:bytes")
}
