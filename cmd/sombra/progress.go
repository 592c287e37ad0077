package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sombradb/sombra/bench"
)

// progress shows how far a command is: as a bar on a terminal, else as a line
// every few seconds. It is not safe for concurrent use.
type progress struct {
	w     io.Writer
	what  string
	bytes bool
	bar   *progressbar.ProgressBar // nil where there is no terminal
	next  time.Time                // of the next plain line
	every time.Duration            // between plain lines
}

// newProgress starts showing; bytes says that what is counted is bytes.
func (a *app) newProgress(what string, bytes bool) *progress {
	p := &progress{w: a.stderr, what: what, bytes: bytes, next: time.Now().Add(a.plainEvery), every: a.plainEvery}
	if isTerminal(a.stderr) {
		p.bar = newBar(a.stderr, what, bytes)
	}
	return p
}

// newBar makes a bar that fits a terminal of 80 columns with the texts that the commands show.
func newBar(w io.Writer, what string, bytes bool) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what), progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(),
	}
	if bytes {
		options = append(options, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true))
	} else {
		options = append(options, progressbar.OptionShowCount())
	}
	return progressbar.NewOptions64(-1, options...)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// set shows that done of total are done, with details if there are any. A failure to
// write is ignored: it must not end the work.
func (p *progress) set(done, total int64, detail string) {
	if p.bar != nil {
		if p.bar.GetMax64() != total {
			p.bar.ChangeMax64(total)
		}
		if detail != "" {
			p.bar.Describe(detail)
		}
		_ = p.bar.Set64(done)
		return
	}
	if now := time.Now(); !now.Before(p.next) {
		p.next = now.Add(p.every)
		fmt.Fprintf(p.w, "%s: %s of %s %s\n", p.what, p.amount(done), p.amount(total), detail)
	}
}

func (p *progress) amount(n int64) string {
	if p.bytes {
		return bench.Bytes(n)
	}
	return bench.Count(n)
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// phases shows a command that works in phases, each with a progress of its own.
type phases struct {
	a    *app
	name string
	p    *progress
}

func (a *app) newPhases() *phases { return &phases{a: a} }

func (ps *phases) set(name string, done, total int64) {
	if ps.p == nil || name != ps.name {
		ps.finish()
		ps.name, ps.p = name, ps.a.newProgress(name, false)
	}
	ps.p.set(done, total, "")
}

func (ps *phases) finish() {
	if ps.p != nil {
		ps.p.finish()
	}
}
