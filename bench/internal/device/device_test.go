package device

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestTheDeviceIsReadBack(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(filepath.Join(dir, "device"), 8<<20) // two records fit
	if err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(3) { // so the third is where the first was
		if err := d.Append(seq); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Audit(3); err != nil {
		t.Error(err)
	}
	if err := d.Audit(4); err == nil {
		t.Error("a record that was never written was read back")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAGroupSharesSyncsAndIsReadBack(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "device"), 1<<20) // 16 records fit
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup(d)
	var wg sync.WaitGroup
	const writers, each = 7, 9
	for range writers {
		wg.Go(func() {
			for range each {
				if err := g.Append(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := g.Close(); n != writers*each {
		t.Errorf("%d records", n)
	}
	if err := errors.Join(d.Audit(writers*each), d.Close()); err != nil {
		t.Error(err)
	}
}

func TestAGroupPassesErrorsOn(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "device"), 128)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup(d)
	if err := d.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Append(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("append to a closed file: %v", err)
	}
	g.Close()
}
