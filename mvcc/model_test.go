package mvcc

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
)

// model is a multi-version map: what the database must look like.
type model struct {
	seq      int
	versions map[string][]modelVersion // ascending
}

type modelVersion struct {
	seq     int
	value   string
	deleted bool
}

func (m *model) at(key string, seq int) (string, bool) {
	for _, v := range slices.Backward(m.versions[key]) {
		if v.seq <= seq {
			return v.value, !v.deleted
		}
	}
	return "", false
}

func (m *model) changedAfter(key string, seq int) bool {
	vs := m.versions[key]
	return len(vs) > 0 && vs[len(vs)-1].seq > seq
}

// modelTxn is the model of one transaction.
type modelTxn struct {
	tx       *Txn
	iso      Isolation
	snapshot int // -1 until taken
	writes   map[string]*string
	locks    map[string]bool
	points   map[string]bool
	spans    []Range
	saved    []modelSave

	shared   map[string]bool  // shared locks
	adds     map[string]int64 // to counters, which are keys of their own
	required map[string]bool  // keys that must exist
	guards   []modelGuard
}

type modelSave struct {
	sp     Savepoint
	writes map[string]*string
	adds   map[string]int64
}

// machine drives a database and the model with the same operations.
type machine struct {
	fs    *vfs.Mem
	db    *DB
	ks    *Keyspace
	model model
	txns  []*modelTxn
	spill bool // each write set goes to temporary files at once
}

func modelKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "a", "a\x00", "ab", "b", "b\x00\x00", "c", "long" + strings.Repeat("x", 40), "d\xff", "e"}).Draw(t, "key")
}

func (m *machine) pick(t *rapid.T) *modelTxn {
	if len(m.txns) == 0 {
		t.Skip("no transaction")
	}
	return m.txns[rapid.IntRange(0, len(m.txns)-1).Draw(t, "txn")]
}

func (m *machine) Begin(t *rapid.T) {
	if len(m.txns) >= 4 {
		t.Skip("enough")
	}
	m.begin(t, rapid.SampledFrom([]Isolation{ReadCommitted, Snapshot, Serializable}).Draw(t, "iso"))
}

func (m *machine) begin(t *rapid.T, iso Isolation) *modelTxn {
	x := &modelTxn{
		tx: begin(t, m.db, iso), iso: iso, snapshot: -1, writes: map[string]*string{},
		locks: map[string]bool{}, points: map[string]bool{},
		shared: map[string]bool{}, adds: map[string]int64{}, required: map[string]bool{},
	}
	m.txns = append(m.txns, x)
	return x
}

// Alone is a whole transaction with one write.
func (m *machine) Alone(t *rapid.T) {
	x := m.begin(t, ReadCommitted)
	m.write(t, x, modelKey(t))
	m.commit(t, x)
}

func (m *machine) readSeq(x *modelTxn) int {
	if x.iso == ReadCommitted {
		return m.model.seq
	}
	if x.snapshot < 0 {
		x.snapshot = m.model.seq
	}
	return x.snapshot
}

func (m *machine) lockedByOther(x *modelTxn, key string) bool {
	return slices.ContainsFunc(m.txns, func(o *modelTxn) bool { return o != x && (o.locks[key] || o.shared[key]) })
}

// lock models the lock and conflict check of a write, and returns the error expected.
func (m *machine) lock(x *modelTxn, key string) error {
	if m.lockedByOther(x, key) {
		return ErrLockNotAvailable
	}
	x.locks[key] = true
	if x.iso != ReadCommitted && m.model.changedAfter(key, m.readSeq(x)) {
		if !m.unchanged(x) {
			return ErrConflict
		}
		m.move(x)
	}
	return nil
}

// unchanged reports whether all that the transaction read is still so.
func (m *machine) unchanged(x *modelTxn) bool {
	for key := range x.points {
		if m.model.changedAfter(key, x.snapshot) {
			return false
		}
	}
	for key := range m.model.versions {
		for _, r := range x.spans {
			if inRange(r, key) && m.model.changedAfter(key, x.snapshot) {
				return false
			}
		}
	}
	return m.guarded(x)
}

