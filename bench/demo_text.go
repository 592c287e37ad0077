package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteText tells the demo's story.
func (r *DemoResult) WriteText(w io.Writer) error {
	var b strings.Builder
	r.writeLoad(&b)
	r.writeContention(&b)
	r.writeQuestions(&b)
	r.writeNext(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *DemoResult) writeLoad(b *strings.Builder) {
	l, e := r.Load, r.Environment
	fmt.Fprintf(b, "Built a social graph of %s people and %s friendships in %s s (%s, %d CPUs, file system %s).\n",
		Count(l.Nodes), Count(l.Edges), seconds(l.Elapsed), e.GoVersion, e.CPUs, e.FileSystem)
	fmt.Fprintf(b, "  %d concurrent writers, serializable, every commit durable: %s commits, %s commits/s, %s edges/s\n",
		r.Config.Writers, Count(l.Commits), rate(l.PerSecond), rate(l.EdgesRate))
	fmt.Fprintf(b, "  commit latency p50 %s µs, p99 %s µs, p99.9 %s µs; %s retries\n\n",
		micros(l.Latency.P50), micros(l.Latency.P99), micros(l.Latency.P999), Count(l.Retries))
}

func (r *DemoResult) writeContention(b *strings.Builder) {
	c := r.Contention
	fmt.Fprintf(b, "Made %d writers count up one counter: %s increments, %s conflicts retried, the counter says %s.\n",
		r.Config.Writers, Count(c.Likes), Count(c.Conflicts), Count(c.Counted))
	fmt.Fprintf(b, "Made %d rings of transactions lock each other out: %d deadlocks found and resolved, everybody committed in the end. The last one:\n",
		c.Rings, c.Deadlocks)
	fmt.Fprintf(b, "  %s\n\n", strings.ReplaceAll(c.Report, "\n", "\n  "))
}

func (r *DemoResult) writeQuestions(b *strings.Builder) {
	for _, q := range r.Questions {
		fmt.Fprintf(b, "%s\n  %s  (%v)\n", q.Question, q.Answer, roundTime(q.Elapsed))
	}
	b.WriteByte('\n')
}

func (r *DemoResult) writeNext(b *strings.Builder) {
	c := r.Check
	if c.Problems == 0 {
		fmt.Fprintf(b, "Check: %s pages, %s nodes, %s edges, %s index entries verified, no problems (%v).\n\n",
			Count(c.Pages), Count(c.Nodes), Count(c.Edges), Count(c.IndexEntries), roundTime(c.Elapsed))
	} else {
		fmt.Fprintf(b, "Check: %d PROBLEMS, the first: %s\n\n", c.Problems, c.First)
	}
	fmt.Fprintf(b, "The database is %s. Try:\n", r.Path)
	for _, args := range [...]string{
		fmt.Sprintf("info %s", r.Path),
		fmt.Sprintf("get %s Person.handle=%s", r.Path, r.Hub.Handle),
		fmt.Sprintf("neighbors %s %d --direction in --type KNOWS --limit 5", r.Path, r.Hub.ID),
		fmt.Sprintf("path %s %d %d --type KNOWS --direction both", r.Path, r.Pair[0], r.Pair[1]),
		fmt.Sprintf("check %s", r.Path),
	} {
		fmt.Fprintf(b, "  sombra %s\n", args)
	}
}

// roundTime leaves three digits or so.
func roundTime(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(100 * time.Nanosecond)
}
