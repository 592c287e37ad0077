package device

import (
	"os"
	"path/filepath"
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
