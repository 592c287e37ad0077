package vfs

// What a throw of the dice is about. Sector numbers are added to the last one.
const (
	diceEntries uint64 = iota
	diceSizes
	diceTorn
	diceSectors
)

// dice decides what survives a crash. It has no state: each decision depends on
// the seed and on what is decided only, so neither the order of map iterations
// nor an unrelated file changes it.
type dice struct {
	mode   CrashMode
	seed   uint64
	sector int
}

func newDice(cfg CrashConfig) dice {
	d := dice{mode: cfg.Mode, seed: cfg.Seed, sector: cfg.SectorSize}
	if d.sector <= 0 {
		d.sector = defaultSectorSize
	}
	return d
}

// upTo returns how many of n survive.
func (d dice) upTo(n int, node, about uint64) int {
	switch {
	case n <= 0 || d.mode == LoseAll:
		return 0
	case d.mode == KeepAll:
		return n
	}
	h := mix(mix(mix(d.seed)^node) ^ about)
	return int(h % uint64(n+1))
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
