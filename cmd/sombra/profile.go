package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/profile"
	"github.com/spf13/cobra"
)

// profileKind is one kind of profile and the file that it is written to.
type profileKind struct {
	mode func(*profile.Profile)
	file string
}

var profileKinds = map[string]profileKind{
	"cpu":   {profile.CPUProfile, "cpu.pprof"},
	"mem":   {profile.MemProfile, "mem.pprof"},
	"mutex": {profile.MutexProfile, "mutex.pprof"},
	"block": {profile.BlockProfile, "block.pprof"},
	"trace": {profile.TraceProfile, "trace.out"},
}

func profileNames() []string { return slices.Sorted(maps.Keys(profileKinds)) }

// startProfile starts what --profile asks for. The profile is complete when the
// command has ended, also after an interrupt, which only cancels the command.
func (a *app) startProfile(cmd *cobra.Command) error {
	if a.profile == "" {
		return nil
	}
	kind, ok := profileKinds[a.profile]
	if !ok {
		return usagef(cmd, "--profile %q is not known, want one of %s", a.profile, strings.Join(profileNames(), ", "))
	}
	// The profile package ends the process when it cannot create its file, so
	// that is tried before.
	if err := canCreate(a.profileDir, kind.file); err != nil {
		return err
	}
	p := profile.Start(kind.mode, profile.ProfilePath(a.profileDir), profile.NoShutdownHook, profile.Quiet)
	a.stopProfile = func() {
		p.Stop()
		a.logf("profile written to %s", filepath.Join(a.profileDir, kind.file))
	}
	return nil
}

func canCreate(dir, file string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	return f.Close()
}
