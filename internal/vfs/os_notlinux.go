//go:build !linux

package vfs

import "os"

// syncData is a full sync: the other systems have nothing weaker that is still
// durable. On macOS plain fsync stops at the drive's cache, File.Sync does not.
func syncData(f *os.File) error { return f.Sync() }
