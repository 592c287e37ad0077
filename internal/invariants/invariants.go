package invariants

import "fmt"

// PoisonByte fills released memory: conspicuous in a dump, and as a length,
// page number or pointer far out of range.
const PoisonByte = 0xDB

// Assert panics with the formatted text when cond is false and the checks are
// enabled. The arguments are evaluated in every build.
func Assert(cond bool, format string, args ...any) {
	if Enabled && !cond {
		panic("invariant violated: " + fmt.Sprintf(format, args...))
	}
}

// Poison overwrites a buffer that nobody may read any more, so that a reader
// who still does gets nonsense rather than yesterday's bytes. It does nothing
// when the checks are not enabled.
func Poison(b []byte) {
	if !Enabled {
		return
	}
	for i := range b {
		b[i] = PoisonByte
	}
}
