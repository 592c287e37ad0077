package fuzz

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// metaOp is one operation of a sequence. Its text is the verb and its arguments, "put txn=1 ks=0 key=17 size=100 seed=5".
type metaOp struct {
	verb *metaVerb
	args []int // in the order of the verb's
}

// metaVerb is a kind of operation. Whatever an operation refers to need not be there: then it does nothing and says so. So
// any part of a sequence is a sequence.
type metaVerb struct {
	name   string
	args   []string
	weight int // in drawn sequences
	do     func(m *metaRun, a metaArgs) string
}

// metaArgs are the arguments of an operation by name.
type metaArgs map[string]int

// metaWords are the arguments that are written as words.
var metaWords = map[string][]string{
	"level": {"readcommitted", "snapshot", "serializable"},
	"mode":  {"write", "read"},
	"skip":  {"refuse", "skip"},
	"order": {"ascending", "descending", "shuffled"},
}

// Slots of a sequence.
const (
	metaTxns      = 5
	metaSlots     = 3 // savepoints, and cursors, of each transaction
	metaSpaces    = 6 // keyspaces; from metaLoaded on they come into being by a load
	metaLoaded    = 3
	metaKeys      = 30
	metaFillFrom  = 1000 // keys from here on are those of fills
	metaFillKeys  = 600
	metaPastDepth = 30
)

var (
	metaSizes     = []int{0, 1, 8, 20, 100, 100, 100, 1000, 2500, 20_000, 100_000}
	metaFillSizes = []int{20, 200, 2500, 5000}
)

// metaDrawer draws sequences. It knows roughly which transactions are open, so that most operations meet one.
type metaDrawer struct {
	*rand.Rand
	open [metaTxns]bool
	last int // the transaction of the operation before, which often goes on
}

func (r *metaDrawer) txn(verb string) int {
	n := r.IntN(metaTxns)
	if r.IntN(5) < 2 {
		n = r.last
	}
	for range 3 {
		if begins := strings.HasPrefix(verb, "begin"); r.open[n] != begins {
			break
		}
		n = r.IntN(metaTxns)
	}
	switch verb {
	case "begin", "beginpast":
		r.open[n] = true
	case "commit", "rollback":
		r.open[n] = false
	}
	r.last = n
	return n
}

// arg draws an argument by its name.
func (r *metaDrawer) arg(verb, name string) int {
	switch name {
	case "txn":
		return r.txn(verb)
	case "slot":
		return r.IntN(metaSlots)
	case "ks":
		if verb == "add" && r.IntN(8) > 0 {
			return 2
		}
		return []int{0, 0, 0, 0, 1, 1, 2, 3, 4, 5}[r.IntN(10)]
	case "space":
		return metaLoaded + r.IntN(metaSpaces-metaLoaded)
	case "key", "lo", "hi":
		return r.key(name)
	case "size":
		if verb == "fill" || verb == "load" {
			return metaFillSizes[r.IntN(len(metaFillSizes))]
		}
		return metaSizes[r.IntN(len(metaSizes))]
	case "from":
		return metaFillFrom + r.IntN(metaFillKeys)
	case "count":
		return []int{1, 20, 300, 300}[r.IntN(4)]
	case "delta":
		return r.IntN(200) - 100
	case "limit":
		return []int{1, 2, 5, 20, 1000}[r.IntN(5)]
	case "back":
		return r.IntN(metaPastDepth)
	case "seed":
		return r.IntN(1000)
	}
	if words, ok := metaWords[name]; ok {
		if name == "mode" && r.IntN(5) > 0 {
			return 0
		}
		return r.IntN(len(words))
	}
	panic("no argument " + name)
}

func (r *metaDrawer) key(name string) int {
	switch {
	case name == "hi" && r.IntN(3) == 0:
		return -1
	case name != "key" && r.IntN(3) == 0, r.IntN(10) == 0:
		return metaFillFrom + r.IntN(metaFillKeys+100)
	case r.IntN(2) == 0:
		return r.IntN(4) // so that transactions meet
	}
	return r.IntN(metaKeys)
}

