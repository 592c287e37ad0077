package fuzz

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// metaOptions are what must not change any answer: how the database is set up, and what happens to it between operations.
type metaOptions struct {
	page, budget, segment, maxlog int
	durability                    string        // full, interval, none, or mixed: another one for each transaction
	retain                        time.Duration // 1h: nothing of the past may be missing
	checkpoints, compactions      int           // one in so many operations is followed by one; 0: none
	quiet                         string        // what happens at quiet points, one of metaQuiets
	seed                          uint64        // of the choices that are left
}

// metaQuiets are the ways through a quiet point. All end the open transactions without effect.
var metaQuiets = []string{"nothing", "checkpoint", "restart", "crash", "any"}

var metaDurabilities = []string{"full", "interval", "none", "mixed"}

// plainMeta is the run that others are compared with: roomy, and nothing happens to it.
var plainMeta = metaOptions{
	page: mvcc.DefaultPageSize, budget: mvcc.DefaultMemoryBudget, segment: 8 << 20, durability: "full", retain: time.Hour, quiet: "nothing",
}

func drawMetaOptions(r *rand.Rand) metaOptions {
	pick := func(list ...int) int { return list[r.IntN(len(list))] }
	return metaOptions{
		page:        pick(4096, 4096, 8192, 16384, 65536),
		budget:      pick(mvcc.MinMemoryBudget, mvcc.MinMemoryBudget, 12<<20, 64<<20),
		segment:     pick(64<<10, 256<<10, 1<<20),
		maxlog:      pick(0, 1, 64<<10, 1<<20),
		durability:  metaDurabilities[r.IntN(len(metaDurabilities))],
		retain:      []time.Duration{time.Hour, time.Hour, 0, time.Millisecond, 50 * time.Millisecond}[r.IntN(5)],
		checkpoints: pick(0, 2, 7, 30),
		compactions: pick(0, 0, 40, 150),
		quiet:       metaQuiets[r.IntN(len(metaQuiets))],
		seed:        uint64(r.Uint32()),
	}
}

// strict reports whether the run may not say that something of the past is pruned.
func (o metaOptions) strict() bool { return o.retain >= time.Hour }

func (o metaOptions) String() string {
	return fmt.Sprintf("run page=%d budget=%d segment=%d maxlog=%d durability=%s retain=%v checkpoints=%d compactions=%d quiet=%s seed=%d",
		o.page, o.budget, o.segment, o.maxlog, o.durability, o.retain, o.checkpoints, o.compactions, o.quiet, o.seed)
}

// parseMetaOptions reads what String writes; what is left out is as in plainMeta.
func parseMetaOptions(line string) (metaOptions, error) {
	o := plainMeta
	for _, f := range strings.Fields(line)[1:] {
		name, text, _ := strings.Cut(f, "=")
		if err := o.set(name, text); err != nil {
			return o, fmt.Errorf("option %q: %w", f, err)
		}
	}
	return o, nil
}

func (o *metaOptions) set(name, text string) (err error) {
	numbers := map[string]*int{
		"page": &o.page, "budget": &o.budget, "segment": &o.segment, "maxlog": &o.maxlog,
		"checkpoints": &o.checkpoints, "compactions": &o.compactions,
	}
	if n := numbers[name]; n != nil {
		*n, err = strconv.Atoi(text)
		return err
	}
	words := map[string][]string{"durability": metaDurabilities, "quiet": metaQuiets}
	if list := words[name]; list != nil && !slices.Contains(list, text) {
		return fmt.Errorf("want one of %q", list)
	}
	switch name {
	case "durability":
		o.durability = text
	case "quiet":
		o.quiet = text
	case "retain":
		o.retain, err = time.ParseDuration(text)
	case "seed":
		o.seed, err = strconv.ParseUint(text, 10, 64)
	default:
		err = errors.New("there is no such option")
	}
	return err
}

// simpler returns the same options with each of those that differ from the plain run set as there, one at a time.
func (o metaOptions) simpler() (all []metaOptions) {
	try := func(s metaOptions) {
		if s != o {
			all = append(all, s)
		}
	}
	s := o
	s.page = plainMeta.page
	try(s)
	s = o
	s.budget = plainMeta.budget
	try(s)
	s = o
	s.segment, s.maxlog = plainMeta.segment, plainMeta.maxlog
	try(s)
	s = o
	s.durability = plainMeta.durability
	try(s)
	s = o
	s.retain = plainMeta.retain
	try(s)
	s = o
	s.checkpoints = 0
	try(s)
	s = o
	s.compactions = 0
	try(s)
	for _, quiet := range []string{"nothing", "checkpoint", "restart", "crash"} {
		if s = o; o.quiet == "any" || quiet == "nothing" {
			s.quiet = quiet
			try(s)
		}
	}
	return all
}

// database returns the options of the database.
func (o metaOptions) database(fs vfs.FS) *mvcc.Options {
	d := &mvcc.Options{
		FS: fs, MemoryBudget: int64(o.budget), PageSize: o.page, SegmentSize: int64(o.segment), MaxLogBytes: int64(o.maxlog),
		Retain: mvcc.Retention{Duration: o.retain}, AllowUnsafe: true,
	}
	switch o.durability {
	case "interval":
		d.Durability, d.SyncInterval = mvcc.Interval, time.Millisecond
	case "none":
		d.Durability = mvcc.None
	}
	return d
}

// transaction returns the durability of a transaction, nil for the database's.
func (o metaOptions) transaction(at string) *mvcc.Durability {
	if o.durability != "mixed" {
		return nil
	}
	d := mvcc.Durability(o.dice("durability", at) % 3)
	return &d
}

// dice decides something at an operation, which is named by its text and the number of its like before it. So a part of a
// sequence is treated as it was in the whole.
func (o metaOptions) dice(about, at string) uint64 {
	h := o.seed*0x9e3779b97f4a7c15 + 1
	for _, c := range []byte(about + at) {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// oneIn reports whether something that happens at one in so many operations happens at this one.
func (o metaOptions) oneIn(every int, about, at string) bool {
	return every > 0 && o.dice(about, at)%uint64(every) == 0
}
