package bench

import (
	"errors"
	"math"
	"testing"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/graph"
)

func TestImportReadsBackEveryEdgeInBothDirections(t *testing.T) {
	dir := t.TempDir()
	res, err := Import(t.Context(), ImportConfig{Common: Common{Dir: dir}, GraphSize: GraphSize{Nodes: 300}})
	checkResult(t, "import", dir, res, err)
	if row := res.Rows[0]; row.Ops != 3000 || row.Bytes == 0 || row.PerSecond <= 0 {
		t.Errorf("row %+v is not of 3000 edges", row)
	}
}

// tinyPeople imports a small graph.
func tinyPeople(t *testing.T) *people {
	t.Helper()
	size := GraphSize{Nodes: 300, Edges: 2000}
	g, err := size.make()
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := loadPeople(t.Context(), t.TempDir(), nil, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close() })
	return p
}

func TestTheAuditOfAGraphFindsAMissingEdgeAndAWrongEntry(t *testing.T) {
	p := tinyPeople(t)
	if _, err := p.audit(t.Context()); err != nil {
		t.Fatalf("what is right is refused: %v", err)
	}
	change := func(fn func(*graph.Txn) error) {
		t.Helper()
		if err := p.db.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *graph.Txn) error { return tx.DeleteEdge(7) })
	var audit *AuditError
	if _, err := p.audit(t.Context()); !errors.As(err, &audit) || audit.Keys != 1999 {
		t.Errorf("a missing edge: got %v", err)
	}
	change(func(tx *graph.Txn) error { return tx.SetProperty(p.ids[3], nameProp, graph.String("nobody")) })
	if _, err := p.audit(t.Context()); err == nil || errors.As(err, &audit) {
		t.Errorf("a wrong name: got %v", err)
	}
}

func TestTraverseAsksEveryQuestion(t *testing.T) {
	dir := t.TempDir()
	res, err := Traverse(t.Context(), TraverseConfig{
		Common: Common{Dir: dir}, GraphSize: GraphSize{Nodes: 300, Edges: 1000}, Readers: []int{1, 3}, Limit: Limit{Ops: 60},
	})
	checkResult(t, "traverse", dir, res, err)
	if len(res.Rows) != 12 {
		t.Fatalf("%d rows, want six questions by two numbers of readers", len(res.Rows))
	}
	for _, row := range res.Rows {
		if row.Ops != 60 || row.Latency.P50 <= 0 {
			t.Errorf("row %+v is not of 60 questions", row)
		}
	}
}

func TestAWrongAnswerToAnyQuestionIsNoticed(t *testing.T) {
	p := tinyPeople(t)
	for i, q := range p.questions() {
		for n := range uint64(20) {
			if _, err := p.ask(q)(t.Context(), 0, n); err != nil {
				t.Fatalf("%s: what is right is refused: %v", q.name, err)
			}
		}
		// The database is asked another question than the model.
		asked := q.ask
		q.ask = func(tx *graph.Txn, n uint64) (rmat.Reach, error) { return asked(tx, n+1) }
		noticed := false
		for n := range uint64(20) {
			var answer *AnswerError
			_, err := p.ask(q)(t.Context(), 0, n)
			noticed = noticed || errors.As(err, &answer)
		}
		if !noticed {
			t.Errorf("question %d, %s: a wrong answer went unnoticed", i, q.name)
		}
	}
}

func TestGraphMixCountsEveryLike(t *testing.T) {
	dir := t.TempDir()
	res, err := GraphMix(t.Context(), GraphMixConfig{
		Common: Common{Dir: dir}, GraphSize: GraphSize{Nodes: 200}, Readers: 2, Writers: 3, Limit: Limit{Ops: 100},
	})
	checkResult(t, "graphmix", dir, res, err)
	if len(res.Rows) != 3 || res.Rows[1].Beside <= 0 || res.Rows[2].Ops != 100 {
		t.Errorf("rows are %+v", res.Rows)
	}
}

