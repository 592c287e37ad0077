package fuzz

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// The graph workload is the ledger in terms of nodes and edges:
//
//	(:Commit {key: "writer/seq", writer, seq, nonce, ops})-[:NEXT]->(:Commit) of the same writer
//	(:Item {key, count})-[:LINK {key}]->(:Item)
//
// Both keys have unique indexes. Each transaction adds its commit node, whose
// ops are what else it did, as words:
//
//	+key      created an item
//	-key      deleted an item with all its edges
//	*key      counted an item up
//	a>b#key   linked two items
//	!key      deleted a link
type graphWorkload struct {
	db      *graph.DB
	history *history
	writers int
	commits int
	random  *rand.Rand

	items struct {
		sync.Mutex
		keys []string // of items that were there once
	}
}

func graphOptions(fs vfs.FS) *graph.Options { return &graph.Options{Options: *options(fs)} }

// graphs is package graph under its workload.
func graphs(stride int64) system {
	run := func(writers, commits int) func(vfs.FS, uint64, *history) []error {
		return func(disk vfs.FS, seed uint64, h *history) []error {
			return runGraph(disk, h, &graphWorkload{
				history: h, writers: writers, commits: commits, random: rand.New(rand.NewPCG(seed, 0)),
			})
		}
	}
	return system{
		run: run(4, 8), after: run(3, 3), stride: stride,
		audit:  func(t testing.TB, disk vfs.FS, h *history) int { return auditedGraph(t, disk, h, false) },
		glance: func(t testing.TB, disk vfs.FS, h *history) int { return auditedGraph(t, disk, h, true) },
	}
}

