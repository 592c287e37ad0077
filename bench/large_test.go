package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

func TestLargeSpillsReadsBackAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cfg := LargeConfig{Common: Common{Dir: dir, MemoryBudget: mvcc.MinMemoryBudget}, Curves: tinyCurves(t), Rows: 12_000}
	res, err := Large(t.Context(), cfg)
	checkResult(t, "large", dir, res, err)
	checkPlot(t, cfg.Plot)
	if len(res.Rows) != 4 {
		t.Fatalf("%d rows, want 4", len(res.Rows))
	}
	for _, row := range res.Rows {
		if row.Spills == 0 || row.Temporary == 0 || row.Checksum == 0 {
			t.Errorf("%s, %s: nothing was spilled: %+v", row.Order, row.End, row)
		}
		if committed := row.LogBytes > res.Payload; committed != (row.End == "commit") {
			t.Errorf("%s, %s: %d bytes of log for %d of payload", row.Order, row.End, row.LogBytes, res.Payload)
		}
	}
	if res.Rows[0].Checksum == res.Rows[1].Checksum || res.Rows[0].Checksum != res.Rows[2].Checksum {
		t.Errorf("the checksums do not tell the orders apart: %+v", res.Rows)
	}
}

func TestTemporaryFilesAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if bytes, files, err := temporaryBytes(path); bytes != 0 || files != 0 || err != nil {
		t.Errorf("without a directory: %d bytes in %d files, %v", bytes, files, err)
	}
	if err := os.Mkdir(path+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(path+".tmp", name), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, files, err := temporaryBytes(path); bytes != 200 || files != 2 || err != nil {
		t.Errorf("%d bytes in %d files, %v, want 200 in 2", bytes, files, err)
	}
}