func TestTheAuditOfLikesFindsOneThatIsLostAndOneThatIsNotCounted(t *testing.T) {
	l := &likes{people: tinyPeople(t), cfg: GraphMixConfig{Writers: 1}}
	give := l.give()
	for seq := range uint64(5) {
		if _, err := give(t.Context(), 0, seq); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.audit(t.Context()); err != nil {
		t.Fatalf("what is right is refused: %v", err)
	}
	var count *CountError
	l.given.Add(1)
	if err := l.audit(t.Context()); !errors.As(err, &count) {
		t.Errorf("a lost like: got %v", err)
	}
	l.given.Add(-1)
	err := l.db.Update(t.Context(), func(tx *graph.Txn) error {
		_, err := tx.CreateEdge(l.ids[0], l.ids[1], likesEdge, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.audit(t.Context()); !errors.As(err, &count) {
		t.Errorf("a like that nobody counted: got %v", err)
	}
}

func TestLinkBenchBalancesItsLedger(t *testing.T) {
	dir := t.TempDir()
	res, err := LinkBench(t.Context(), LinkBenchConfig{
		Common: Common{Dir: dir}, GraphSize: GraphSize{Nodes: 200, Edges: 800}, Requesters: 4, Limit: Limit{Ops: 2000},
	})
	checkResult(t, "linkbench", dir, res, err)
	if len(res.Rows) != 1+linkKinds || res.Rows[0].Ops != 2000 {
		t.Fatalf("%d rows, the first one %+v", len(res.Rows), res.Rows[0])
	}
	for i, row := range res.Rows[1:] {
		if want := 20 * linkOps[i].percent; math.Abs(float64(row.Ops)-want) > 4*math.Sqrt(want)+1 {
			t.Errorf("%s was done %d times, want about %.0f", row.Case, row.Ops, want)
		}
	}
}

func TestTheMixOfLinkBenchIsAHundredPercent(t *testing.T) {
	total := 0.0
	for i, op := range linkOps {
		if got := kindOf((total + op.percent/2) / 100); got != i {
			t.Errorf("the middle of %s is %s", op.name, linkOps[got].name)
		}
		total += op.percent
	}
	if math.Abs(total-100) > 1e-4 {
		t.Errorf("the percentages sum up to %v", total)
	}
	mean := 0.0
	for n := range uint64(10_000) {
		mean += float64(geometric(gen.Mix(n))) / 10_000
	}
	if math.Abs(mean-2.6) > 0.1 {
		t.Errorf("multiget_link asks for %.2f links, want 2.6", mean)
	}
}

func TestTheAuditOfLinksFindsWhatNobodyAcknowledged(t *testing.T) {
	size := GraphSize{Nodes: 100, Edges: 400}
	g, err := size.make()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*links, *graph.Txn) error{
		"nothing":             nil,
		"a link that is gone": func(l *links, tx *graph.Txn) error { return tx.DeleteEdge(5) },
		"a link too much": func(l *links, tx *graph.Txn) error {
			_, err := tx.CreateEdge(l.nodes.id(1), l.nodes.id(2), linkEdge, l.linkProps(1, 2, 0))
			return err
		},
		"a version that was lost": func(l *links, tx *graph.Txn) error {
			return tx.SetProperties(l.nodes.id(3), nodeProps(3, 1))
		},
		"data of another node": func(l *links, tx *graph.Txn) error {
			return tx.SetProperty(l.nodes.id(3), linkData, nodeProps(4, 0)[linkData])
		},
		"a node that is gone": func(l *links, tx *graph.Txn) error { return tx.DetachDelete(l.nodes.id(3)) },
	} {
		l := newLinks(g, 1)
		l.db, err = graph.Load(t.Context(), databasePath(t.TempDir()), nil, l.load)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			if err := l.db.Update(t.Context(), func(tx *graph.Txn) error { return change(l, tx) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.audit(t.Context()); (err == nil) != (change == nil) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := l.db.Close(); err != nil {
			t.Error(err)
		}
	}
}