func runGraph(disk vfs.FS, h *history, w *graphWorkload) []error {
	db, err := graph.Open(dbPath, graphOptions(disk))
	if err != nil {
		return []error{err}
	}
	w.db = db
	errs := w.run(bg)
	if err := db.Close(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

func (w *graphWorkload) run(ctx context.Context) (errs []error) {
	for _, label := range []string{"Commit", "Item"} {
		if err := w.db.CreateIndex(ctx, label, "key", true); err != nil && !errors.Is(err, graph.ErrIndexExists) {
			return []error{err}
		}
	}
	heads, err := w.load(ctx)
	if err != nil {
		return []error{err}
	}
	errs = make([]error, w.writers)
	var wg sync.WaitGroup
	for i := range w.writers {
		name := uint64(i + 1)
		wr := &graphWriter{graphWorkload: w, name: name, seq: heads[name], random: rand.New(rand.NewPCG(w.random.Uint64(), 0))}
		wg.Go(func() { errs[i] = wr.run(ctx) })
	}
	wg.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// load finds the items, and each writer's newest commit.
func (w *graphWorkload) load(ctx context.Context) (heads map[uint64]uint64, err error) {
	heads = map[uint64]uint64{}
	err = w.db.View(ctx, func(tx *graph.Txn) error {
		s, err := loadGraph(tx)
		for id := range s.commits {
			heads[id.writer] = max(heads[id.writer], id.seq)
		}
		for key := range s.items {
			w.items.keys = append(w.items.keys, key)
		}
		slices.Sort(w.items.keys)
		return err
	})
	return heads, err
}

// graphWriter commits one transaction after the other.
type graphWriter struct {
	*graphWorkload
	name   uint64
	seq    uint64 // of the newest commit
	random *rand.Rand
}

func (w *graphWriter) run(ctx context.Context) error {
	for done := 0; done < w.commits; {
		ok, err := w.attempt(ctx)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		w.seq++
		if done++; w.name == 1 && done%3 == 0 {
			if err := w.db.Store().Checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *graphWriter) attempt(ctx context.Context) (ok bool, err error) {
	tx, err := w.db.Begin(ctx, &mvcc.TxnOptions{Isolation: levels[w.random.IntN(len(levels))]})
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	c := &graphChange{tx: tx, writer: w, id: commitID{w.name, w.seq + 1}, nonce: w.random.Uint64() >> 1}
	err = c.make()
	switch {
	case mvcc.IsRetryable(err):
		return false, nil
	case err != nil:
		return false, err
	case w.random.IntN(10) == 0:
		return false, nil // rolled back: nothing of it may ever be seen
	}
	err = tx.Commit()
	var unknown *mvcc.CommitUnknownError
	switch {
	case mvcc.IsRetryable(err):
		return false, nil
	case errors.As(err, &unknown):
		w.history.add(c.nonce, outcome{id: c.id, ts: unknown.Timestamp})
		return false, err
	case err != nil:
		return false, err
	}
	w.history.add(c.nonce, outcome{id: c.id, ts: tx.Store().CommitTimestamp(), acked: true})
	w.items.Lock()
	defer w.items.Unlock()
	w.items.keys = append(w.items.keys, c.created...)
	return true, nil
}

// graphChange is one transaction in the making.
type graphChange struct {
	tx      *graph.Txn
	writer  *graphWriter
	id      commitID
	nonce   uint64
	ops     []string
	created []string
}

func (c *graphChange) make() error {
	for i := range 1 + c.writer.random.IntN(4) {
		if err := c.op(fmt.Sprintf("%x.%d", c.nonce, i)); err != nil {
			return err
		}
	}
	node, err := c.tx.CreateNode([]string{"Commit"}, graph.Props{
		"key": graph.String(c.id.String()), "writer": graph.Int(int64(c.id.writer)), "seq": graph.Int(int64(c.id.seq)),
		"nonce": graph.Int(int64(c.nonce)), "ops": graph.String(strings.Join(c.ops, " ")),
	})
	if err != nil || c.id.seq == 1 {
		return err
	}
	before, found, err := c.find("Commit", commitID{c.id.writer, c.id.seq - 1}.String())
	if err == nil && !found {
		err = violated("a writer does not find its commit before %v", c.id)
	}
	if err == nil {
		_, err = c.tx.CreateEdge(before.ID, node, "NEXT", nil)
	}
	return err
}

// op does one thing; key is a new one.
func (c *graphChange) op(key string) error {
	a, foundA, err := c.some()
	if err != nil {
		return err
	}
	b, foundB, err := c.some()
	if err != nil {
		return err
	}
	switch choice := c.writer.random.IntN(8); {
	case choice < 3 && foundA && foundB:
		c.ops = append(c.ops, nameOf(a)+">"+nameOf(b)+"#"+key)
		_, err = c.tx.CreateEdge(a.ID, b.ID, "LINK", graph.Props{"key": graph.String(key)})
	case choice < 4 && foundA:
		c.ops = append(c.ops, "-"+nameOf(a))
		err = c.tx.DetachDelete(a.ID)
	case choice < 5 && foundA:
		err = c.count(a)
	case choice < 6 && foundA:
		err = c.unlink(a)
	default:
		c.ops, c.created = append(c.ops, "+"+key), append(c.created, key)
		_, err = c.tx.CreateNode([]string{"Item"}, graph.Props{"key": graph.String(key), "count": graph.Int(0)})
	}
	if errors.Is(err, graph.ErrNodeNotFound) || errors.Is(err, graph.ErrEdgeNotFound) {
		// Deleted since it was found, at ReadCommitted: the whole is tried again.
		err = mvcc.ErrConflict
	}
	return err
}

// some returns an item that was there once, if it is there.
func (c *graphChange) some() (graph.Node, bool, error) {
	items := &c.writer.items
	items.Lock()
	if len(items.keys) == 0 {
		items.Unlock()
		return graph.Node{}, false, nil
	}
	key := items.keys[c.writer.random.IntN(len(items.keys))]
	items.Unlock()
	return c.find("Item", key)
}

func (c *graphChange) find(label, key string) (graph.Node, bool, error) {
	for node, err := range c.tx.Find(label, "key", graph.String(key)) {
		return node, err == nil, err
	}
	return graph.Node{}, false, nil
}

func (c *graphChange) count(item graph.Node) error {
	item, err := c.tx.LockNode(item.ID)
	if err != nil {
		return err
	}
	n, _ := item.Props["count"].AsInt()
	c.ops = append(c.ops, "*"+nameOf(item))
	return c.tx.SetProperty(item.ID, "count", graph.Int(n+1))
}

func (c *graphChange) unlink(item graph.Node) error {
	for link, err := range c.tx.Edges(item.ID, graph.Both, "LINK") {
		if err != nil {
			return err
		}
		key, _ := link.Props["key"].AsString()
		c.ops = append(c.ops, "!"+key)
		return c.tx.DeleteEdge(link.ID)
	}
	return nil
}

func nameOf(item graph.Node) string {
	key, _ := item.Props["key"].AsString()
	return key
}

// auditedGraph opens the graph, compares it with the history and settles that. quick ends with a power cut instead of
// closing.
func auditedGraph(t testing.TB, fs vfs.FS, h *history, quick bool) int {
	t.Helper()
	disk := vfs.NewFaulty(fs, nil)
	db, err := graph.Open(dbPath, graphOptions(disk))
	if err != nil {
		t.Fatalf("reopening: %v", err)
	}
	s, err := auditGraph(bg, db)
	if err == nil {
		err = h.compare(s)
	}
	if err != nil {
		t.Fatalf("after reopening: %v", err)
	}
	if quick {
		disk.PowerOff()
	}
	if err := db.Close(); err != nil && !quick {
		t.Fatalf("closing: %v", err)
	}
	h.settle(s)
	return len(s.entries)
}
