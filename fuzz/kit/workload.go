package kit

import (
	"fmt"
	"math/rand/v2"
)

// Workload describes transactions to run against a store. It is a plain value;
// the same one gives the same transactions.
//
// Keys come and go: a window of Keys keys moves on by its own width in the course
// of Lifetime transactions of each process, so that lists stay short however long
// the test is.
type Workload struct {
	// Seed chooses among the workloads that are alike.
	Seed uint64
	// Processes that run side by side. Default 4.
	Processes int
	// FirstKey is the lowest key. An epoch of a long test that has keys of its own
	// can be checked by itself.
	FirstKey Key
	// Keys in use at a time. Default 8.
	Keys int
	// Zipf makes some keys more popular: the exponent of a power law, above 1.
	// 0 means that all are equally popular.
	Zipf float64
	// Lifetime is for how many transactions of each process a key is in use.
	// Default 100; negative means for ever.
	Lifetime int
	// MinOps and MaxOps bound the operations of a transaction. Default 1 and 6.
	MinOps, MaxOps int
	// Reads is the share of reads of one key, Ranges that of range reads; what is
	// left are appends. Default 0.4 and 0.1 if both are 0.
	Reads, Ranges float64
	// Held is the share of the reads of one key that hold what they read.
	Held float64
	// MaxRange is the number of keys in the widest range read. Default Keys.
	MaxRange int
	// Levels are chosen from evenly. Default Serializable.
	Levels []Level
}

func (w Workload) withDefaults() Workload {
	setDefault(&w.Processes, 4)
	setDefault(&w.Keys, 8)
	setDefault(&w.Lifetime, 100)
	setDefault(&w.MaxOps, max(6, w.MinOps))
	setDefault(&w.MinOps, 1)
	setDefault(&w.MaxRange, w.Keys)
	if w.Reads == 0 && w.Ranges == 0 {
		w.Reads, w.Ranges = 0.4, 0.1
	}
	if len(w.Levels) == 0 {
		w.Levels = []Level{Serializable}
	}
	return w
}

func setDefault(n *int, to int) {
	if *n == 0 {
		*n = to
	}
}

func (w Workload) validate(process int) error {
	complain := func(format string, args ...any) error {
		return &misuse{ErrWorkload, fmt.Sprintf(format, args...)}
	}
	switch {
	case w.Processes < 0 || w.Keys < 0 || w.MaxRange < 0:
		return complain("Processes is %d, Keys %d, MaxRange %d; none may be negative", w.Processes, w.Keys, w.MaxRange)
	case process < 0 || process >= w.Processes:
		return complain("process %d does not exist, there are %d", process, w.Processes)
	case w.MinOps < 0 || w.MaxOps < w.MinOps:
		return complain("MinOps is %d and MaxOps %d; they must be positive and in this order", w.MinOps, w.MaxOps)
	case !(w.Reads >= 0 && w.Ranges >= 0 && w.Reads+w.Ranges <= 1):
		return complain("Reads is %v and Ranges %v; they are shares and their sum is at most 1", w.Reads, w.Ranges)
	case !(w.Held >= 0 && w.Held <= 1):
		return complain("Held is %v; it is a share from 0 to 1", w.Held)
	case w.Zipf != 0 && !(w.Zipf > 1):
		return complain("Zipf is %v; it must be above 1, or 0", w.Zipf)
	}
	for _, l := range w.Levels {
		if !l.valid() {
			return complain("%v does not exist", l)
		}
	}
	return nil
}

// Program is a transaction to run: operations without what reads return.
type Program struct {
	Level Level
	Ops   []Op
}

// Generator makes the transactions of one process, without end. It is not safe
// for concurrent use.
type Generator struct {
	w       Workload
	process int
	random  *rand.Rand
	zipf    *rand.Zipf
	made    int
	values  int
	passed  uint64 // keys that the window has left behind
}

// Generator returns the transactions of a process, numbered from 0. It fails
// with an error that matches ErrWorkload when the workload is not valid.
func (w Workload) Generator(process int) (*Generator, error) {
	w = w.withDefaults()
	if err := w.validate(process); err != nil {
		return nil, err
	}
	g := &Generator{w: w, process: process}
	g.random = rand.New(rand.NewPCG(w.Seed, uint64(process)))
	if w.Zipf != 0 {
		g.zipf = rand.NewZipf(g.random, w.Zipf, 1, uint64(w.Keys-1))
	}
	return g, nil
}

// Next returns the next transaction. Its memory belongs to the caller.
//
// The window of keys moves with the transactions of this generator. Processes
// that are not equally fast lose each other that way: see NextAt.
func (g *Generator) Next() Program { return g.NextAt(g.made) }

// NextAt returns the next transaction, on the keys that are in use after a number
// of transactions of each process. A driver that counts the transactions of all
// its processes, and passes the count divided by Processes, keeps them together.
func (g *Generator) NextAt(txns int) Program {
	p := Program{Level: g.w.Levels[g.random.IntN(len(g.w.Levels))]}
	if g.w.Lifetime > 0 {
		g.passed = uint64(txns) * uint64(g.w.Keys) / uint64(g.w.Lifetime)
	}
	n := g.w.MinOps + g.random.IntN(g.w.MaxOps-g.w.MinOps+1)
	p.Ops = make([]Op, n)
	for i := range p.Ops {
		p.Ops[i] = g.op()
	}
	g.made++
	return p
}

func (g *Generator) op() Op {
	switch share := g.random.Float64(); {
	case share < g.w.Reads:
		return Op{Kind: OpRead, Held: g.random.Float64() < g.w.Held, Key: g.key()}
	case share < g.w.Reads+g.w.Ranges:
		return g.keyRange()
	}
	g.values++
	return Append(g.key(), Value((g.values-1)*g.w.Processes+g.process+1))
}

// first returns the lowest key of the window.
func (g *Generator) first() Key { return g.w.FirstKey + Key(g.passed) }

// key chooses a key. Popular ones stay so as long as they are in use: popularity
// belongs to the remainder of a key. They are spread by a stride that has no
// factor in common with the number of keys.
func (g *Generator) key() Key {
	n := uint64(g.w.Keys)
	if g.zipf == nil {
		return g.first() + Key(g.random.Uint64N(n))
	}
	remainder := g.zipf.Uint64() * stride(g.w.Keys) % n
	return g.first() + Key((remainder+n-g.passed%n)%n)
}

func stride(n int) uint64 {
	s := uint64(n)*5/8 + 1
	for gcd(s, uint64(n)) != 1 {
		s++
	}
	return s
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (g *Generator) keyRange() Op {
	width := 1 + g.random.IntN(min(g.w.MaxRange, g.w.Keys))
	from := g.first() + Key(g.random.IntN(g.w.Keys-width+1))
	return Op{Kind: OpReadRange, Key: from, End: from + Key(width)}
}
