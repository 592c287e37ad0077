//go:build race

package versions

// raceRounds is how often a race of a few instructions is provoked. Under the race detector each
// round takes many times longer; the build without it is the one that provokes.
const raceRounds = 1_000
