package ycsb

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/kv"
)

// model is the simplest engine: a map and a mutex. put, when not nil, may change or drop what is written.
type model struct {
	mu      sync.Mutex
	records map[string][]byte
	put     func(key, value []byte) []byte
}

var errMissing = errors.New("no such key")

func (m *model) Update(_ context.Context, fn func(kv.Tx) error) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return 1, fn(m)
}

func (m *model) View(ctx context.Context, fn func(kv.Tx) error) error {
	_, err := m.Update(ctx, fn)
	return err
}

func (m *model) Get(dst, key []byte) ([]byte, error) {
	value, ok := m.records[string(key)]
	if !ok {
		return dst, errMissing
	}
	return append(dst, value...), nil
}

func (m *model) GetForUpdate(dst, key []byte) ([]byte, error) { return m.Get(dst, key) }

func (m *model) Put(key, value []byte) error {
	value = bytes.Clone(value)
	if m.put != nil {
		if value = m.put(key, value); value == nil {
			return nil
		}
	}
	m.records[string(key)] = value
	return nil
}

func (m *model) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	n := 0
	for _, key := range slices.Sorted(maps.Keys(m.records)) {
		if key < string(from) {
			continue
		}
		fn([]byte(key), m.records[key])
		if n++; n == limit {
			break
		}
	}
	return nil
}

// run does a number of operations of a mix on a fresh database and audits it.
func run(t *testing.T, m Mix, ops int64, put func(key, value []byte) []byte) (gen.Checksum, error) {
	t.Helper()
	d := kv.NewDataset(200, 48)
	db := &model{records: map[string][]byte{}}
	for key, value := range d.Records(true) {
		db.records[string(key)] = bytes.Clone(value)
	}
	db.put = put
	b := New(m, NewState(d), 1, []kv.Session{db, db, db})
	if _, err := drive.Closed(t.Context(), 3, drive.Limit{Ops: ops}, b.Do); err != nil {
		return 0, err
	}
	return b.Audit(t.Context(), db, true)
}

func TestEveryMixPassesItsAuditOnAnHonestEngine(t *testing.T) {
	for _, m := range Mixes() {
		if sum, err := run(t, m, 900, nil); err != nil || sum == 0 {
			t.Errorf("%s: checksum %v, %v", m.Name, sum, err)
		}
	}
}

func TestAFalseAnswerIsNoticed(t *testing.T) {
	drop := func() func(key, value []byte) []byte { // every 20th write is acknowledged and lost
		n := 0
		return func(_, value []byte) []byte {
			if n++; n%20 == 0 {
				return nil
			}
			return value
		}
	}
	tear := func(_, value []byte) []byte { value[len(value)-1] ^= 1; return value }
	for name, c := range map[string]struct {
		mix string
		put func(key, value []byte) []byte
	}{
		"lost modification": {"F", drop()}, "lost insert": {"D", drop()}, "lost insert beside scans": {"E", drop()},
		"torn update": {"A", tear}, "torn insert": {"D", tear}, "torn modification": {"F", tear},
		"value of another record": {"A", func(key, value []byte) []byte { return gen.AppendValue(nil, 3, 1, len(value)) }},
	} {
		m, err := ByName([]string{c.mix})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, m[0], 900, c.put); err == nil {
			t.Errorf("%s went unnoticed", name)
		}
	}
}

func TestAMixHasItsShares(t *testing.T) {
	want := map[string]map[Kind]float64{
		"A": {Read: .5, Update: .5}, "B": {Read: .95, Update: .05}, "C": {Read: 1}, "D": {Read: .95, Insert: .05},
		"E": {Scan: .95, Insert: .05}, "F": {Read: .5, Modify: .5},
	}
	const ops = 100_000
	state := NewState(kv.NewDataset(1000, 8))
	for _, m := range Mixes() {
		b := New(m, state, 0, nil)
		got := map[Kind]float64{}
		hottest, lengths := 0.0, 0.0
		for n := range uint64(ops) {
			op := b.draw(n, 1000)
			got[op.kind] += 1.0 / ops
			if op.record >= 1000 || op.length < 1 || op.length > MaxScan {
				t.Fatalf("%s: operation %+v", m.Name, op)
			}
			if op.record == 0 && !m.Latest || op.record == 999 && m.Latest {
				hottest += 1.0 / ops
			}
			lengths += float64(op.length) / ops
		}
		for kind, share := range got {
			if math.Abs(share-want[m.Name][kind]) > 0.01 {
				t.Errorf("%s: kind %d has %.3f, want %.2f", m.Name, kind, share, want[m.Name][kind])
			}
		}
		if math.Abs(hottest-0.13) > 0.01 || math.Abs(lengths-50.5) > 1 {
			t.Errorf("%s: the hottest record has %.3f, want about 0.13; scans have %.1f records, want 50.5", m.Name, hottest, lengths)
		}
	}
}

func TestARecordIsKnownWhenAllBeforeItAreThere(t *testing.T) {
	var i inserts
	i.init(10)
	for want := range uint64(3) {
		if got := i.begin(); got != 10+want {
			t.Fatalf("record %d was begun, want %d", got, 10+want)
		}
	}
	for _, step := range []struct{ acknowledged, known uint64 }{{12, 10}, {10, 11}, {11, 13}} {
		i.acknowledge(step.acknowledged)
		if got := i.known.Load(); got != step.known {
			t.Errorf("after record %d those below %d are known, want %d", step.acknowledged, got, step.known)
		}
	}
}

func TestAnUnknownMixIsAnError(t *testing.T) {
	if list, err := ByName(nil); err != nil || len(list) != 6 {
		t.Errorf("no names are %d workloads, %v, want 6", len(list), err)
	}
	if _, err := ByName([]string{"A", "G"}); err == nil {
		t.Error("G was accepted")
	}
}
