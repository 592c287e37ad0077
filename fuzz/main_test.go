package fuzz

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, in a process that a test has started, the
// writers that it is going to kill.
func TestMain(m *testing.M) {
	if path := os.Getenv(victimPath); path != "" {
		fmt.Fprintln(os.Stderr, beVictim(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
