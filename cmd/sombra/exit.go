package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/mvcc"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2 // the command line is wrong
	exitCorrupt = 3 // damaged data was found
)

// usageError is a fault of the command line. Its command is where help is found.
type usageError struct {
	what string
	cmd  string
}

func (e *usageError) Error() string { return e.what }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{what: fmt.Sprintf(format, args...), cmd: cmd.CommandPath()}
}

// corruptError says that a check found damage. The report has been printed already.
type corruptError struct{ problems int }

func (e *corruptError) Error() string {
	return fmt.Sprintf("corruption found: %d problems; keep a copy of the files before you do anything else", e.problems)
}

func exitCode(err error) int {
	var usage *usageError
	var config *bench.ConfigError
	var corrupt *corruptError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	case errors.As(err, &corrupt), errors.Is(err, mvcc.ErrCorrupt):
		return exitCorrupt
	}
	return exitFailed
}

// report writes an error for a person, with a way out where there is one.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "sombra: %s\n", errorText(err))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintln(w, hint)
	}
}

func errorText(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}

func hintFor(err error) string {
	var usage *usageError
	var config *bench.ConfigError
	switch {
	case errors.As(err, &config):
		return "Run it with --help for its flags."
	case errors.As(err, &usage):
		return fmt.Sprintf("Run '%s --help' for what it takes.", usage.cmd)
	case errors.Is(err, mvcc.ErrNotExist):
		return "'sombra import' and 'sombra demo' make a database."
	case errors.Is(err, mvcc.ErrLocked):
		return "A database belongs to one writing process at a time."
	}
	return ""
}
