package lockmgr

// Mode is the right that a lock gives. The modes are ordered in part only: X
// includes all others, U includes S, and A has nothing in common with S and U
// (the package documentation has the picture). So the numbers mean nothing; do
// not compare them by size.
type Mode uint8

// Lock modes. S admits S and U; U admits S only; A admits A only; X admits nothing.
const (
	None Mode = iota
	S         // shared: reads that must stay true
	U         // update: reads now and may write later; one at a time, so that two cannot block each other's upgrade
	A         // add: blind changes that commute, such as increments of a counter
	X         // exclusive: writes

	modes = iota
)

// String returns the mode's letter.
func (m Mode) String() string {
	switch m {
	case None:
		return "none"
	case S:
		return "S"
	case U:
		return "U"
	case A:
		return "A"
	case X:
		return "X"
	default:
		return "invalid"
	}
}

// modeSet is a set of modes, one bit each.
type modeSet uint8

func (m Mode) bit() modeSet { return 1 << m }

// conflicts holds for each mode the modes that it cannot stand beside.
var conflicts = [modes]modeSet{
	S: 1<<A | 1<<X,
	U: 1<<U | 1<<A | 1<<X,
	A: 1<<S | 1<<U | 1<<X,
	X: 1<<S | 1<<U | 1<<A | 1<<X,
}

// joins holds for each two modes the weakest one that includes both: it
// conflicts with what either conflicts with, and with nothing else (L9).
var joins = [modes][modes]Mode{
	None: {None, S, U, A, X},
	S:    {S, S, U, X, X},
	U:    {U, U, U, X, X},
	A:    {A, X, X, A, X},
	X:    {X, X, X, X, X},
}

// join returns the mode that an owner needs which holds m and asks for other. It
// is m itself if and only if m includes other.
func (m Mode) join(other Mode) Mode { return joins[m][other] }

func (m Mode) conflictsWith(other Mode) bool { return conflicts[m]&other.bit() != 0 }

func (m Mode) conflictsWithAny(others modeSet) bool { return conflicts[m]&others != 0 }

// modeCounts counts holders or requests by mode.
type modeCounts [modes]int32

// set returns the modes with a count, not counting one of mode except (None: all
// count).
func (c *modeCounts) set(except Mode) modeSet {
	var in modeSet
	for m := S; m <= X; m++ {
		n := c[m]
		if m == except {
			n--
		}
		if n > 0 {
			in |= m.bit()
		}
	}
	return in
}

// Policy says what to do when a lock is not free.
type Policy uint8

// Wait policies.
const (
	Wait   Policy = iota // queue behind the others
	NoWait               // fail with ErrNotAvailable at once
)
