//go:build !invariants && !race

package invariants

// Enabled says that the checks are compiled in.
const Enabled = false

// CloseChecker finds use after close and double close of the struct that holds
// it. The zero value is open. It is safe for concurrent use. Without Enabled it
// takes no memory, unless it is the last field of its struct.
type CloseChecker struct{}

// Close notes the close of what. It panics when that is closed already.
func (c *CloseChecker) Close(what string) {}

// AssertOpen panics when what is closed.
func (c *CloseChecker) AssertOpen(what string) {}
