package mvcc

import (
	"math"
	"math/bits"
)

// keyPrefix is the first 16 bytes of a key as one number, see replayItem.
type keyPrefix struct{ high, low uint64 }

func (p keyPrefix) less(q keyPrefix) bool {
	return p.high < q.high || p.high == q.high && p.low < q.low
}

// minus returns p - q, which wraps around below 0; then below is not 0.
func (p keyPrefix) minus(q keyPrefix) (d keyPrefix, below uint64) {
	d.low, below = bits.Sub64(p.low, q.low, 0)
	d.high, below = bits.Sub64(p.high, q.high, below)
	return d, below
}

func (p keyPrefix) plus(q keyPrefix) (sum keyPrefix) {
	var carry uint64
	sum.low, carry = bits.Add64(p.low, q.low, 0)
	sum.high, _ = bits.Add64(p.high, q.high, carry)
	return sum
}

func (p keyPrefix) shiftedLeft(n int) keyPrefix {
	if n >= 64 {
		return keyPrefix{p.low << (n - 64), 0}
	}
	return keyPrefix{p.high<<n | p.low>>(64-n), p.low << n}
}

// shiftedRight returns p >> n, or the greatest number if that is more than 64 bits.
func (p keyPrefix) shiftedRight(n int) uint64 {
	if n >= 64 {
		return p.high >> (n - 64)
	}
	if p.high>>n != 0 {
		return math.MaxUint64
	}
	return p.high<<(64-n) | p.low>>n
}

// bits returns how many bits the number has.
func (p keyPrefix) bits() int {
	if p.high != 0 {
		return 64 + bits.Len64(p.high)
	}
	return bits.Len64(p.low)
}

// prefixRange is from the least to the greatest prefix of some items.
type prefixRange struct{ least, most keyPrefix }

// rangeOf returns the range of items. REQUIRES: there is one.
func rangeOf(items []replayItem) prefixRange {
	first := keyPrefix{items[0].high, items[0].low}
	r := prefixRange{first, first}
	for i := range items {
		p := keyPrefix{items[i].high, items[i].low}
		if p.less(r.least) {
			r.least = p
		}
		if r.most.less(p) {
			r.most = p
		}
	}
	return r
}

func (r *prefixRange) join(q prefixRange) {
	if q.least.less(r.least) {
		r.least = q.least
	}
	if r.most.less(q.most) {
		r.most = q.most
	}
}

// digits is how many values the digit of one step of the sort has at most.
const (
	digitBits = 12
	digits    = 1 << digitBits
)

// digit cuts the keys into equal ranges: digit 0 is what lies below base, 1 the keys less than 1<<shift above it, and so
// on; the last one is all above.
type digit struct {
	base   keyPrefix
	shift  int
	values int
}

// digitOf returns the digit that has about so many values, a power of two from 4 on, for the prefixes in a range.
func digitOf(r prefixRange, values int) digit {
	width, _ := r.most.minus(r.least)
	d := digit{base: r.least, shift: max(width.bits()-bits.Len(uint(values))+1, 0), values: values}
	if width.shiftedRight(d.shift) > uint64(values-3) {
		d.shift++
	}
	return d
}

func (d *digit) of(x *replayItem) int {
	above, below := keyPrefix{x.high, x.low}.minus(d.base)
	if below != 0 {
		return 0
	}
	return 1 + int(min(above.shiftedRight(d.shift), uint64(d.values-2)))
}

// narrow makes the digit one of the prefixes that have value i now. It reports false if these are all the same.
func (d *digit) narrow(i int) bool {
	if i == 0 || i == d.values-1 || d.shift == 0 {
		return false
	}
	least := d.base.plus(keyPrefix{0, uint64(i - 1)}.shiftedLeft(d.shift))
	width, _ := keyPrefix{0, 1}.shiftedLeft(d.shift).minus(keyPrefix{0, 1})
	*d = digitOf(prefixRange{least, least.plus(width)}, d.values)
	return true
}