func (m *machine) Write(t *rapid.T) { m.write(t, m.pick(t), modelKey(t)) }

func (m *machine) write(t *rapid.T, x *modelTxn, key string) {
	var value *string
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
		v := rapid.SampledFrom([]string{"", "v", strings.Repeat("w", 100), strings.Repeat("large", 2000)}).Draw(t, "value")
		v += fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "n"))
		value = &v
	}
	var wantErr error
	if _, mine := x.writes[key]; !mine {
		wantErr = m.lock(x, key)
	}
	var err error
	if value == nil {
		err = x.tx.Delete(m.ks, []byte(key))
	} else {
		err = x.tx.Put(m.ks, []byte(key), []byte(*value))
	}
	if !errors.Is(err, wantErr) || (wantErr == nil) != (err == nil) {
		t.Fatalf("write %q: got %v, want %v", key, err, wantErr)
	}
	if err == nil {
		x.writes[key] = value
	}
}

func (m *machine) see(x *modelTxn, key string) (string, bool) {
	if v, mine := x.writes[key]; mine {
		if v == nil {
			return "", false
		}
		return *v, true
	}
	value, found := m.model.at(key, m.readSeq(x))
	if delta, added := x.adds[key]; added {
		return modelSum(value, found, delta), true
	}
	return value, found
}

func (m *machine) Get(t *rapid.T) {
	x, key := m.pick(t), modelKey(t)
	wantValue, wantFound := m.see(x, key)
	if _, mine := x.writes[key]; !mine {
		x.points[key] = true
	}
	m.compare(t, x, key, wantValue, wantFound)
}

func (m *machine) compare(t *rapid.T, x *modelTxn, key, wantValue string, wantFound bool) {
	v, err := x.tx.Get(m.ks, []byte(key))
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatalf("get %q: %v", key, err)
	}
	if (err == nil) != wantFound || string(v) != wantValue {
		t.Fatalf("get %q: got %q found %v, want %q found %v", key, v, err == nil, wantValue, wantFound)
	}
}

func (m *machine) GetForUpdate(t *rapid.T) {
	x, key := m.pick(t), modelKey(t)
	wantErr := m.lock(x, key)
	v, err := x.tx.GetForUpdate(m.ks, []byte(key))
	wantValue, wantFound := m.see(x, key)
	if wantErr == nil && !wantFound {
		wantErr = ErrNotFound
	}
	if !errors.Is(err, wantErr) || err == nil && string(v) != wantValue {
		t.Fatalf("get %q for update: got %q, %v, want %q, %v", key, v, err, wantValue, wantErr)
	}
	if _, mine := x.writes[key]; !mine && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrLockNotAvailable) {
		x.points[key] = true
	}
}

func drawRange(t *rapid.T) Range {
	a, b := []byte(modelKey(t)), []byte(modelKey(t))
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	switch rapid.IntRange(0, 5).Draw(t, "bounds") {
	case 0:
		return Range{Lo: a}
	case 1:
		return Range{Hi: b}
	}
	return Range{a, b}
}

func inRange(r Range, key string) bool {
	return key >= string(r.Lo) && (r.Hi == nil || key < string(r.Hi))
}

