package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// print writes a result to standard output: as JSON when that was asked for, else as text.
func (a *app) print(result any, text func(io.Writer) error) error {
	if !a.json {
		return text(a.stdout)
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(result)
}

// logf writes one line to standard error.
func (a *app) logf(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// lines collects formatted lines and remembers the first failure to write one.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) f(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format+"\n", args...)
	}
}

// field writes a name and a value in columns.
func (l *lines) field(name, format string, args ...any) {
	l.f("%-14s %s", name, fmt.Sprintf(format, args...))
}
