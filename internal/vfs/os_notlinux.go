//go:build !linux

package vfs

import "os"

// syncData is a full sync: the other systems have nothing weaker that is still
// durable. On macOS plain fsync stops at the drive's cache, File.Sync does not.
func syncData(f *os.File) error { return f.Sync() }

// startWrite does nothing: the other systems write when they think fit, at the latest when they must sync.
func startWrite(*os.File, int64, int64) {}
