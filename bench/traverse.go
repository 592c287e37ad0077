package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/graph"
)

// TraverseConfig configures the traverse workload: questions about an R-MAT graph that is all in memory, each in a
// transaction of its own. Every answer is compared with that of an array in memory.
type TraverseConfig struct {
	Common
	GraphSize
	Readers []int `json:"readers"` // concurrent readers, one set of rows for each; default 1
	// Limit ends each row; default 1 s.
	Limit Limit `json:"limit"`
}

func (c TraverseConfig) withDefaults() TraverseConfig {
	c.GraphSize.setDefaults(100_000)
	setDefault(&c.MemoryBudget, graphBudget)
	if len(c.Readers) == 0 {
		c.Readers = []int{1}
	}
	c.Limit = orDuration(c.Limit, time.Second)
	return c
}

func (c *TraverseConfig) validate() error { return allPositive("Readers", c.Readers) }

// Traverse measures neighbours of neighbours, breadth-first searches, shortest paths and ranges of an index.
func Traverse(ctx context.Context, cfg TraverseConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &Result{Workload: "traverse", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	return res, withPeople(ctx, "traverse", &cfg.Common, &cfg.GraphSize, func(p *people, _ time.Duration) error {
		if _, err := p.audit(ctx); err != nil { // it also brings all into memory
			return err
		}
		for _, q := range p.questions() {
			for _, readers := range cfg.Readers {
				cfg.note("traverse: %s, %d readers", q.name, readers)
				r, err := closed(ctx, readers, cfg.Limit, p.ask(q))
				if err != nil {
					return err
				}
				res.add(q.name, readers, figures.SampleOf(r, "questions"))
			}
		}
		return nil
	})
}

// question is a kind of question about the graph.
type question struct {
	name  string
	sizes int // so many different ones are asked in turns
	// ask returns the answer of the database to the n-th, expect that of the model.
	ask    func(tx *graph.Txn, n uint64) (rmat.Reach, error)
	expect func(n uint64) rmat.Reach
}

// Numbers of different questions: deep ones take long, also in the model.
const (
	nearQuestions = 1000
	farQuestions  = 50
)

func (p *people) questions() []question {
	list := []question{{"1 hop", nearQuestions, p.askNeighbors, func(n uint64) rmat.Reach { return p.csr.Reach(p.start(n), 1) }}}
	for depth := 2; depth <= 3; depth++ {
		list = append(list, p.within(fmt.Sprintf("%d hops, distinct", depth), depth))
	}
	return append(list, p.within("BFS of all", rmat.Unlimited),
		question{"shortest path", farQuestions, p.askPath, p.expectPath},
		question{"index range of 100", nearQuestions, p.askRange, p.expectRange})
}

// start is the node that the n-th question begins at: one that has edges, so that hubs are asked about more often.
func (p *people) start(n uint64) uint32 {
	return p.graph.Edges[gen.Mix(n)%uint64(len(p.graph.Edges))].Src
}

func (p *people) askNeighbors(tx *graph.Txn, n uint64) (r rmat.Reach, err error) {
	for id, err := range tx.Neighbors(p.ids[p.start(n)], graph.Out, knowsEdge) {
		if err != nil {
			return r, err
		}
		r.Add(uint64(p.numbers[id]), 1)
	}
	return r, nil
}

// within asks for the different nodes that are at most depth edges away.
func (p *people) within(name string, depth int) question {
	t := graph.Traversal{Direction: graph.Out, Types: []string{knowsEdge}}
	if depth != rmat.Unlimited {
		t.MaxDepth = depth
	}
	return question{name, farQuestions,
		func(tx *graph.Txn, n uint64) (r rmat.Reach, err error) {
			for visit, err := range tx.BFS(p.ids[p.start(n)], t) {
				if err != nil {
					return r, err
				}
				if visit.Depth > 0 {
					r.Add(uint64(p.numbers[visit.Node]), visit.Depth)
				}
			}
			return r, nil
		},
		func(n uint64) rmat.Reach { return p.csr.Reach(p.start(n), depth) },
	}
}

// ends are those of the n-th path that is asked for.
func (p *people) ends(n uint64) (from, to uint32) { return p.start(2 * n), p.start(2*n + 1) }

// askPath asks for a shortest path and walks along it. Its answer has the number of edges as distance.
func (p *people) askPath(tx *graph.Txn, n uint64) (r rmat.Reach, err error) {
	from, to := p.ends(n)
	path, err := tx.ShortestPath(p.ids[from], p.ids[to], graph.Traversal{Direction: graph.Out, Types: []string{knowsEdge}})
	if errors.Is(err, graph.ErrNoPath) {
		return rmat.Reach{}, nil
	}
	if err != nil {
		return r, err
	}
	at := p.ids[from]
	for _, e := range path.Edges {
		if e.Src != at {
			return r, fmt.Errorf("bench: the path from node %d to node %d has a gap at %v", from, to, at)
		}
		at = e.Dst
	}
	if at != p.ids[to] {
		return r, fmt.Errorf("bench: the path from node %d to node %d ends at %v", from, to, at)
	}
	r.Add(uint64(to), len(path.Edges))
	return r, nil
}

func (p *people) expectPath(n uint64) (r rmat.Reach) {
	from, to := p.ends(n)
	if d := p.csr.Distance(from, to); d >= 0 {
		r.Add(uint64(to), d)
	}
	return r
}

// rangeNodes is the length of a range of the index.
const rangeNodes = 100

func (p *people) rangeStart(n uint64) int64 {
	return int64(gen.Mix(n) % uint64(max(len(p.ids)-rangeNodes, 1)))
}

func (p *people) askRange(tx *graph.Txn, n uint64) (r rmat.Reach, err error) {
	lo := p.rangeStart(n)
	for node, err := range tx.FindRange(personLabel, numberProp, graph.Range{Lo: graph.Int(lo), Hi: graph.Int(lo + rangeNodes)}) {
		if err != nil {
			return r, err
		}
		number, _ := node.Props[numberProp].AsInt()
		r.Add(uint64(number), 0)
	}
	return r, nil
}

func (p *people) expectRange(n uint64) (r rmat.Reach) {
	lo := p.rangeStart(n)
	for number := lo; number < min(lo+rangeNodes, int64(len(p.ids))); number++ {
		r.Add(uint64(number), 0)
	}
	return r
}

// AnswerError reports that the database answered otherwise than the model: its figures mean nothing, and the engine has
// a fault.
type AnswerError struct {
	Question  string
	Number    uint64
	Got, Want string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("bench: question %d (%s) was answered with %s, want %s", e.Number, e.Question, e.Got, e.Want)
}

// ask returns an operation of one question, whose answer is compared with the model's.
func (p *people) ask(q question) work {
	want := make([]rmat.Reach, q.sizes)
	for n := range want {
		want[n] = q.expect(uint64(n))
	}
	return func(ctx context.Context, worker int, seq uint64) (sum Checksum, err error) {
		n := (seq + uint64(worker)*7) % uint64(q.sizes)
		var got rmat.Reach
		err = p.db.View(ctx, func(tx *graph.Txn) (err error) {
			got, err = q.ask(tx, n)
			return err
		})
		if err == nil && got != want[n] {
			err = &AnswerError{q.name, n, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want[n])}
		}
		return Checksum(gen.Mix(uint64(got.Nodes)<<32 ^ got.Sum ^ got.Distances<<48)), err
	}
}
