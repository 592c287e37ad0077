package suite

import "github.com/sombradb/sombra/bench/internal/figures"

// Device is the participant that is no engine: appending to a preallocated file and syncing it.
const Device = "device"

// Sample is one measurement of one participant.
type Sample = figures.Sample
