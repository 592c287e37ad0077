package suite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

// Config says what is measured.
type Config struct {
	// Dir is where the scratch directory is made; empty is the system's for temporary files. It should be on a real disk.
	Dir     string
	Scale   float64 // multiplies all sizes, and its root the time of each measurement; 1 is a million keys and half a second
	Rounds  int
	Only    []string // names of workloads; none are all
	Engines []engine.Engine
	// Progress, when not nil, is told what comes next.
	Progress func(step, steps int, what string)
	// Emit gets each sample when it has been verified. An error ends the run.
	Emit func(Sample) error
}

// Info describes a workload for the report.
type Info struct {
	Name, Title string
	About       string // what is done, measured and verified
}

// contest is a workload that is under way.
type contest interface {
	names() []string // of the participants
	// turn measures one participant.
	turn(ctx context.Context, participant, round int, emit func(Sample) error) error
	close() error
}

// workload is a contest that can be started. root is an empty directory of its own.
type workload struct {
	Info
	start func(cfg Config, root string) (contest, error)
}

func workloads() []workload {
	return []workload{
		commitWorkload(), arrivalWorkload(), transferWorkload(), hotkeyWorkload(), counterWorkload(),
		readWorkload(), loadWorkload(), ycsbWorkload(), importWorkload(), hopsWorkload(), insertWorkload(),
	}
}

// Workloads returns all workloads in the order in which they are run.
func Workloads() []Info {
	var list []Info
	for _, w := range workloads() {
		list = append(list, w.Info)
	}
	return list
}

func (c Config) selected() ([]workload, error) {
	all := workloads()
	if len(c.Only) == 0 {
		return all, nil
	}
	var list []workload
	var known []string
	for _, w := range all {
		known = append(known, w.Name)
		if slices.Contains(c.Only, w.Name) {
			list = append(list, w)
		}
	}
	for _, name := range c.Only {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("peers: there is no workload %s; there are %s", name, strings.Join(known, ", "))
		}
	}
	return list, nil
}

func (c Config) validate() error {
	var faults []error
	if c.Scale <= 0 || c.Scale > 100 {
		faults = append(faults, fmt.Errorf("peers: the scale is %v, want more than 0 and at most 100", c.Scale))
	}
	if c.Rounds < 1 {
		faults = append(faults, fmt.Errorf("peers: %d rounds, want at least 1", c.Rounds))
	}
	if len(c.Engines) == 0 {
		faults = append(faults, errors.New("peers: no engines"))
	}
	return errors.Join(faults...)
}

// Run measures.
func Run(ctx context.Context, cfg Config) (err error) {
	list, selectErr := cfg.selected()
	if err := errors.Join(cfg.validate(), selectErr); err != nil {
		return err
	}
	root, err := os.MkdirTemp(cfg.Dir, "sombra-peers-*")
	if err != nil {
		return fmt.Errorf("peers: make a scratch directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }() // S4
	r := &runner{cfg: cfg, root: root, answers: map[string]Sample{}, workloads: len(list)}
	for i, w := range list {
		if err := r.run(ctx, i, w); err != nil {
			return fmt.Errorf("peers: workload %s: %w", w.Name, err)
		}
	}
	return nil
}

type runner struct {
	cfg       Config
	root      string
	workloads int
	answers   map[string]Sample // S3
}

// run lets all participants of a workload have their turns.
func (r *runner) run(ctx context.Context, index int, w workload) (err error) {
	root, err := os.MkdirTemp(r.root, w.Name+"-*")
	if err != nil {
		return err
	}
	c, err := w.start(r.cfg, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(), os.RemoveAll(root)) }()
	names := c.names()
	for round := range r.cfg.Rounds {
		for k := range names {
			i := (k + round) % len(names)
			if r.cfg.Progress != nil {
				step := round*len(names) + k + 1
				r.cfg.Progress(step, r.cfg.Rounds*len(names),
					fmt.Sprintf("workload %d/%d %s: round %d, %s", index+1, r.workloads, w.Name, round+1, names[i]))
			}
			err := c.turn(ctx, i, round, func(s Sample) error {
				s.Workload, s.Engine, s.Round = w.Name, names[i], round
				return r.emit(s)
			})
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
		}
	}
	return nil
}

// emit compares answers (S3) and passes a sample on.
func (r *runner) emit(s Sample) error {
	if s.Answer != "" {
		place := fmt.Sprintf("%s/%s/%d", s.Workload, s.Case, s.Workers)
		first, seen := r.answers[place]
		if !seen {
			r.answers[place] = s
		} else if first.Answer != s.Answer {
			return fmt.Errorf("peers: %s answers %s, %s answered %s in %s", s.Engine, s.Answer, first.Engine, first.Answer, place)
		}
	}
	return r.cfg.Emit(s)
}

// Sizes at scale 1.
const (
	baseLength = 500 * time.Millisecond
	baseCache  = 256 << 20
	minCache   = 16 << 20
)

// size scales a number of records; at is the least.
func (c Config) size(n, least int) int { return max(int(float64(n)*c.Scale), least) }

// length is the time of one measurement, without the warm-up. It goes with the root of the scale, since less time shows
// more of chance.
func (c Config) length() time.Duration {
	return max(time.Duration(float64(baseLength)*math.Sqrt(c.Scale)), 10*time.Millisecond)
}

// cache is the size of each engine's cache. All data of a workload fit.
func (c Config) cache() int64 { return max(int64(float64(baseCache)*c.Scale), minCache) }

// settleProcess makes turns begin alike: what the last one left on the heap is collected.
func settleProcess() { runtime.GC() }
