package kit

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// explains reports whether some order of the events of all transactions explains
// what a history shows. It tries all orders, with the definitions of the package
// comment, and knows nothing of graphs. Transactions are committed or aborted.
func explains(h History, opts Options) bool {
	b := &bruteForce{opts: opts, lists: map[Key][]Value{}, borders: map[Key][]int{}, failed: map[string]bool{}}
	for i, txn := range h.Txns {
		b.all = append(b.all, txn)
		if txn.Status != Committed {
			continue
		}
		p := &bruteTxn{number: i, txn: txn, seen: map[Key]int{}}
		if !p.split() {
			return false
		}
		b.txns = append(b.txns, p)
	}
	return b.search()
}

type bruteForce struct {
	opts    Options
	all     []Txn
	txns    []*bruteTxn
	lists   map[Key][]Value
	borders map[Key][]int   // lengths at which a version ends
	failed  map[string]bool // states from which nothing led to the end
}

// state describes all that matters for what may happen next.
func (b *bruteForce) state() string {
	text := fmt.Sprint(b.lists)
	for _, p := range b.txns {
		text += fmt.Sprint(p.events, p.seen)
	}
	return text
}

type bruteTxn struct {
	number int
	txn    Txn
	reads  [][]bruteRead // by read operation, without own appends
	events int           // how many have happened
	seen   map[Key]int   // lengths that must not change before the commit
}

type bruteRead struct {
	key  Key
	base []Value
	held bool
}

// split separates what the transaction did from what others did.
func (p *bruteTxn) split() bool {
	own := map[Key][]Value{}
	for _, o := range p.txn.Ops {
		switch o.Kind {
		case OpAppend:
			own[o.Key] = append(own[o.Key], o.Value)
			continue
		case OpRead:
			o.Rows, o.End = []Row{{o.Key, o.List}}, o.Key+1
		}
		var reads []bruteRead
		for key := o.Key; key < o.End; key++ {
			var list []Value
			for _, r := range o.Rows {
				if r.Key == key {
					list = r.List
				}
			}
			n := len(list) - len(own[key])
			if n < 0 || !slices.Equal(list[n:], own[key]) {
				return false
			}
			reads = append(reads, bruteRead{key, list[:n], o.Held})
		}
		p.reads = append(p.reads, reads)
	}
	return true
}

// total is the number of events of a transaction.
func (p *bruteTxn) total() int {
	switch p.txn.Level {
	case MonotonicView:
		return len(p.reads) + 1
	case Snapshot:
		return 2
	}
	return 1
}

func (b *bruteForce) search() bool {
	state, finished := b.state(), true
	if b.failed[state] {
		return false
	}
	for _, p := range b.txns {
		if p.events == p.total() {
			continue
		}
		finished = false
		if !b.mayRun(p) {
			continue
		}
		lists, borders, seen := maps.Clone(b.lists), maps.Clone(b.borders), maps.Clone(p.seen)
		p.events++
		if b.happen(p) && b.search() {
			return true
		}
		p.events--
		b.lists, b.borders, p.seen = lists, borders, seen
	}
	b.failed[state] = !finished
	return finished
}

// mayRun reports whether all that must be complete before is complete.
func (b *bruteForce) mayRun(p *bruteTxn) bool {
	for _, q := range b.txns {
		if q == p || q.events == q.total() {
			continue
		}
		strict := q.txn.Level == StrictSerializable && p.txn.Level == StrictSerializable
		if (b.opts.RealTime || strict) && q.txn.Completed < p.txn.Invoked {
			return false
		}
		if b.opts.Sessions && q.txn.Process == p.txn.Process && q.number < p.number {
			return false
		}
	}
	return true
}

// happen lets the next event of a transaction take place, if it may.
func (b *bruteForce) happen(p *bruteTxn) bool {
	last := p.events == p.total()
	switch level := p.txn.Level; {
	case level == MonotonicView && !last:
		return b.see(p, p.reads[p.events-1])
	case level == Snapshot && !last:
		for _, reads := range p.reads {
			if !b.see(p, reads) {
				return false
			}
		}
		for _, o := range p.txn.Ops {
			if o.Kind == OpAppend {
				p.seen[o.Key] = len(b.lists[o.Key])
			}
		}
		return true
	case level >= Serializable:
		for _, reads := range p.reads {
			if !b.see(p, reads) {
				return false
			}
		}
	case level == ReadCommitted && !b.past(p):
		return false
	}
	return b.commit(p)
}

// see compares reads with the present state.
func (b *bruteForce) see(p *bruteTxn, reads []bruteRead) bool {
	for _, r := range reads {
		if !slices.Equal(r.base, b.lists[r.key]) {
			return false
		}
		if _, held := p.seen[r.key]; r.held && !held {
			p.seen[r.key] = len(r.base)
		}
	}
	return true
}

// past compares reads with all states that a key has had.
func (b *bruteForce) past(p *bruteTxn) bool {
	for _, reads := range p.reads {
		for _, r := range reads {
			now := b.lists[r.key]
			n := len(r.base)
			if n > len(now) || !slices.Equal(r.base, now[:n]) || n > 0 && !slices.Contains(b.borders[r.key], n) || r.held && n < len(now) {
				return false
			}
		}
	}
	return true
}

