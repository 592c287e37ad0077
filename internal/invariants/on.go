//go:build invariants || race

package invariants

import "sync/atomic"

// Enabled says that the checks are compiled in.
const Enabled = true

// CloseChecker finds use after close and double close of the struct that holds
// it. The zero value is open. It is safe for concurrent use. Without Enabled it
// takes no memory, unless it is the last field of its struct.
type CloseChecker struct{ closed atomic.Bool }

// Close notes the close of what. It panics when that is closed already.
func (c *CloseChecker) Close(what string) {
	Assert(!c.closed.Swap(true), "%s is closed twice", what)
}

// AssertOpen panics when what is closed.
func (c *CloseChecker) AssertOpen(what string) {
	Assert(!c.closed.Load(), "%s is used after it was closed", what)
}
