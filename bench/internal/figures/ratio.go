package figures

// Ratio divides the throughput of one figure by that of another: the median of the ratios within rounds, without samples
// that say nothing ([Sample.Enough]). ok is false if none is left.
func Ratio(a, b *Figure) (r Spread, ok bool) {
	var values []float64
	for _, s := range a.Samples {
		for _, t := range b.Samples {
			if s.Round == t.Round && s.Enough() && t.Enough() {
				values = append(values, s.PerSecond/t.PerSecond)
			}
		}
	}
	return SpreadOf(values), len(values) > 0
}

// RatioTo divides each round's throughput by a rate that was measured in another run, or is aimed at.
func RatioTo(a *Figure, rate float64) (r Spread, ok bool) {
	var values []float64
	for _, s := range a.Samples {
		if s.Enough() && rate > 0 {
			values = append(values, s.PerSecond/rate)
		}
	}
	return SpreadOf(values), len(values) > 0
}
