package vfs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// StartWrite changes nothing that can be read, wherever the part lies, and does nothing to a closed file.
func TestStartWriteIsAdvice(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"OS": vfs.OS, "Mem": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := fs.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			f, err := fs.OpenFile(filepath.Join(dir, "f"), os.O_RDWR|os.O_CREATE, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			data := []byte("what was written stays what it is")
			if _, err = f.WriteAt(data, 1<<16); err != nil {
				t.Fatal(err)
			}
			for _, part := range [][2]int64{{1 << 16, int64(len(data))}, {0, 1 << 20}, {1 << 30, 1}, {-1, 5}, {0, -1}} {
				vfs.StartWrite(f, part[0], part[1])
			}
			got := make([]byte, len(data))
			if _, err = f.ReadAt(got, 1<<16); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("read %q, %v", got, err)
			}
			if size, err := f.Size(); err != nil || size != int64(1<<16+len(data)) {
				t.Fatalf("size %d, %v", size, err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			vfs.StartWrite(f, 0, 1)
		})
	}
}
