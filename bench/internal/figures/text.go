package figures

import "fmt"

// Count renders a number with its thousands apart: 12,345.
func Count[T ~int | ~int64](n T) string {
	switch {
	case n < 0:
		return "-" + Count(-n)
	case n < 1000:
		return fmt.Sprint(int64(n))
	}
	return Count(n/1000) + fmt.Sprintf(",%03d", int64(n)%1000)
}

// Bytes renders a size for a person: 12.3 MiB.
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for ; v >= 1024 && unit < 3; unit++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGT"[unit])
}

// Number renders a rate or ratio with as many digits as mean something.
func Number(v float64) string {
	switch {
	case v >= 100:
		return Count(int64(v + 0.5))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// String renders a spread: the median, and the range if there is one.
func (s Spread) String() string {
	if s.Min == s.Max {
		return Number(s.Median)
	}
	return fmt.Sprintf("%s (%s-%s)", Number(s.Median), Number(s.Min), Number(s.Max))
}
