package fuzz

import (
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// The crash tests are worth what the workload makes the engine do.
func TestTheWorkloadReachesWhatIsToBeCrashed(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			var history int64
			o := options(newDisk(t))
			o.Events.CheckpointDone = func(c mvcc.CheckpointInfo) { history += c.HistoryAdded }
			db, err := mvcc.Open(dbPath, o)
			if err != nil {
				t.Fatal(err)
			}
			w, h := stage(1), newHistory()
			for _, err := range w.run(bg, db, h) {
				t.Error(err)
			}
			m := db.Metrics()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			for _, reached := range []struct {
				what        string
				count, want int64
			}{
				{"commits", int64(h.acknowledged()), int64(w.writers * w.commits)},
				{"checkpoints", m.Checkpoints, 3},
				{"log bytes, in segments", m.Log.Bytes / o.SegmentSize, 2},
				{"recycled segments", m.Log.RecycledSegments, 1},
				{"records beside those of commits", m.Log.Records - m.Committed, 2},
			} {
				t.Logf("%s: %d", reached.what, reached.count)
				if reached.count < reached.want {
					t.Errorf("%s: %d, want at least %d", reached.what, reached.count, reached.want)
				}
			}
			if w.reader && history == 0 {
				t.Error("no checkpoint kept a version for the reader")
			}
		})
	}
}
