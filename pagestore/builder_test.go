package pagestore

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The sum that is kept while items come is that of a count from the start, and leaves are cut where a search for the
// cut would.
func TestLeavesAreCutWhereASearchWouldCutThem(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for range 200 {
		b := &builder{}
		key := make([]byte, 4, 64)
		for range 100 {
			i := r.IntN(4)
			key = append(key[:i], byte(r.IntN(256)))
			key = append(key, make([]byte, 3+r.IntN(20))...)
			b.add(nil, key, make([]byte, r.IntN(200)), nil, item{ts: uint64(r.IntN(3) * 1000), count: 1})
			wantSum(t, "all", b.sum, b.sumOf(len(b.items)))
			limit := 256 + 2048*r.IntN(3) // more waits when nodes are not filled completely
			if r.IntN(3) > 0 {
				limit = 1 << 13
			}
			for b.sum.size() > limit && len(b.items) > 1 {
				s := b.fitLeaf(limit)
				wantSum(t, "what fits", s, b.fit(limit))
				wantSum(t, "the first", s, b.sumOf(s.n))
				b.drop(s.n)
			}
			if r.IntN(20) == 0 && len(b.items) > 1 {
				b.pop()
				wantSum(t, "all but the last", b.sum, b.sumOf(len(b.items)))
			}
		}
	}
}

func wantSum(t *testing.T, what string, got, want nodeSum) {
	t.Helper()
	if got != want {
		t.Fatalf("the sum of %s is %+v, want %+v", what, got, want)
	}
}

func TestSharedPrefixIsTheLongest(t *testing.T) {
	for n := range 40 {
		for differ := range n + 1 {
			a, b := bytes.Repeat([]byte{'x'}, n), bytes.Repeat([]byte{'x'}, n)
			want := n
			if differ < n {
				want, b[differ] = differ, 'y'
			}
			longer := append(bytes.Clone(b), 'z')
			for _, pair := range [][2][]byte{{a, b}, {a, longer}, {longer, a}} {
				if got := sharedPrefix(pair[0], pair[1]); got != want {
					t.Fatalf("%q and %q share %d bytes, want %d", pair[0], pair[1], got, want)
				}
			}
		}
	}
}
