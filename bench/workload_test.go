package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sombradb/sombra/mvcc"
)

// result is what all workloads return.
type result interface{ WriteText(io.Writer) error }

// checkResult checks what every workload owes: a table with the title and
// checksums, JSON with its name and environment, and an empty directory.
func checkResult(t *testing.T, name, dir string, res result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := res.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text.String(), name) || !strings.Contains(text.String(), "checksum") {
		t.Errorf("the table lacks its name or the checksum:\n%s", &text)
	}
	var decoded struct {
		Workload    string
		Environment Environment
	}
	js, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(js, &decoded); err != nil || decoded.Workload != name || decoded.Environment.CPUs == 0 {
		t.Errorf("JSON lacks name or environment: %s, %v", js, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the scratch directory was not left empty (B3): %v, %v", left, err)
	}
}

func TestCommitCountsAndAuditsItsCommits(t *testing.T) {
	dir := t.TempDir()
	res, err := Commit(t.Context(), CommitConfig{Common: Common{Dir: dir}, Writers: []int{1, 4}, Limit: Limit{Ops: 40}})
	checkResult(t, "commit", dir, res, err)
	if len(res.Rows) != 2 {
		t.Fatalf("%d rows, want 2", len(res.Rows))
	}
	for _, row := range res.Rows {
		if row.Ops != 40 || row.Checksum == 0 || row.GroupSize <= 0 || row.PerSecond <= 0 {
			t.Errorf("row %+v is not of 40 durable commits", row)
		}
	}
}

func TestLogCountsAndAuditsItsRecords(t *testing.T) {
	dir := t.TempDir()
	res, err := Log(t.Context(), LogConfig{Common: Common{Dir: dir}, Writers: []int{1, 4}, Limit: Limit{Ops: 40}})
	checkResult(t, "log", dir, res, err)
	for _, row := range res.Rows {
		if row.Ops != 40 || row.Checksum == 0 || row.GroupSize <= 0 {
			t.Errorf("row %+v is not of 40 durable records", row)
		}
	}
}

func TestGetReadsFromVersionsAndFromPages(t *testing.T) {
	dir := t.TempDir()
	cfg := GetConfig{Common: Common{Dir: dir}, Keys: 2000, Readers: []int{2}, Limit: Limit{Ops: 4000}}
	res, err := Get(t.Context(), cfg)
	checkResult(t, "get", dir, res, err)
	if len(res.Rows) != 4 {
		t.Fatalf("%d rows, want 4", len(res.Rows))
	}
	for i, row := range res.Rows {
		if want := []string{FromVersions, FromPages}[i/2]; row.Source != want {
			t.Errorf("row %d is from %s, want %s", i, row.Source, want)
		}
		// The same keys are read in all rows, so the checksums agree (B4).
		if row.Reads != 4000 || row.Checksum != res.Rows[0].Checksum || row.NsPerRead <= 0 {
			t.Errorf("row %+v is not of the same 4000 reads", row)
		}
	}
}

func TestScanSeesEveryKeyInEveryDirection(t *testing.T) {
	dir := t.TempDir()
	res, err := Scan(t.Context(), ScanConfig{Common: Common{Dir: dir}, Keys: 3000, Repeat: 1})
	checkResult(t, "scan", dir, res, err)
	if len(res.Rows) != 12 {
		t.Fatalf("%d rows, want 12", len(res.Rows))
	}
	for i, row := range res.Rows {
		if want := []string{FromVersions, FromPages, FromMixed}[i/4]; row.Source != want {
			t.Errorf("row %d is from %s, want %s", i, row.Source, want)
		}
		if row.Keys != 3000 || row.Checksum == 0 {
			t.Errorf("row %+v is not of 3000 keys", row)
		}
	}
}

func TestCheckpointWritesWhatChanged(t *testing.T) {
	dir := t.TempDir()
	res, err := Checkpoint(t.Context(), CheckpointConfig{Common: Common{Dir: dir}, Keys: 5000})
	checkResult(t, "checkpoint", dir, res, err)
	if len(res.Rows) != len(rounds) {
		t.Fatalf("%d rows, want %d", len(res.Rows), len(rounds))
	}
	for i, row := range res.Rows {
		if row.Amplification < 1 || row.Keys == 0 || row.Checkpoints != 1 {
			t.Errorf("%s is not of one checkpoint that wrote what changed: %+v", row.Change, row)
		}
		if i > 0 && row.Checksum == res.Rows[i-1].Checksum {
			t.Errorf("%s changed nothing", row.Change)
		}
	}
}

func TestRecoveryReplaysTheWholeLog(t *testing.T) {
	dir := t.TempDir()
	res, err := Recovery(t.Context(), RecoveryConfig{Common: Common{Dir: dir}, LogBytes: 1 << 20})
	checkResult(t, "recovery", dir, res, err)
	if res.LogBytes < 1<<20 || res.Commits < res.Keys/recoveryBatch || res.Open < res.Replay {
		t.Errorf("replayed %d bytes and %d commits of %d keys", res.LogBytes, res.Commits, res.Keys)
	}
}

func TestMemoryReadsAndOverwritesAndKeepsCount(t *testing.T) {
	dir := t.TempDir()
	cfg := MemoryConfig{Common: Common{Dir: dir, MemoryBudget: mvcc.MinMemoryBudget}, Times: 1, Limit: Limit{Ops: 2000}}
	res, err := Memory(t.Context(), cfg)
	checkResult(t, "memory", dir, res, err)
	if res.Ops != 2000 || res.Overwrote < 200 || res.Overwrote > 800 {
		t.Errorf("%d operations with %d overwrites, want 2000 with about 400", res.Ops, res.Overwrote)
	}
	if len(res.Samples) < 2 || res.Peak <= 0 || res.Baseline <= 0 {
		t.Errorf("%d samples, peak %d, baseline %d", len(res.Samples), res.Peak, res.Baseline)
	}
}

