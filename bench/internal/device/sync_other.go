//go:build !linux

package device

import "os"

func syncData(file *os.File) error { return file.Sync() }
