package gen

import (
	"fmt"
	"math"
)

// Zipf draws ranks 0..n-1 of which rank k is about 1/(k+1)^theta as probable as rank 0, for theta in [0, 1); 0 is
// uniform. The method is from Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly generating
// billion-record synthetic databases" (SIGMOD 1994): the first two ranks are exact, the others follow a
// curve that is inverted. math/rand's Zipf is for exponents above 1.
// It is immutable and safe for concurrent use.
type Zipf struct {
	n, theta   float64
	zeta       float64 // sum of 1/k^theta for k = 1..n
	alpha, eta float64
}

// NewZipf makes a distribution. It takes time in proportion to n. REQUIRES: n >= 1, theta in [0, 1).
func NewZipf(n int64, theta float64) *Zipf {
	z := &Zipf{n: float64(n), theta: theta, zeta: zeta(n, theta), alpha: 1 / (1 - theta)}
	z.eta = (1 - math.Pow(2/z.n, 1-theta)) / (1 - zeta(2, theta)/z.zeta)
	return z
}

func zeta(n int64, theta float64) (sum float64) {
	for k := n; k > 0; k-- { // the small terms first, so that none is lost
		sum += math.Pow(float64(k), -theta)
	}
	return sum
}

// Rank maps u in [0, 1), uniform, to a rank.
func (z *Zipf) Rank(u float64) uint64 {
	uz := u * z.zeta
	switch {
	case uz < 1 || z.n == 1:
		return 0
	case uz < 1+math.Pow(2, -z.theta) || z.n == 2:
		return 1
	}
	return uint64(min(z.n*math.Pow(z.eta*u-z.eta+1, z.alpha), z.n-1))
}

// String names the distribution.
func (z *Zipf) String() string {
	if z.theta == 0 {
		return "uniform"
	}
	return fmt.Sprintf("zipf %.2f", z.theta)
}

// Unit maps a hash to a number in [0, 1).
func Unit(hash uint64) float64 { return float64(hash>>11) / (1 << 53) }

// Latest draws records of a set that grows, the newest most often (YCSB's "latest"): rank 0 is the record that came last.
type Latest struct{ popular *Zipf }

// LatestBy makes a distribution of the popularity of ranks. More records than these may come: all are drawn by the
// same curve.
func LatestBy(popular *Zipf) *Latest { return &Latest{popular} }

// Record maps u in [0, 1), uniform, to a record below count, of which count-1 is the newest. REQUIRES: count >= 1.
func (l *Latest) Record(u float64, count uint64) uint64 {
	return count - 1 - min(l.popular.Rank(u), count-1)
}
