package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// DemoConfig configures the demo: a social graph of people who know each other.
type DemoConfig struct {
	// Dir is the directory that the database is made in. It must exist, and
	// hold no social.db. The demo leaves the database there.
	Dir          string `json:"dir"`
	People       int    `json:"people"`  // default 20,000
	Edges        int    `json:"edges"`   // default 10 for each of the people; at most a tenth of all pairs
	Writers      int    `json:"writers"` // default 16
	Seed         uint64 `json:"seed"`    // of the people and of who knows whom
	MemoryBudget int64  `json:"memory_budget_bytes"`
	PageSize     int    `json:"page_size_bytes,omitempty"`
	// Progress, when not nil, is called now and then, by one goroutine at a time.
	Progress func(DemoProgress) `json:"-"`
}

// DemoProgress says how far a phase of the demo is.
type DemoProgress struct {
	Phase       string
	Done, Total int64
}

func (c DemoConfig) withDefaults() DemoConfig {
	setDefault(&c.People, 20_000)
	setDefault(&c.Edges, 10*c.People)
	setDefault(&c.Writers, 16)
	return c
}

// minPeople leaves room for the deadlocks, which need distinct people.
const minPeople = 100

func (c *DemoConfig) validate() error {
	err := errors.Join(atLeast("People", c.People, minPeople), atLeast("Edges", c.Edges, 1), atLeast("Writers", c.Writers, 1))
	if most := maxEdges(c.People); c.Edges > most {
		err = errors.Join(err, &ConfigError{Field: "Edges", Value: c.Edges, Want: fmt.Sprintf("at most %d for %d people", most, c.People)})
	}
	return err
}

// DemoResult is what the demo found.
type DemoResult struct {
	Path        string          `json:"path"` // of the database
	Environment Environment     `json:"environment"`
	Config      DemoConfig      `json:"config"`
	Load        DemoLoad        `json:"load"`
	Contention  DemoContention  `json:"contention"`
	Questions   []DemoQuestion  `json:"questions"`
	Check       DemoCheck       `json:"check"`
	Checksum    Checksum        `json:"checksum"` // of who knows whom, as read back
	Hub         DemoExample     `json:"hub"`      // the best known of the people
	Pair        [2]graph.NodeID `json:"pair"`     // two people, to ask for a path
	Elapsed     time.Duration   `json:"elapsed_ns"`
}

// DemoLoad is the cost of building the graph, at serializable isolation with
// every commit durable.
type DemoLoad struct {
	Nodes     int64         `json:"nodes"`
	Edges     int64         `json:"edges"`
	Commits   int64         `json:"commits"`
	Elapsed   time.Duration `json:"elapsed_ns"`
	PerSecond float64       `json:"commits_per_second"`
	EdgesRate float64       `json:"edges_per_second"`
	Latency   Latency       `json:"latency"`
	Retries   int64         `json:"retries"`
}

// DemoExample names a person for the commands to try.
type DemoExample struct {
	ID     graph.NodeID `json:"id"`
	Handle string       `json:"handle"`
}

// DemoQuestion is one question to the graph and what it took to answer it.
type DemoQuestion struct {
	Question string        `json:"question"`
	Answer   string        `json:"answer"`
	Elapsed  time.Duration `json:"elapsed_ns"`
}

// demoRun is a demo that is under way.
type demoRun struct {
	cfg    DemoConfig
	db     *graph.DB
	res    *DemoResult
	people []person
	knows  [][]int        // by number of who knows
	ids    []graph.NodeID // by number
}

// DatabaseName is the file that the demo makes in its directory.
const DatabaseName = "social.db"

// Demo builds the graph, makes writers fight over it, asks it some questions and checks it.
func Demo(ctx context.Context, cfg DemoConfig) (res *DemoResult, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	start := time.Now()
	path := filepath.Join(cfg.Dir, DatabaseName)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(&ConfigError{Field: "Dir", Value: cfg.Dir, Want: "a directory without " + DatabaseName}, err)
	}
	db, err := graph.Open(path, &graph.Options{Options: mvcc.Options{MemoryBudget: cfg.MemoryBudget, PageSize: cfg.PageSize}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := &demoRun{cfg: cfg, db: db, res: &DemoResult{Path: path, Environment: NewEnvironment(cfg.Dir), Config: cfg}}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	r.res.Elapsed = time.Since(start)
	return r.res, nil
}

func (r *demoRun) run(ctx context.Context) error {
	random := newRandom(r.cfg.Seed)
	r.people = makePeople(random, r.cfg.People)
	r.knows = makeFriendships(random, r.cfg.People, r.cfg.Edges)
	r.ids = make([]graph.NodeID, r.cfg.People)
	for _, phase := range []func(context.Context) error{r.load, r.contend, r.explore, r.audit, r.check} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *demoRun) progress(phase string, done, total int64) {
	if r.cfg.Progress != nil {
		r.cfg.Progress(DemoProgress{Phase: phase, Done: done, Total: total})
	}
}

// audit reads the graph back and compares it with what was drawn (B2).
func (r *demoRun) audit(ctx context.Context) error {
	numbers := make(map[graph.NodeID]uint64, len(r.ids))
	for i, id := range r.ids {
		numbers[id] = uint64(i)
	}
	var got, want Checksum
	var edges int64
	err := r.db.View(ctx, func(tx *graph.Txn) error {
		for e, err := range tx.AllEdges() {
			if err != nil {
				return err
			}
			edges++
			got += friendshipSum(numbers[e.Src], numbers[e.Dst])
		}
		return nil
	})
	for from, known := range r.knows {
		for _, to := range known {
			want += friendshipSum(uint64(from), uint64(to))
		}
	}
	r.res.Checksum = got
	if err == nil && (got != want || edges != int64(r.cfg.Edges)) {
		err = &AuditError{Keys: edges, WantKeys: int64(r.cfg.Edges), Sum: got, WantSum: want}
	}
	return err
}

func friendshipSum(from, to uint64) Checksum { return Checksum(gen.Mix(from<<32 | to)) }
