package hugepage_test

import (
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/hugepage"
)

type pair struct {
	p *int
	n uint64
}

func TestMakeReturnsZeroValuesOfEverySize(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 4<<20/16 - 1, 4 << 20 / 16, 4<<20/16 + 1, 1<<20 + 12345} {
		s := hugepage.Make[pair](n)
		if len(s) != n || cap(s) != n {
			t.Fatalf("Make(%d) has length %d and capacity %d", n, len(s), cap(s))
		}
		if slices.ContainsFunc(s, func(p pair) bool { return p.p != nil || p.n != 0 }) {
			t.Fatalf("Make(%d) has values that are not zero", n)
		}
	}
}

func TestMakeOfTypesWithoutSize(t *testing.T) {
	if s := hugepage.Make[struct{}](1 << 30); len(s) != 1<<30 {
		t.Fatalf("length %d", len(s))
	}
}

// BenchmarkTouch writes to fresh memory once, which is mostly page faults.
func BenchmarkTouch(b *testing.B) {
	const size = 64 << 20
	for name, alloc := range map[string]func() []byte{
		"make": func() []byte { return make([]byte, size) }, "Make": func() []byte { return hugepage.Make[byte](size) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			var kept [][]byte // or the collector would give the same memory again
			for b.Loop() {
				s := alloc()
				for i := 0; i < size; i += 4096 {
					s[i] = 1
				}
				if kept = append(kept, s); len(kept) == 16 {
					kept = nil
				}
			}
		})
	}
}