func TestAuditFindsALostAndAnInventedRecord(t *testing.T) {
	s, err := openStore(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	sum, err := s.load(t.Context(), 10, 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.audit(t.Context(), 10, sum); err != nil {
		t.Fatalf("the audit refuses what is right: %v", err)
	}
	var audit *AuditError
	if err := s.audit(t.Context(), 11, sum); !errors.As(err, &audit) {
		t.Errorf("a lost key goes unnoticed: %v", err)
	}
	if err := s.putVersion(t.Context(), []uint64{3}, 1, 20); err != nil {
		t.Fatal(err)
	}
	if err := s.audit(t.Context(), 10, sum); !errors.As(err, &audit) {
		t.Errorf("a changed value goes unnoticed: %v", err)
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	bad := map[string]func() error{
		"writers": func() error { _, err := Commit(t.Context(), CommitConfig{Writers: []int{0}}); return err },
		"device":  func() error { _, err := Device(t.Context(), DeviceConfig{RecordSize: 1 << 30}); return err },
		"rates":   func() error { _, err := Arrival(t.Context(), ArrivalConfig{Rates: []int{0}}); return err },
		"load":    func() error { _, err := Load(t.Context(), LoadConfig{Keys: 1 << 40}); return err },
		"mix":     func() error { _, err := YCSB(t.Context(), YCSBConfig{Mixes: []string{"G"}}); return err },
		"clients": func() error { _, err := YCSB(t.Context(), YCSBConfig{Workers: -1}); return err },
		"mixed":   func() error { _, err := Mixed(t.Context(), MixedConfig{Limit: Limit{Ops: 1}}); return err },
		"graph":   func() error { _, err := Import(t.Context(), ImportConfig{GraphSize: GraphSize{Nodes: 1}}); return err },
		"dense": func() error {
			_, err := Traverse(t.Context(), TraverseConfig{GraphSize: GraphSize{Nodes: 10}})
			return err
		},
		"readers":  func() error { _, err := GraphMix(t.Context(), GraphMixConfig{Readers: -1}); return err },
		"links":    func() error { _, err := LinkBench(t.Context(), LinkBenchConfig{Requesters: -1}); return err },
		"log":      func() error { _, err := Log(t.Context(), LogConfig{PayloadSize: -1}); return err },
		"keys":     func() error { _, err := Get(t.Context(), GetConfig{Keys: -1}); return err },
		"repeat":   func() error { _, err := Scan(t.Context(), ScanConfig{Repeat: -1}); return err },
		"value":    func() error { _, err := Checkpoint(t.Context(), CheckpointConfig{ValueSize: -5}); return err },
		"size":     func() error { _, err := Recovery(t.Context(), RecoveryConfig{LogBytes: -5}); return err },
		"accounts": func() error { _, err := Transfer(t.Context(), TransferConfig{Accounts: 1}); return err },
		"theta":    func() error { _, err := Transfer(t.Context(), TransferConfig{Thetas: []float64{1}}); return err },
		"hotkey":   func() error { _, err := Hotkey(t.Context(), HotkeyConfig{Writers: []int{-1}}); return err },
		"counter":  func() error { _, err := Counter(t.Context(), HotkeyConfig{Writers: []int{0}}); return err },
		"hub":      func() error { _, err := Hub(t.Context(), HubConfig{Writers: []int{0}}); return err },
		"ring":     func() error { _, err := Deadlock(t.Context(), DeadlockConfig{Sizes: []int{1}}); return err },
		"rings":    func() error { _, err := Deadlock(t.Context(), DeadlockConfig{Rings: -1}); return err },
		"records":  func() error { _, err := LongReader(t.Context(), LongReaderConfig{Records: -1}); return err },
		"rounds":   func() error { _, err := LongReader(t.Context(), LongReaderConfig{Rounds: -1}); return err },
		"shrink":   func() error { _, err := Shrink(t.Context(), ShrinkConfig{Records: 99}); return err },
		"every":    func() error { _, err := Shrink(t.Context(), ShrinkConfig{Curves: Curves{Every: 1}}); return err },
		"plot": func() error {
			_, err := Overwrite(t.Context(), OverwriteConfig{Curves: Curves{Plot: "a.gif"}})
			return err
		},
		"rows":   func() error { _, err := Large(t.Context(), LargeConfig{Rows: -1}); return err },
		"soak":   func() error { _, err := Soak(t.Context(), SoakConfig{Accounts: 1}); return err },
		"writes": func() error { _, err := Memory(t.Context(), MemoryConfig{Writes: 2}); return err },
	}
	for name, run := range bad {
		var cfg *ConfigError
		if err := run(); !errors.As(err, &cfg) {
			t.Errorf("%s: got %v, want a *ConfigError", name, err)
		}
	}
}

func TestScratchDirectoryIsRemovedAfterAFailure(t *testing.T) {
	dir := t.TempDir()
	c := Common{Dir: dir}
	boom := errors.New("boom")
	err := c.inScratch("x", func(scratch string) error {
		return errors.Join(os.WriteFile(databasePath(scratch), []byte("x"), 0o600), boom)
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want boom", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
