//go:build !race

package versions

// raceRounds is how often a race of a few instructions is provoked.
const raceRounds = 10_000