// Scan walks a range in one direction and may stop early.
func (m *machine) Scan(t *rapid.T) {
	x, r := m.pick(t), drawRange(t)
	reverse := rapid.Bool().Draw(t, "reverse")
	limit := rapid.IntRange(1, 12).Draw(t, "limit")
	var keys []string
	all := maps.Clone(x.writes)
	for key := range m.model.versions {
		all[key] = nil
	}
	for key := range x.adds {
		all[key] = nil
	}
	for key := range all {
		if _, found := m.see(x, key); found && inRange(r, key) {
			keys = append(keys, key)
		}
	}
	m.readSeq(x)
	slices.Sort(keys)
	seq := x.tx.Scan(m.ks, r)
	if reverse {
		slices.Reverse(keys)
		seq = x.tx.Reverse(m.ks, r)
	}
	n := 0
	for item, err := range seq {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		if n >= len(keys) || string(item.Key) != keys[n] {
			t.Fatalf("scan %q reverse %v: item %d is %q, want %q", r, reverse, n, item.Key, keys[min(n, len(keys)):])
		}
		if v, _ := m.see(x, keys[n]); v != string(item.Value) {
			t.Fatalf("scan: %q = %q, want %q", item.Key, item.Value, v)
		}
		if n++; n == limit {
			break
		}
	}
	if n < min(len(keys), limit) {
		t.Fatalf("scan %q reverse %v: got %d items, want %d", r, reverse, n, len(keys))
	}
	x.spans = append(x.spans, spanRead(r, keys, n, limit, reverse))
}

// spanRead is what the scan has seen: all, or up to the key where it stopped.
func spanRead(r Range, keys []string, n, limit int, reverse bool) Range {
	if n < limit {
		return r
	}
	if reverse {
		return Range{[]byte(keys[n-1]), r.Hi}
	}
	return Range{r.Lo, []byte(keys[n-1] + "\x00")}
}

func (m *machine) Savepoint(t *rapid.T) {
	x := m.pick(t)
	sp, err := x.tx.Savepoint()
	if err != nil {
		t.Fatalf("savepoint: %v", err)
	}
	x.saved = append(x.saved, modelSave{sp, maps.Clone(x.writes), maps.Clone(x.adds)})
}

func (m *machine) RollbackTo(t *rapid.T) {
	x := m.pick(t)
	if len(x.saved) == 0 {
		t.Skip("no savepoint")
	}
	s := x.saved[rapid.IntRange(0, len(x.saved)-1).Draw(t, "savepoint")]
	if err := x.tx.RollbackTo(s.sp); err != nil {
		t.Fatalf("rollback to: %v", err)
	}
	x.writes, x.adds = maps.Clone(s.writes), maps.Clone(s.adds)
}

// validates models the check at commit.
func (m *machine) validates(x *modelTxn) bool {
	return len(x.writes)+len(x.adds) == 0 || m.guarded(x) && (x.iso != Serializable || m.unchanged(x))
}

func (m *machine) Commit(t *rapid.T) { m.commit(t, m.pick(t)) }

func (m *machine) commit(t *rapid.T, x *modelTxn) {
	m.txns = slices.DeleteFunc(m.txns, func(o *modelTxn) bool { return o == x })
	ok := m.validates(x)
	if len(m.db.state.Load().frozen) > 0 {
		m.Checkpoint(t) // a large commit waits for it
	}
	err := x.tx.Commit()
	if ok && err != nil || !ok && !errors.Is(err, ErrConflict) {
		t.Fatalf("commit %v: got %v, want success %v", x.iso, err, ok)
	}
	if err != nil || len(x.writes)+len(x.adds) == 0 {
		return
	}
	m.model.seq++
	m.addUp(x)
	for key, v := range x.writes {
		mv := modelVersion{seq: m.model.seq, deleted: v == nil}
		if v != nil {
			mv.value = *v
		}
		m.model.versions[key] = append(m.model.versions[key], mv)
	}
}

func (m *machine) Rollback(t *rapid.T) {
	x := m.pick(t)
	m.txns = slices.DeleteFunc(m.txns, func(o *modelTxn) bool { return o == x })
	x.tx.Rollback()
	if err := x.tx.Commit(); !errors.Is(err, ErrTxnDone) {
		t.Fatalf("commit after rollback: %v", err)
	}
}

func (m *machine) Checkpoint(t *rapid.T) {
	m.unfreeze()
	checkpoint(t, m.db)
	m.freeze()
}

// freeze keeps checkpoints from merging what large commits leave, so that layers are read; unfreeze lets them.
func (m *machine) freeze() {
	if m.spill {
		m.db.checkpoints.run.Lock()
	}
}