// drawMetaOps draws a sequence.
func drawMetaOps(source *rand.Rand, n int) []metaOp {
	r := &metaDrawer{Rand: source}
	total := 0
	for _, v := range metaVerbs {
		total += v.weight
	}
	ops := make([]metaOp, n)
	for i := range ops {
		at := r.IntN(total)
		for _, v := range metaVerbs {
			if at -= v.weight; at < 0 {
				ops[i].verb = v
				break
			}
		}
		for _, name := range ops[i].verb.args {
			ops[i].args = append(ops[i].args, r.arg(ops[i].verb.name, name))
		}
		if ops[i].verb.name == "quiet" {
			r.open = [metaTxns]bool{}
		}
	}
	return ops
}

func (o metaOp) named() metaArgs {
	a := metaArgs{}
	for i, name := range o.verb.args {
		a[name] = o.args[i]
	}
	return a
}

func (o metaOp) String() string {
	parts := []string{o.verb.name}
	for i, name := range o.verb.args {
		if words := metaWords[name]; words != nil {
			parts = append(parts, name+"="+words[o.args[i]])
			continue
		}
		parts = append(parts, fmt.Sprintf("%s=%d", name, o.args[i]))
	}
	return strings.Join(parts, " ")
}

// parseMetaOp reads what String writes.
func parseMetaOp(line string) (o metaOp, err error) {
	f := strings.Fields(line)
	i := slices.IndexFunc(metaVerbs, func(v *metaVerb) bool { return v.name == f[0] })
	if i < 0 {
		return o, fmt.Errorf("there is no operation %q", f[0])
	}
	o.verb = metaVerbs[i]
	if len(f)-1 != len(o.verb.args) {
		return o, fmt.Errorf("%q has %d arguments, want %v", line, len(f)-1, o.verb.args)
	}
	for i, name := range o.verb.args {
		text, ok := strings.CutPrefix(f[1+i], name+"=")
		if !ok {
			return o, fmt.Errorf("%q: argument %d is %q, want %s", line, i, f[1+i], name)
		}
		n := 0
		if words := metaWords[name]; words != nil {
			if n = slices.Index(words, text); n < 0 {
				return o, fmt.Errorf("%q: %q is none of %q", line, text, words)
			}
		} else if n, err = strconv.Atoi(text); err != nil {
			return o, fmt.Errorf("%q: %w", line, err)
		} else if err := metaInRange(name, n); err != nil {
			return o, fmt.Errorf("%q: %w", line, err)
		}
		o.args = append(o.args, n)
	}
	return o, nil
}

func metaInRange(name string, n int) error {
	limits := map[string][2]int{
		"txn": {0, metaTxns - 1}, "slot": {0, metaSlots - 1}, "ks": {0, metaSpaces - 1}, "space": {metaLoaded, metaSpaces - 1},
		"key": {0, 1 << 20}, "lo": {0, 1 << 20}, "hi": {-1, 1 << 20}, "size": {0, 1 << 24}, "count": {0, 1 << 16}, "from": {0, 1 << 20},
	}
	if l, ok := limits[name]; ok && (n < l[0] || n > l[1]) {
		return fmt.Errorf("%s is %d, want %d to %d", name, n, l[0], l[1])
	}
	return nil
}

// metaCase is a sequence and the ways to run it: what the text of a failure holds.
type metaCase struct {
	runs []metaOptions
	ops  []metaOp
}

func (c metaCase) String() string {
	var b strings.Builder
	for _, o := range c.runs {
		fmt.Fprintln(&b, o)
	}
	for _, o := range c.ops {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

// parseMetaCase reads what String writes. Lines that are empty or begin with # do not count.
func parseMetaCase(text string) (c metaCase, err error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line+" ", "run ") {
			var o metaOptions
			if o, err = parseMetaOptions(line); err == nil {
				c.runs = append(c.runs, o)
			}
		} else {
			var o metaOp
			if o, err = parseMetaOp(line); err == nil {
				c.ops = append(c.ops, o)
			}
		}
		if err != nil {
			return c, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return c, lines.Err()
}
