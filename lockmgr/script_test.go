package lockmgr

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into their files")

// Scripts are stories about one table in virtual time. A line with "> " is a
// command; the lines below it are what it must print: everything that happened
// until nothing more could happen without the clock. The table is checked after
// each command. Commands:
//
//	owner NAME [label=TEXT] [isolation=TEXT] [priority=N] [retries=N] [work=N]
//	NAME lock MODE KEY [nowait] [timeout=DURATION]
//	NAME held KEY | waiting | release | cancel | kill [REASON]
//	advance DURATION | locks [all] | owners | reports | metrics | close
//
// Owners that were not introduced come into being when they are first named.
// Their ids count from 1.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for story := range strings.SplitSeq(string(text), "\n\n\n") {
			story = strings.TrimSpace(story) + "\n"
			name, _, _ := strings.Cut(story, "\n")
			t.Run(filepath.Base(file)+"/"+strings.Trim(name, "# "), func(t *testing.T) {
				var got strings.Builder
				synctest.Test(t, func(t *testing.T) { tell(t, story, &got) })
				told = append(told, got.String())
			})
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(strings.Join(told, "\n\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tell runs one story on a new table, and writes it with the real output.
func tell(t *testing.T, story string, to *strings.Builder) {
	s := newScript(t)
	defer s.end()
	var want, got strings.Builder
	command := ""
	compare := func() {
		if w, g := strings.TrimSpace(want.String()), strings.TrimSpace(got.String()); w != g && !*rewrite {
			t.Errorf("%s\ngot\n%s\nwant\n%s", command, g, w)
		}
		want.Reset()
		got.Reset()
	}
	for line := range strings.Lines(story) {
		switch {
		case strings.HasPrefix(line, "> "):
			compare()
			to.WriteString(line)
			command = strings.TrimSpace(line)
			s.run(strings.Fields(line)[1:], &got)
			to.WriteString(got.String())
		case command == "" || strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			to.WriteString(line)
		default:
			want.WriteString(line)
		}
	}
	compare()
}

// script is a table with named owners.
type script struct {
	t      *testing.T
	table  *Table
	actors map[string]*actor
}

type actor struct {
	name    string
	owner   *Owner
	cancel  context.CancelCauseFunc
	result  chan error // of the running Acquire; nil when none runs
	asked   string
	waiting bool // was told
}

func newScript(t *testing.T) *script {
	return &script{t: t, actors: map[string]*actor{}, table: New(Options{
		Describe: func(key []byte) string { return string(key) },
	})}
}

// end closes the table and sees that nobody is left waiting.
func (s *script) end() {
	s.table.Close()
	synctest.Wait()
	for _, a := range s.actors {
		if a.result != nil && len(a.result) == 0 {
			s.t.Errorf("%s still waits after Close", a.name)
		}
	}
}

func (s *script) actor(name string) *actor {
	a := s.actors[name]
	if a == nil {
		a = s.introduce(name, nil)
	}
	return a
}

func (s *script) introduce(name string, args []string) *actor {
	info := OwnerInfo{ID: uint64(len(s.actors) + 1)}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		number, _ := strconv.Atoi(value)
		switch key {
		case "label":
			info.Label = value
		case "isolation":
			info.Isolation = value
		case "priority":
			info.Priority = number
		case "retries":
			info.Retries = number
		case "work":
			info.Work = func() int64 { return int64(number) }
		default:
			s.t.Fatalf("unknown %q", arg)
		}
	}
	a := &actor{name: name, owner: s.table.NewOwner(info)}
	s.actors[name] = a
	return a
}

func (s *script) run(words []string, out *strings.Builder) {
	switch words[0] {
	case "owner":
		s.introduce(words[1], words[2:])
	case "advance":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(d)
	case "locks":
		s.printLocks(out, len(words) > 1)
	case "owners":
		for _, o := range s.table.Owners() {
			fmt.Fprintf(out, "%d holds %d", o.Owner, o.Locks)
			printWait(out, o.Waits)
		}
	case "reports":
		for _, report := range s.table.Deadlocks() {
			fmt.Fprintln(out, report)
		}
	case "metrics":
		m := s.table.Metrics()
		m.Bytes, m.Searches = 0, 0 // depend on the build, and on who asks first
		fmt.Fprintf(out, "%+v\n", m)
	case "close":
		s.table.Close()
	default:
		s.act(s.actor(words[0]), words[1:], out)
	}
	synctest.Wait()
	s.tellNews(out)
	if err := s.table.Check(); err != nil {
		s.t.Errorf("> %s: %v", strings.Join(words, " "), err)
	}
}

func (s *script) act(a *actor, words []string, out *strings.Builder) {
	switch words[0] {
	case "lock":
		s.lock(a, words[1:])
	case "held":
		fmt.Fprintf(out, "%s: holds %v\n", a.name, s.table.Held(a.owner, []byte(words[1])))
	case "waiting":
		fmt.Fprint(out, a.name)
		if w, waits := s.table.Waiting(a.owner); waits {
			printWait(out, &w)
		} else {
			printWait(out, nil)
		}
	case "release":
		if a.result != nil {
			s.t.Fatalf("%s cannot release while it waits", a.name)
		}
		s.table.ReleaseAll(a.owner)
	case "cancel":
		a.cancel(errors.New("the caller went away"))
	case "kill":
		var reason error
		if len(words) > 1 {
			reason = errors.New(strings.Join(words[1:], " "))
		}
		s.table.Kill(a.owner, reason)
	default:
		s.t.Fatalf("unknown command %q", words[0])
	}
}

func (s *script) lock(a *actor, words []string) {
	if a.result != nil {
		s.t.Fatalf("%s already waits", a.name)
	}
	mode := Mode(slices.Index([]string{"none", "S", "U", "A", "X"}, words[0]))
	policy, timeout := Wait, time.Duration(0)
	for _, arg := range words[2:] {
		if arg == "nowait" {
			policy = NoWait
			continue
		}
		d, err := time.ParseDuration(strings.TrimPrefix(arg, "timeout="))
		if err != nil {
			s.t.Fatal(err)
		}
		timeout = d
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	a.cancel, a.asked, a.waiting = cancel, words[0]+" on "+words[1], false
	result := make(chan error, 1)
	a.result = result
	go func() { result <- s.table.Acquire(ctx, a.owner, []byte(words[1]), mode, policy, timeout) }()
}

// tellNews prints which waits began or ended, by name.
func (s *script) tellNews(out *strings.Builder) {
	names := make([]string, 0, len(s.actors))
	for name := range s.actors {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		a := s.actors[name]
		if a.result == nil {
			continue
		}
		select {
		case err := <-a.result:
			a.result = nil
			if err == nil {
				fmt.Fprintf(out, "%s: granted %s\n", name, a.asked)
			} else {
				fmt.Fprintf(out, "%s: %v\n", name, err)
			}
		default:
			if !a.waiting {
				a.waiting = true
				fmt.Fprintf(out, "%s: waits for %s\n", name, a.asked)
			}
		}
	}
}

func printWait(out *strings.Builder, w *WaiterState) {
	if w == nil {
		fmt.Fprintln(out, " waits for nothing")
		return
	}
	fmt.Fprintf(out, " waits since %v for %v on %s, for %v\n", time.Since(w.Since), w.Mode, w.Key, w.WaitsFor)
}

func (s *script) printLocks(out *strings.Builder, all bool) {
	for _, key := range s.table.Locks(all) {
		fmt.Fprintf(out, "%s:", key.Key)
		slices.SortFunc(key.Holders, func(a, b HolderState) int { return int(a.Owner) - int(b.Owner) })
		for _, h := range key.Holders {
			fmt.Fprintf(out, " %d(%v)", h.Owner, h.Mode)
		}
		for _, w := range key.Queue {
			fmt.Fprintf(out, " <- %d(%v) for %v", w.Owner, w.Mode, w.WaitsFor)
		}
		fmt.Fprintln(out)
	}
}