func (m *machine) unfreeze() {
	if m.spill {
		m.db.checkpoints.run.Unlock()
	}
}

func (m *machine) Prune(*rapid.T) { m.db.prune(m.db.state.Load()) }

func (m *machine) endAll() {
	for _, x := range m.txns {
		x.tx.Rollback()
	}
	m.txns = nil
}

// evenly draws one of a list. Rapid itself prefers what comes first, also among the actions of Repeat.
func evenly[T any](t *rapid.T, list []T) T {
	n := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 8, 8).Draw(t, "choice") {
		if n *= 2; bit {
			n++
		}
	}
	return list[n%len(list)]
}

// seldom lets one of three go on: transactions live longer that way.
func seldom(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "seldom") > 0 {
		t.Skip("not now")
	}
}

func (m *machine) Reopen(t *rapid.T) {
	seldom(t)
	m.endAll()
	m.unfreeze()
	if err := m.db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.open(t)
}

// Crash loses power: what is not synced is gone, or kept, or torn.
func (m *machine) Crash(t *rapid.T) {
	seldom(t)
	cfg := vfs.CrashConfig{Mode: rapid.SampledFrom([]vfs.CrashMode{vfs.LoseAll, vfs.KeepAll, vfs.Random}).Draw(t, "mode"), Seed: rapid.Uint64().Draw(t, "seed")}
	image := m.fs.Crash(cfg)
	m.endAll()
	m.unfreeze()
	if err := m.db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.fs = image
	m.open(t)
}

func (m *machine) open(t tb) {
	m.db = openOn(t, m.fs)
	m.ks = keyspace(t, m.db, "model")
	m.db.larges.always = m.spill
	m.freeze()
}

// Check compares everything at the newest state, and verifies the files.
func (m *machine) Check(t *rapid.T) {
	tx := begin(t, m.db, Snapshot)
	defer tx.Rollback()
	var got, wanted []string
	for item, err := range tx.Scan(m.ks, Range{}) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		got = append(got, fmt.Sprintf("%q=%q", item.Key, item.Value))
	}
	for key := range m.model.versions {
		if v, found := m.model.at(key, m.model.seq); found {
			wanted = append(wanted, fmt.Sprintf("%q=%q", key, v))
		}
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Fatalf("newest state: got %v, want %v", got, wanted)
	}
}

// fewerButLonger makes rapid run sequences that are longer than its own, and fewer of them, unless the command line says
// how many and how long.
func fewerButLonger(t *testing.T) {
	for name, n := range map[string]string{"rapid.checks": "40", "rapid.steps": "90"} {
		f := flag.Lookup(name)
		if f.Value.String() != f.DefValue {
			continue
		}
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) }) // its own default cannot be refused
		if err := f.Value.Set(n); err != nil {
			t.Fatal(err)
		}
	}
}

// Transactions of all levels, interleaved, with checkpoints, restarts and
// power losses between any two operations, behave as the multi-version map says.
func TestInterleavedTransactionsMatchTheModel(t *testing.T) {
	fewerButLonger(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{fs: newMem(t), model: model{versions: map[string][]modelVersion{}}, spill: rapid.Bool().Draw(t, "spill")}
		m.open(t)
		for range rapid.IntRange(0, 12).Draw(t, "content") {
			m.Alone(t)
		}
		steps := []func(*rapid.T){
			m.Begin, m.Begin, m.Begin, m.Write, m.Write, m.Get, m.GetForUpdate, m.GetForShare, m.Scan, m.Savepoint, m.RollbackTo,
			m.Commit, m.Commit, m.Alone, m.Disturb, m.Disturb, m.Rollback, m.Add, m.GetCounter, m.RequireExists, m.RequireExists,
			m.RequireUnchanged, m.Checkpoint, m.Prune, m.Reopen, m.Crash,
		}
		t.Repeat(map[string]func(*rapid.T){"": m.Check, "step": func(t *rapid.T) { evenly(t, steps)(t) }})
		m.endAll()
		m.unfreeze()
		check(t, m.db)
		if err := m.db.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	})
}
