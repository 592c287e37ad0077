package lockmgr

// Mode is the strength of a lock. The modes are ordered: each includes the
// rights of those before it.
type Mode uint8

// Lock modes. S admits S and U; U admits S only; X admits nothing.
const (
	None Mode = iota
	S         // shared: reads that must stay true
	U         // update: reads now and may write later; one at a time, so that two cannot block each other's upgrade
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
	S: 1 << X,
	U: 1<<U | 1<<X,
	X: 1<<S | 1<<U | 1<<X,
}

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
