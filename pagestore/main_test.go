package pagestore

import (
	"flag"
	"os"
	"testing"
)

// TestMain keeps the state machine short unless somebody asks for more.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := *long
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		checks := "8"
		if poisonFrames {
			checks = "2" // the race detector is slow
		}
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
