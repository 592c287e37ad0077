package gen

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// shares returns the share of each rank, for draws that are spread evenly.
func shares(z *Zipf, draws int) []float64 {
	counts := make([]float64, int(z.n))
	for i := range draws {
		counts[z.Rank((float64(i)+0.5)/float64(draws))] += 1 / float64(draws)
	}
	return counts
}

func TestZipfGivesEachRankItsShare(t *testing.T) {
	for _, theta := range []float64{0, 0.5, 0.9, 0.99} {
		const n = 1000
		got := shares(NewZipf(n, theta), 1_000_000)
		total := zeta(n, theta)
		var cumulated, want float64
		for k, share := range got {
			exact := math.Pow(float64(k+1), -theta) / total
			cumulated += share
			want += exact
			if k < 2 && math.Abs(share-exact) > 1e-5 {
				t.Errorf("theta %v: rank %d has %.5f, want %.5f", theta, k, share, exact)
			}
			// The curve is close to the law, not on it.
			if math.Abs(cumulated-want) > 0.02 {
				t.Fatalf("theta %v: the first %d ranks have %.4f, want %.4f", theta, k+1, cumulated, want)
			}
		}
	}
}

func TestZipfOfZeroIsUniform(t *testing.T) {
	for k, share := range shares(NewZipf(100, 0), 100_000) {
		if math.Abs(share-0.01) > 1e-4 {
			t.Errorf("rank %d has %.5f, want 0.01", k, share)
		}
	}
}

func TestZipfPrefersLowRanksAsDrawsFromHashesToo(t *testing.T) {
	const n, draws = 100_000, 200_000
	z := NewZipf(n, 0.99)
	var first, tenth float64
	for i := range uint64(draws) {
		switch r := z.Rank(Unit(Mix(i))); {
		case r == 0:
			first++
		case r == 9:
			tenth++
		}
	}
	if want := draws / z.zeta; math.Abs(first-want) > want/20 {
		t.Errorf("rank 0 was drawn %v times, want about %.0f", first, want)
	}
	if want := draws / z.zeta / math.Pow(10, 0.99); math.Abs(tenth-want) > want/4 {
		t.Errorf("rank 9 was drawn %v times, want about %.0f", tenth, want)
	}
}

func TestZipfStaysInItsRangeAndGrowsWithItsDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 5000).Draw(t, "n")
		z := NewZipf(n, rapid.Float64Range(0, 0.999).Draw(t, "theta"))
		const last = 1 - 1.0/(1<<53)
		u := rapid.Float64Range(0, last).Draw(t, "u")
		v := rapid.Float64Range(u, last).Draw(t, "v")
		if a, b := z.Rank(u), z.Rank(v); a > b || b >= uint64(n) {
			t.Fatalf("draws %v and %v gave ranks %d and %d of %d", u, v, a, b, n)
		}
		if z.Rank(0) != 0 || z.Rank(last) >= uint64(n) {
			t.Fatalf("the ends gave ranks %d and %d of %d", z.Rank(0), z.Rank(last), n)
		}
	})
}

func TestLatestPrefersTheNewestRecordAndFollowsGrowth(t *testing.T) {
	const n, draws = 1000, 100_000
	l := LatestBy(NewZipf(n, 0.99))
	for _, count := range []uint64{1, n / 2, n, 5 * n} {
		var newest, second float64
		for i := range uint64(draws) {
			r := l.Record(Unit(Mix(i)), count)
			if r >= count {
				t.Fatalf("record %d of %d was drawn", r, count)
			}
			switch count - 1 - r {
			case 0:
				newest++
			case 1:
				second++
			}
		}
		want := draws / zeta(n, 0.99)
		if count == 1 {
			want = draws
		}
		if math.Abs(newest-want) > want/20 || second >= newest {
			t.Errorf("of %d records the newest was drawn %v times and the one before it %v times, want about %.0f", count, newest, second, want)
		}
	}
}
