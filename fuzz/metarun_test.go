package fuzz

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	"github.com/sombradb/sombra/fuzz/kit"
	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// metaRun runs a sequence under some options, one operation after the other, so transactions interleave as the sequence
// says. Beside it grows a multi-version map of what was committed; reads are compared with that.
type metaRun struct {
	o      metaOptions
	ctx    context.Context
	mem    *vfs.Mem
	db     *mvcc.DB
	spaces [metaSpaces]*mvcc.Keyspace
	txns   [metaTxns]*metaTxn

	at   string // names the operation, see metaOptions.dice
	seen map[string]int

	model   *kit.Map
	commits []mvcc.Timestamp // of each version of the model from 1 on, or a moment before the next one
	lines   []string         // what came of each operation
	err     error            // what may not happen under any options

	quiets              map[string]int // what happened how often, for the log
	spills, checkpoints int64
}

// metaTxn is an open transaction.
type metaTxn struct {
	tx      *mvcc.Txn // nil when it could not begin, since its past is pruned
	own     map[string]metaWrite
	saved   [metaSlots]*metaSave
	cursors [metaSlots]*mvcc.Cursor
	spaces  [metaSlots]int  // of the cursors
	stale   [metaSlots]bool // the transaction has written since the cursor moved
}

// metaWrite is what a transaction did to a key: the value that is to be there, or how much is to be added.
type metaWrite struct {
	value *string
	add   bool
	delta int64
}

type metaSave struct {
	sp  mvcc.Savepoint
	own map[string]metaWrite
}

// runMeta returns what came of each operation and of the end, or what went wrong under any options.
func runMeta(o metaOptions, ops []metaOp) (m *metaRun) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	m = &metaRun{o: o, ctx: ctx, mem: vfs.NewMem(), model: kit.NewMap(), seen: map[string]int{}, quiets: map[string]int{}}
	defer func() {
		if p := recover(); p != nil {
			m.fail("panic: %v\n%s", p, debug.Stack())
		}
		m.giveUp()
	}()
	if err := errors.Join(m.mem.MkdirAll("db", 0o755), m.mem.SyncDir(".")); err != nil {
		m.fail("preparing the disk: %v", err)
	}
	m.open(o)
	for _, op := range ops {
		if m.err != nil {
			return m
		}
		m.step(op)
	}
	m.finish()
	return m
}

func (m *metaRun) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("at operation %d (%s): "+format, append([]any{len(m.lines), m.at}, args...)...)
	}
}

// step runs one operation, and what the options want to happen after it.
func (m *metaRun) step(op metaOp) {
	text := op.String()
	m.at = fmt.Sprintf("%s#%d", text, m.seen[text])
	m.seen[text]++
	m.lines = append(m.lines, op.verb.do(m, op.named()))
	if m.err == nil && m.o.oneIn(m.o.checkpoints, "checkpoint", m.at) {
		m.must("checkpoint", m.db.Checkpoint(m.ctx))
	}
	if m.err == nil && m.o.oneIn(m.o.compactions, "compact", m.at) {
		m.must("compact", m.db.Compact(m.ctx, nil))
	}
}

func (m *metaRun) must(what string, err error) {
	if err != nil {
		m.fail("%s: %v", what, err)
	}
}

// open opens the database and the keyspaces that are there from the start.
func (m *metaRun) open(o metaOptions) {
	var err error
	if m.db, err = mvcc.Open(dbPath, o.database(m.mem)); err != nil {
		m.fail("open: %v", err)
		return
	}
	for i, ks := range m.spaces {
		if ks == nil && i >= metaLoaded {
			continue // not loaded yet
		}
		m.spaces[i], err = m.db.Keyspace(m.ctx, metaSpaceName(i))
		m.must("keyspace", err)
	}
}

func metaSpaceName(i int) string { return fmt.Sprintf("space%d", i) }

