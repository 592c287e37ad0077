package bench

import (
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

func TestShrinkDeletesNineTenthsAndKeepsTheRest(t *testing.T) {
	dir := t.TempDir()
	cfg := ShrinkConfig{Common: Common{Dir: dir, MemoryBudget: mvcc.MinMemoryBudget}, Curves: tinyCurves(t), Records: 4000}
	res, err := Shrink(t.Context(), cfg)
	checkResult(t, "shrink", dir, res, err)
	checkPlot(t, cfg.Plot)
	if len(res.Rows) != 2 || res.Rows[0].Kept != 400 {
		t.Fatalf("%d rows, %d kept in the first, want 2 and 400", len(res.Rows), res.Rows[0].Kept)
	}
	for _, row := range res.Rows {
		if row.Kept+row.Deleted != 4000 || row.Kept < 300 || row.Kept > 500 {
			t.Errorf("%s: kept %d, deleted %d of 4000", row.Deletes, row.Kept, row.Deleted)
		}
		if row.Shrunk.FileBytes >= row.Loaded.FileBytes || row.Shrunk.Checkpoints <= row.Emptied.Checkpoints {
			t.Errorf("%s: the file did not shrink: %+v", row.Deletes, row)
		}
		last := row.Steps[len(row.Steps)-1]
		if !last.AfterDeletes || last.LiveBytes > last.FileBytes || last.Sequence == 0 {
			t.Errorf("%s: the last step is %+v", row.Deletes, last)
		}
	}
}
