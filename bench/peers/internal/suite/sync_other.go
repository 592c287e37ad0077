//go:build !linux

package suite

import "os"

func syncData(file *os.File) error { return file.Sync() }
