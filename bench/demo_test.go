package bench

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

func smallDemo(dir string) DemoConfig {
	return DemoConfig{Dir: dir, People: 200, Edges: 1000, Writers: 8, Seed: 1}
}

func TestDemoLosesNothingAndResolvesEveryDeadlock(t *testing.T) {
	phases := map[string]bool{}
	cfg := smallDemo(t.TempDir())
	cfg.Progress = func(p DemoProgress) { phases[p.Phase] = true }
	res, err := Demo(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if c := res.Contention; c.Counted != c.Likes || c.Likes != 8*likesPerWriter || c.Deadlocks < int64(len(rings)) {
		t.Errorf("contention %+v, want every like counted and %d deadlocks", c, len(rings))
	}
	if !strings.Contains(res.Contention.Report, "victim") || !strings.Contains(res.Contention.Report, "node ") {
		t.Errorf("the report does not name victim and nodes:\n%s", res.Contention.Report)
	}
	if c := res.Check; c.Problems != 0 || c.Nodes != 200 || c.Edges != 1000 || c.IndexEntries != 200 {
		t.Errorf("check %+v, want 200 nodes, 1000 edges and no problem", c)
	}
	if len(res.Questions) != 4 || !phases["deadlocks"] || !phases["questions"] {
		t.Errorf("%d questions, phases %v", len(res.Questions), phases)
	}
	var text bytes.Buffer
	if err := res.WriteText(&text); err != nil || !strings.Contains(text.String(), "sombra neighbors "+res.Path) {
		t.Errorf("%v, the text does not say what to try next:\n%s", err, &text)
	}
}

func TestDemoLeavesADatabaseThatOpensAgain(t *testing.T) {
	dir := t.TempDir()
	res, err := Demo(t.Context(), smallDemo(dir))
	if err != nil {
		t.Fatal(err)
	}
	db, err := graph.Open(res.Path, &graph.Options{Options: mvcc.Options{ReadOnly: true, MustExist: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(t.Context(), func(tx *graph.Txn) error {
		n, err := tx.Node(res.Hub.ID)
		if handle, _ := n.Props["handle"].AsString(); err != nil || handle != res.Hub.Handle {
			t.Errorf("the hub is %v, %v; want %s", n, err, res.Hub.Handle)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDemoOfOneSeedIsAlwaysTheSameGraph(t *testing.T) {
	var sums [3]Checksum
	for i, seed := range []uint64{1, 1, 2} {
		cfg := smallDemo(t.TempDir())
		cfg.Seed = seed
		res, err := Demo(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = res.Checksum
	}
	if sums[0] != sums[1] || sums[0] == sums[2] {
		t.Errorf("checksums are %v, want the first two equal and the third another", sums)
	}
}

func TestDemoDoesNotTouchAnExistingDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, DatabaseName)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg *ConfigError
	if _, err := Demo(t.Context(), smallDemo(dir)); !errors.As(err, &cfg) {
		t.Errorf("got %v, want a *ConfigError", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestDemoRefusesGraphsThatCannotBeDrawn(t *testing.T) {
	for name, cfg := range map[string]DemoConfig{
		"few people": {People: 5},
		"many edges": {People: 100, Edges: 5000},
		"no writers": {Writers: -1},
	} {
		cfg.Dir = t.TempDir()
		var bad *ConfigError
		if _, err := Demo(t.Context(), cfg); !errors.As(err, &bad) {
			t.Errorf("%s: got %v, want a *ConfigError", name, err)
		}
	}
}

func TestFriendshipsFollowAPowerLawAndNobodyKnowsThemselves(t *testing.T) {
	const people, edges = 2000, 20_000
	knows := makeFriendships(newRandom(7), people, edges)
	in := make([]int, people)
	total := 0
	for from, known := range knows {
		for _, to := range known {
			if from == to {
				t.Fatalf("%d knows themselves", from)
			}
			in[to]++
			total++
		}
	}
	top := 0
	for _, n := range in {
		top = max(top, n)
	}
	if total != edges || top < 10*edges/people {
		t.Errorf("%d edges, the best known has %d; want %d and a hub of ten times the mean", total, top, edges)
	}
}
