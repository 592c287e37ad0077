package bench

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
	"github.com/sombradb/sombra/mvcc"
)

func TestDeviceSyncsAndReadsBack(t *testing.T) {
	dir := t.TempDir()
	res, err := Device(t.Context(), DeviceConfig{Common: Common{Dir: dir}, Limit: Limit{Ops: 20}})
	checkResult(t, "device", dir, res, err)
	if row := res.Rows[0]; row.Ops != 20 || row.Latency.P50 <= 0 || row.Workers != 1 {
		t.Errorf("row %+v is not of 20 syncs", row)
	}
}

func TestArrivalsAreCountedAndAudited(t *testing.T) {
	dir := t.TempDir()
	res, err := Arrival(t.Context(), ArrivalConfig{Common: Common{Dir: dir}, Rates: []int{500, 5000}, Writers: 4, Limit: Limit{Ops: 50}})
	checkResult(t, "arrival", dir, res, err)
	for i, row := range res.Rows {
		if row.Ops != 50 || row.Missed != 0 || row.Offered != []float64{500, 5000}[i] {
			t.Errorf("row %+v is not of 50 arrivals", row)
		}
	}
}

func TestLoadKeepsEveryRecordInBothOrders(t *testing.T) {
	dir := t.TempDir()
	res, err := Load(t.Context(), LoadConfig{Common: Common{Dir: dir}, Keys: 3000})
	checkResult(t, "load", dir, res, err)
	if len(res.Rows) != 2 || res.Rows[0].Checksum != res.Rows[1].Checksum || res.Rows[0].Bytes == 0 {
		t.Errorf("rows %+v are not two loads of the same", res.Rows)
	}
}

func TestYCSBRunsAllSixMixes(t *testing.T) {
	dir := t.TempDir()
	res, err := YCSB(t.Context(), YCSBConfig{Common: Common{Dir: dir}, Records: 300, ValueSize: 100, Workers: 3, Limit: Limit{Ops: 200}})
	checkResult(t, "ycsb", dir, res, err)
	names := ""
	for _, row := range res.Rows {
		names += row.Case
		if row.Ops != 200 || row.PerSecond <= 0 {
			t.Errorf("row %+v is not of 200 operations", row)
		}
	}
	if names != "ABCFDE" {
		t.Errorf("the workloads are %s", names)
	}
}

func TestMixedLeavesEveryRecordAsItWas(t *testing.T) {
	dir := t.TempDir()
	res, err := Mixed(t.Context(), MixedConfig{Common: Common{Dir: dir}, Keys: 500, Readers: 2, Writers: 2, Limit: Limit{Duration: 20_000_000}})
	checkResult(t, "mixed", dir, res, err)
	if len(res.Rows) != 4 || res.Rows[1].Beside <= 0 || res.Rows[2].Ops == 0 || res.Rows[3].Ops == 0 {
		t.Errorf("rows are %+v", res.Rows)
	}
}

// spoiltStore is a database with a dataset, of which one record is another one's.
func spoiltStore(t *testing.T, data *kv.Dataset, spoil func(*store) error) *store {
	t.Helper()
	s, err := openStore(t.Context(), t.TempDir(), &mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	if _, err := s.load(t.Context(), uint64(data.N), data.ValueSize); err != nil {
		t.Fatal(err)
	}
	if err := spoil(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAReaderNoticesAWrongValue(t *testing.T) {
	data := kv.NewDataset(3, 20)
	for name, c := range map[string]struct {
		version  uint64
		changing bool
		fine     bool
	}{
		"as it was": {0, false, true}, "another version": {1, false, false},
		"another version beside writers": {1, true, true}, "a version of nobody": {2, true, false},
	} {
		s := spoiltStore(t, data, func(s *store) error { return s.putVersion(t.Context(), []uint64{0, 1, 2}, c.version, 20) })
		_, err := kv.NewReader(s.sessions(1, nil)[0], data, 1, c.changing).Read(t.Context(), 20)
		if (err == nil) != c.fine {
			t.Errorf("%s: got %v", name, err)
		}
	}
	gone := spoiltStore(t, data, func(s *store) error {
		return s.db.Update(t.Context(), func(tx *mvcc.Txn) error { return tx.Delete(s.ks, gen.AppendKey(nil, 1)) })
	})
	if _, err := kv.NewReader(gone.sessions(1, nil)[0], data, 1, true).Read(t.Context(), 20); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("a record that is gone: got %v", err)
	}
}

func TestScanAuditKnowsRangesThatMeetTheEnd(t *testing.T) {
	// 150 keys are a range of 100 and one of 50; one of them is likely to go on at the start.
	res, err := Scan(t.Context(), ScanConfig{Common: Common{Dir: t.TempDir()}, Keys: 150, Repeat: 1})
	if err != nil {
		t.Fatal(err)
	}
	a := newScanAudit(ScanConfig{Keys: 150, ValueSize: 100})
	for _, row := range res.Rows {
		if row.Kind != "ranges of 100" {
			continue
		}
		row.Checksum++
		var audit *AuditError
		if err := a.compare(scanKinds[3], false, row); !errors.As(err, &audit) {
			t.Errorf("a wrong sum went unnoticed: %v", err)
		}
	}
}

func TestReportsAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jsonl")
	log, err := CreateSamples(path, NewEnvironment(dir))
	if err != nil {
		t.Fatal(err)
	}
	res, err := Checkpoint(t.Context(), CheckpointConfig{Common: Common{Dir: dir}, Keys: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range res.Measurements() {
		if err := log.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := ReadSamples(path)
	if err != nil || len(before.Samples) != 4 || before.Environment.GoVersion == "" {
		t.Fatalf("got %+v, %v", before, err)
	}
	now := Report{Environment: before.Environment, Samples: before.Samples, Against: before}
	for _, r := range now.ratios() {
		if r.spread.Median != 1 {
			t.Errorf("%s against itself is %v, want 1", r.label, r.spread)
		}
	}
	if len(now.ratios()) != 4 {
		t.Errorf("%d ratios, want 4", len(now.ratios()))
	}
	if err := now.WriteMarkdown(filepath.Join(dir, "report")); err == nil {
		t.Error("a report without an ending was written")
	}
}