func (b *bruteForce) commit(p *bruteTxn) bool {
	for key, n := range p.seen {
		if len(b.lists[key]) != n {
			return false
		}
	}
	touched := map[Key]bool{}
	for _, o := range p.txn.Ops {
		if o.Kind == OpAppend {
			b.lists[o.Key] = append(slices.Clone(b.lists[o.Key]), o.Value)
			touched[o.Key] = true
		}
	}
	for key := range touched {
		b.borders[key] = append(slices.Clone(b.borders[key]), len(b.lists[key]))
	}
	return true
}

var everyFlaw = []flaw{sound, sound, noFirstUpdater, noReadValidation, noRangeValidation, earlyPublish, shortcutBeforeConflict, staleSnapshot, leakingAbort, lostCommit, lateReads}

// smallHistory makes a history of few transactions from a store that may be
// flawed, and then damages some of what was read.
func smallHistory(t *rapid.T) (History, *rand.Rand) {
	w := Workload{
		Seed:      rapid.Uint64().Draw(t, "seed"),
		Processes: rapid.IntRange(2, 4).Draw(t, "processes"),
		Keys:      rapid.IntRange(1, 3).Draw(t, "keys"),
		Lifetime:  -1, MaxOps: 4, Ranges: 0.2, Reads: 0.4,
		Held:   rapid.SampledFrom([]float64{0, 0.4}).Draw(t, "held"),
		Levels: rapid.SliceOfNDistinct(rapid.SampledFrom(everyLevel), 1, 5, rapid.ID).Draw(t, "levels"),
	}
	h := simulate(t, rapid.SampledFrom(everyFlaw).Draw(t, "flaw"), w, rapid.IntRange(2, 6).Draw(t, "transactions"))
	random := rand.New(rand.NewPCG(w.Seed, 7))
	for i := range h.Txns {
		txn := &h.Txns[i]
		if txn.Status == Unknown {
			txn.Status = Status(1 + random.IntN(2))
		}
		if txn.Completed == 0 {
			txn.Completed = 1 << 20
		}
		for n := range txn.Ops {
			damage(&txn.Ops[n], random)
		}
	}
	return h, random
}

// damage makes one of some reads older.
func damage(o *Op, random *rand.Rand) {
	if len(o.List) > 0 && random.IntN(20) == 0 {
		o.List = o.List[:random.IntN(len(o.List))]
	}
	if len(o.Rows) > 0 && random.IntN(20) == 0 {
		o.Rows = o.Rows[1:]
	}
}

// readAll appends a transaction that reads all keys: what was read before, and
// behind it what was not, in some order.
func readAll(h History, random *rand.Rand) History {
	longest, missing := map[Key][]Value{}, map[Key][][]Value{}
	for key := range Key(8) {
		for _, txn := range h.Txns {
			for _, list := range readsAt(txn, key) {
				if len(list) > len(longest[key]) && txn.Status == Committed {
					longest[key] = list
				}
			}
		}
		for _, txn := range h.Txns {
			own := slices.DeleteFunc(appendsTo(txn, key), func(v Value) bool { return slices.Contains(longest[key], v) })
			if txn.Status == Committed && len(own) > 0 {
				missing[key] = append(missing[key], own)
			}
		}
	}
	last := Txn{Process: 99, Level: ReadCommitted, Status: Committed, Invoked: 1 << 21, Completed: 1 << 22}
	for key := range Key(8) {
		list := slices.Clone(longest[key])
		random.Shuffle(len(missing[key]), func(i, j int) {
			missing[key][i], missing[key][j] = missing[key][j], missing[key][i]
		})
		for _, own := range missing[key] {
			list = append(list, own...)
		}
		last.Ops = append(last.Ops, Read(key, list...))
	}
	return History{Txns: append(slices.Clone(h.Txns), last)}
}

// histories is how many small histories one run of a property makes.
const histories = 40

func drawOptions(t *rapid.T) Options {
	return Options{Sessions: rapid.Bool().Draw(t, "sessions"), RealTime: rapid.Bool().Draw(t, "time")}
}

// K3: with all appends read, there is an anomaly if and only if no order of
// events explains the history.
func TestCheckAgreesWithTryingAllOrders(t *testing.T) {
	legal, illegal := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range histories {
			h, random := smallHistory(t)
			h = readAll(h, random)
			opts := drawOptions(t)
			r := Check(h, opts)
			verifyReport(t, h, r)
			want := explains(h, opts)
			if r.OK() != want {
				t.Fatalf("an order explains the history: %v; the report says:\n%v%s", want, r, dump(h))
			}
			if want {
				legal++
			} else {
				illegal++
			}
		}
	})
	t.Logf("%d legal and %d illegal histories", legal, illegal)
	if min(legal, illegal) < 50 {
		t.Error("too few of one kind to say anything")
	}
}

// K2: what is reported is never explained by any order, also when appends were
// not read.
func TestNothingLegalIsReported(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range histories {
			h, _ := smallHistory(t)
			opts := drawOptions(t)
			if r := Check(h, opts); !r.OK() && explains(h, opts) {
				t.Fatalf("an order explains this history:\n%v%s", r, dump(h))
			}
		}
	})
}

func dump(h History) (text string) {
	for i, txn := range h.Txns {
		text += txnName(i) + ": " + txn.String() + "\n"
	}
	return text
}
