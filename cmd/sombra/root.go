package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/mvcc"
)

// app is what the commands share: where output goes, and the global flags.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	plainEvery     time.Duration // between two lines of progress where there is no terminal

	json       bool
	memory     size
	pageSize   size
	profile    string
	profileDir string

	stopProfile func()
}

func newApp(stdout, stderr io.Writer) *app {
	return &app{stdin: os.Stdin, stdout: stdout, stderr: stderr, plainEvery: 5 * time.Second, stopProfile: func() {}}
}

// run executes one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	a.stopProfile()
	if err != nil {
		report(a.stderr, err)
	}
	return exitCode(err)
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sombra",
		Short: "Work with Sombra property graph databases",
		Long: `sombra works with Sombra databases: embedded property graphs, each in one file with a log beside it.

Start with 'sombra demo'. Exit codes: 0 fine, 1 failed, 2 wrong use, 3 corruption found.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.startProfile(cmd)
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef(cmd, "%v", err)
	})
	a.addGlobalFlags(root)
	root.AddCommand(a.importCommand(), a.exportCommand(), a.infoCommand(), a.checkCommand(), a.getCommand(),
		a.neighborsCommand(), a.pathCommand(), a.compactCommand(), a.backupCommand(), a.restoreCommand(), a.repairCommand(), a.demoCommand(), a.benchCommand())
	return root
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print results as JSON")
	f.Var(&a.memory, "memory", "memory budget of the database, such as 256MiB (default 64MiB)")
	f.Var(&a.pageSize, "page-size", "page size of a new database: 4KiB to 64KiB, a power of two (default 8KiB)")
	f.StringVar(&a.profile, "profile", "", "profile this run: "+strings.Join(profileNames(), ", "))
	f.StringVar(&a.profileDir, "profile-dir", ".", "directory for the profile")
}

// noSuchCommand answers words that no command has taken.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef(cmd, "unknown command %q, did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return usagef(cmd, "unknown command %q", args[0])
}

// takes returns a check that the command gets one argument for each name. A
// last name in brackets may be missing.
func takes(names ...string) cobra.PositionalArgs {
	least := len(names)
	if least > 0 && strings.HasPrefix(names[least-1], "[") {
		least--
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef(cmd, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usagef(cmd, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// options returns the engine's options that the global flags ask for.
func (a *app) options(cmd *cobra.Command) (mvcc.Options, error) {
	opts := mvcc.Options{MemoryBudget: int64(a.memory), PageSize: int(a.pageSize)}
	if err := opts.Validate(); err != nil {
		return opts, usagef(cmd, "%v", err)
	}
	return opts, nil
}
