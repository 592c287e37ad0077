package kit

import (
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// Keys generates keys of which few are alike and many are neighbours: the empty key, keys that are the beginning of each
// other, zeros and 0xff bytes at the end, and long ones that share a beginning.
func Keys() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "a\x00", "a\x00\x00", "ab", "b", "\x00", "\xff", "\xff\xff", "a\xff"}),
		rapid.StringMatching(`[a-c]{1,3}`),
		rapid.Map(rapid.IntRange(0, 99), func(n int) string { return "row" + string([]byte{byte('0' + n/10), byte('0' + n%10)}) }),
		rapid.Map(rapid.IntRange(200, 400), func(n int) string { return strings.Repeat("long", n) }),
	)
}

// Values generates values: empty ones, short ones, and ones around the sizes at which pages and values overflow, up to
// 100,000 bytes.
func Values() *rapid.Generator[string] {
	sizes := rapid.OneOf(
		rapid.IntRange(0, 20), rapid.SampledFrom([]int{100, 1000, 1023, 1024, 1025, 2047, 2049, 4095, 4097, 8191, 8193, 20_000, 100_000}),
	)
	return rapid.Custom(func(t *rapid.T) string {
		letter := rapid.StringMatching(`[a-z]`).Draw(t, "letter")
		return strings.Repeat(letter, sizes.Draw(t, "size"))
	})
}

// Interleavings generates the steps of transactions that run at the same time: up to txns of them are open at once, at
// levels drawn from levels, or from MonotonicView, Snapshot and Serializable when there are none. There are up to steps
// of them. What fails becomes smaller step by step.
func Interleavings(txns, steps int, levels ...Level) *rapid.Generator[[]Step] {
	if len(levels) == 0 {
		levels = []Level{MonotonicView, Snapshot, Serializable}
	}
	keys, values := Keys(), Values()
	hot := rapid.SampledFrom([]string{"x", "y", "z"}) // so that transactions meet
	key := rapid.OneOf(hot, hot, keys)
	kinds := evenly([]StepKind{
		0, // none: what a step shrinks to
		StepBegin, StepBegin, StepGet, StepGet, StepScan, StepPut, StepPut, StepPut, StepDelete, StepCommit, StepCommit, StepRollback,
	})
	step := rapid.Custom(func(t *rapid.T) Step {
		s := Step{Txn: rapid.IntRange(0, txns-1).Draw(t, "txn"), Kind: kinds.Draw(t, "kind")}
		switch s.Kind {
		case StepBegin:
			s.Level = rapid.SampledFrom(levels).Draw(t, "level")
		case StepPut:
			s.Key, s.Value = key.Draw(t, "key"), values.Draw(t, "value")
		case StepGet, StepDelete:
			s.Key = key.Draw(t, "key")
		case StepScan:
			s.Key, s.To = key.Draw(t, "from"), key.Draw(t, "to")
		}
		return s
	})
	lengths := rapid.SampledFrom([]int{min(5, steps), steps / 4, steps / 2, steps, steps}) // slices of rapid are mostly short
	return rapid.Custom(func(t *rapid.T) []Step {
		n := lengths.Draw(t, "steps")
		all := rapid.SliceOfN(step, n, n).Draw(t, "step")
		return slices.DeleteFunc(all, func(s Step) bool { return s.Kind == 0 })
	})
}

// evenly draws one of a list. Rapid itself prefers what comes first.
func evenly[T any](list []T) *rapid.Generator[T] {
	return rapid.Custom(func(t *rapid.T) T {
		n := 0
		for _, bit := range rapid.SliceOfN(rapid.Bool(), 8, 8).Draw(t, "choice") {
			if n *= 2; bit {
				n++
			}
		}
		return list[n%len(list)]
	})
}
