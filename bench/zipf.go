package bench

import (
	"fmt"
	"math"
)

// zipf draws ranks 0..n-1 of which rank k is about 1/(k+1)^theta as probable as rank 0, for theta in [0, 1); 0 is
// uniform. The method is from Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly generating
// billion-record synthetic databases" (SIGMOD 1994): the first two ranks are exact, the others follow a
// curve that is inverted. math/rand's Zipf is for exponents above 1.
type zipf struct {
	n, theta   float64
	zeta       float64 // sum of 1/k^theta for k = 1..n
	alpha, eta float64
}

// newZipf takes time in proportion to n. REQUIRES: n >= 1, theta in [0, 1).
func newZipf(n int64, theta float64) *zipf {
	z := &zipf{n: float64(n), theta: theta, zeta: zeta(n, theta), alpha: 1 / (1 - theta)}
	z.eta = (1 - math.Pow(2/z.n, 1-theta)) / (1 - zeta(2, theta)/z.zeta)
	return z
}

func zeta(n int64, theta float64) (sum float64) {
	for k := n; k > 0; k-- { // the small terms first, so that none is lost
		sum += math.Pow(float64(k), -theta)
	}
	return sum
}

// rank maps u in [0, 1), uniform, to a rank.
func (z *zipf) rank(u float64) uint64 {
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
func (z *zipf) String() string {
	if z.theta == 0 {
		return "uniform"
	}
	return fmt.Sprintf("zipf %.2f", z.theta)
}

// unit maps a hash to a number in [0, 1).
func unit(hash uint64) float64 { return float64(hash>>11) / (1 << 53) }