// metaKey returns the bytes of a key: edge cases, long ones, and ordinary ones.
func metaKey(i int) string {
	strange := []string{
		"", "a", "a\x00", "a\x00\x00", "ab", "\xff", "\xff\xff", "\x00", strings.Repeat("L", 300), strings.Repeat("L", 300) + "m",
		strings.Repeat("z", 3000), strings.Repeat("z", 3001), strings.Repeat("q", 20_000), strings.Repeat("\x00", 100), "f", "g",
	}
	switch {
	case i < len(strange):
		return strange[i]
	case i < metaFillFrom:
		return fmt.Sprintf("k%02d", i)
	}
	return fmt.Sprintf("f%06d", i)
}

// metaModelKey is a key of a keyspace in the model.
func metaModelKey(ks int, key string) string { return string(rune('0'+ks)) + key }

func metaRange(a metaArgs) mvcc.Range {
	lo, hi := metaKey(a["lo"]), ""
	if a["hi"] < 0 {
		return mvcc.Range{Lo: []byte(lo)}
	}
	if hi = metaKey(a["hi"]); hi < lo {
		lo, hi = hi, lo
	}
	return mvcc.Range{Lo: []byte(lo), Hi: []byte(hi)}
}

func metaValue(size, seed int) string {
	return string(filler(uint64(seed), uint64(size), uint64(size)))
}

// metaShow prints a value so that equal texts mean equal values.
func metaShow(value string) string {
	return fmt.Sprintf("%d.%08x", len(value), crc32.ChecksumIEEE([]byte(value)))
}

// outcome names an error that is an answer. Anything else ends the run.
func (m *metaRun) outcome(err error) string {
	var conflict *mvcc.ConflictError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &conflict):
		if conflict.Reason == mvcc.WriteConflict {
			return "conflict at write"
		}
		return "conflict"
	}
	for name, target := range map[string]error{
		"not found": mvcc.ErrNotFound, "locked": mvcc.ErrLockNotAvailable, "read-only": mvcc.ErrReadOnly,
		"invalid": mvcc.ErrInvalid, "exists": mvcc.ErrKeyspaceExists, "pruned": mvcc.ErrHistoryPruned, "done": mvcc.ErrTxnDone,
	} {
		if errors.Is(err, target) {
			return name
		}
	}
	m.fail("%v", err)
	return "error"
}

// within runs an operation of an open transaction.
func (m *metaRun) within(a metaArgs, do func(x *metaTxn) string) string {
	x := m.txns[a["txn"]]
	switch {
	case x == nil:
		return "no transaction"
	case x.tx == nil:
		return "pruned"
	}
	return do(x)
}

// inSpace runs an operation of an open transaction in a keyspace.
func (m *metaRun) inSpace(a metaArgs, do func(x *metaTxn, ks *mvcc.Keyspace) string) string {
	return m.within(a, func(x *metaTxn) string {
		if ks := m.spaces[a["ks"]]; ks != nil {
			return do(x, ks)
		}
		return "no keyspace"
	})
}

// version returns what the transaction reads. REQUIRES: an operation has taken the snapshot.
func (m *metaRun) version(x *metaTxn) int {
	at, err := x.tx.Snapshot()
	m.must("snapshot", err)
	return m.versionOf(at)
}

// versionOf returns the newest version at or before a timestamp.
func (m *metaRun) versionOf(at mvcc.Timestamp) int {
	return sort.Search(len(m.commits), func(i int) bool { return m.commits[i] > at })
}

// expect returns what the model says that a transaction sees of a key.
func (m *metaRun) expect(x *metaTxn, ks int, key string) (string, bool) {
	k := metaModelKey(ks, key)
	w, mine := x.own[k]
	if mine && !w.add {
		if w.value == nil {
			return "", false
		}
		return *w.value, true
	}
	value, found := m.model.Get(k, m.version(x))
	if !mine {
		return value, found
	}
	return metaSum(value, found, w.delta), true
}

// metaSum adds to a counter; what is no counter was refused before.
func metaSum(value string, found bool, delta int64) string {
	n := int64(0)
	if found && len(value) == 8 {
		n, _ = mvcc.DecodeInt64([]byte(value)) // 8 bytes are a counter
	}
	return string(mvcc.EncodeInt64(n + delta))
}

// read shows the result of reading a key, and compares it with the model.
func (m *metaRun) read(x *metaTxn, a metaArgs, value []byte, err error) string {
	result := m.outcome(err)
	if m.err != nil || result != "ok" && result != "not found" {
		return result
	}
	want, found := m.expect(x, a["ks"], metaKey(a["key"]))
	if found != (err == nil) || string(value) != want {
		m.fail("reading key %d: got %s %s, the model has %s, found %v", a["key"], result, metaShow(string(value)), metaShow(want), found)
	}
	return fmt.Sprintf("%s %s @%d", result, metaShow(string(value)), m.version(x))
}

// took commits to the model what the transaction has written.
func (m *metaRun) took(x *metaTxn) {
	if len(x.own) == 0 {
		return
	}
	writes := map[string]*string{}
	for k, w := range x.own {
		if w.add {
			value, found := m.model.Get(k, m.model.Version())
			sum := metaSum(value, found, w.delta)
			w.value = &sum
		}
		writes[k] = w.value
	}
	m.model.Apply(writes)
	m.commits = append(m.commits, x.tx.CommitTimestamp())
}

// dump reads everything at a version, compares it with the model, and returns a short form.
func (m *metaRun) dump(tx *mvcc.Txn, version int) string {
	h, n := crc32.NewIEEE(), 0
	for i, ks := range m.spaces {
		if ks == nil {
			continue
		}
		want := map[string]string{}
		for k, v := range m.model.Scan(metaModelKey(i, ""), metaModelKey(i+1, ""), version) {
			want[k[1:]] = v
		}
		for item, err := range tx.Scan(ks, mvcc.Range{}) {
			if err != nil {
				m.fail("scan: %v", err)
				return "error"
			}
			if v, found := want[string(item.Key)]; !found || v != string(item.Value) {
				m.fail("%s at version %d: %.40q is %s, the model has %s, found %v", ks.Name(), version, item.Key, metaShow(string(item.Value)), metaShow(v), found)
			}
			delete(want, string(item.Key))
			n++
			fmt.Fprintf(h, "%d %q %s\n", i, item.Key, metaShow(string(item.Value)))
		}
		for k := range want {
			m.fail("%s at version %d: %.40q is missing", ks.Name(), version, k)
		}
	}
	return fmt.Sprintf("%d keys %08x", n, h.Sum32())
}

// dumpNewest dumps the newest state.
func (m *metaRun) dumpNewest() (line string) {
	err := m.db.View(m.ctx, func(tx *mvcc.Txn) error {
		line = m.dump(tx, m.model.Version())
		return nil
	})
	m.must("view", err)
	return fmt.Sprintf("%s of %d commits", line, m.model.Version())
}

func (m *metaRun) endAll() {
	for i, x := range m.txns {
		if x != nil && x.tx != nil {
			x.tx.Rollback()
		}
		m.txns[i] = nil
	}
}

// finish compares the end, verifies the files, and closes.
func (m *metaRun) finish() {
	if m.err != nil {
		return
	}
	m.at = "the end"
	m.endAll()
	m.lines = append(m.lines, m.dumpNewest())
	m.count()
	report, err := m.db.Check(m.ctx, nil)
	m.must("check", errors.Join(append(report.Problems, err)...))
	db := m.db
	m.db = nil
	m.must("close", db.Close())
	if left := m.mem.OpenHandles(); len(left) > 0 {
		m.fail("left open: %q", left)
	}
}

// count takes the metrics of a database that is going to be closed.
func (m *metaRun) count() {
	metrics := m.db.Metrics()
	m.spills += metrics.Spills
	m.checkpoints += metrics.Checkpoints
}

// giveUp leaves nothing behind.
func (m *metaRun) giveUp() {
	if m.db == nil {
		return
	}
	m.endAll()
	if err := m.db.Close(); err != nil {
		m.fail("close: %v", err)
	}
}
