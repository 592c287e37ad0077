package versions

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func put(key, value string) Write { return Write{Key: []byte(key), Value: []byte(value), Kind: Put} }

func puts(keys ...string) []Write {
	var writes []Write
	for _, key := range keys {
		writes = append(writes, put(key, key))
	}
	return writes
}

func split(keys ...string) [][]byte {
	var splits [][]byte
	for _, key := range keys {
		splits = append(splits, []byte(key))
	}
	return splits
}

// checked fails the test if the table is inconsistent.
func checked(t *testing.T, table *Table) {
	t.Helper()
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
}

// upward and downward return the keys that a cursor at the timestamp shows.
func upward(table *Table, from []byte, timestamp uint64) (keys []string) {
	c := table.Cursor(timestamp)
	for ok := c.Seek(from); ok; ok = c.Next() {
		keys = append(keys, string(c.Key()))
	}
	return keys
}

func downward(table *Table, from []byte, timestamp uint64) (keys []string) {
	c := table.Cursor(timestamp)
	for ok := c.SeekLT(from); ok; ok = c.Prev() {
		keys = append(keys, string(c.Key()))
	}
	return keys
}

func TestEmptyTableHasNothing(t *testing.T) {
	for _, table := range []*Table{New(nil), New(split("a", "b"))} {
		checked(t, table)
		if table.Get([]byte("a"), 9) != nil || table.Newest(nil) != nil {
			t.Error("a read found a version")
		}
		if keys := append(upward(table, nil, 9), downward(table, nil, 9)...); keys != nil {
			t.Errorf("a cursor found %q", keys)
		}
		if _, found := table.NewerInRange(nil, nil, 0); found {
			t.Error("NewerInRange found a key")
		}
		table.All(func(key []byte, _ *Version) bool { t.Errorf("All shows %q", key); return true })
		if table.Prune(9) != 0 || table.Keys() != 0 || table.Bytes() != 0 {
			t.Error("it claims to have a size")
		}
		table.Apply(1, nil)
		checked(t, table)
	}
}

func TestEmptyKeyIsAKeyLikeOthers(t *testing.T) {
	table := New(split("a"))
	table.Apply(1, puts("", "a"))
	checked(t, table)
	if table.Get(nil, 1) == nil || table.Get([]byte{}, 1) == nil {
		t.Error("it is not found")
	}
	if got, want := upward(table, nil, 1), []string{"", "a"}; !slices.Equal(got, want) {
		t.Errorf("upward: %q, want %q", got, want)
	}
	if c := table.Cursor(1); c.SeekLT([]byte{}) {
		t.Errorf("%q is below the empty key", c.Key())
	}
	if key, found := table.NewerInRange([]byte{}, []byte("a"), 0); !found || len(key) != 0 {
		t.Errorf("NewerInRange = %q, %v", key, found)
	}
	if _, found := table.NewerInRange([]byte{}, []byte{}, 0); found {
		t.Error("NewerInRange found a key in an empty range")
	}
}

func TestKeyEqualToASplitBeginsItsPartition(t *testing.T) {
	table := New(split("b", "d"))
	table.Apply(1, puts("a", "b", "b\x00", "c", "d", "e"))
	checked(t, table)
	for key, want := range map[string]int{"a": 0, "b": 1, "b\x00": 1, "c": 1, "d": 2, "e": 2} {
		if got := table.locate([]byte(key)); got != want {
			t.Errorf("%q is in partition %d, want %d", key, got, want)
		}
	}
	if got := downward(table, []byte("d"), 1); !slices.Equal(got, []string{"c", "b\x00", "b", "a"}) {
		t.Errorf("below d: %q", got)
	}
	if got := upward(table, []byte("b"), 1); !slices.Equal(got, []string{"b", "b\x00", "c", "d", "e"}) {
		t.Errorf("from b: %q", got)
	}
	if got := downward(table, []byte("b"), 1); !slices.Equal(got, []string{"a"}) {
		t.Errorf("below b: %q", got)
	}
}

func TestSplitsInAnyOrderAreUnderstood(t *testing.T) {
	splits := split("d", "", "b", "d", "b")
	table := New(splits)
	splits[0][0] = 'z'
	if len(table.partitions) != 3 {
		t.Fatalf("%d partitions, want 3", len(table.partitions))
	}
	table.Apply(1, puts("a", "b", "c", "d"))
	checked(t, table)
}

func TestLaterWriteOfTheSameCallWins(t *testing.T) {
	table := New(nil)
	table.Apply(1, []Write{put("a", "1"), put("a", "2"), put("b", "1")})
	table.Apply(2, []Write{put("b", "2"), put("a", "3"), put("b", "3")})
	checked(t, table)
	for key, want := range map[string]string{"a": "3", "b": "3"} {
		if got := string(table.Newest([]byte(key)).Value); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	if got := string(table.Get([]byte("a"), 1).Value); got != "2" {
		t.Errorf("a at 1 is %s, want 2", got)
	}
}

func TestUnorderedWritesAreFound(t *testing.T) {
	table := New(split("k005", "k010", "k015"))
	var writes []Write
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(50) {
		writes = append(writes, put(fmt.Sprintf("k%03d", i), "v"))
	}
	table.Apply(1, writes)
	checked(t, table)
	if got := upward(table, nil, 1); len(got) != 50 || !slices.IsSorted(got) {
		t.Errorf("keys %q", got)
	}
}

func TestManyKeysSurviveGrowth(t *testing.T) {
	table := New(split("3", "6"))
	const keys = 20_000
	for i, n := range rand.New(rand.NewPCG(1, 2)).Perm(keys) {
		table.Apply(uint64(i+1), puts(fmt.Sprint(n)))
	}
	checked(t, table)
	for n := range keys {
		if v := table.Newest([]byte(fmt.Sprint(n))); v == nil || string(v.Value) != fmt.Sprint(n) {
			t.Fatalf("key %d has %v", n, v)
		}
	}
	up, down := upward(table, nil, keys), downward(table, nil, keys)
	slices.Reverse(down)
	if len(up) != keys || !slices.IsSorted(up) || !slices.Equal(up, down) {
		t.Errorf("%d keys upward, %d downward", len(up), len(down))
	}
	if got := upward(table, nil, 100); len(got) != 100 {
		t.Errorf("at 100 a cursor shows %d keys, want 100", len(got))
	}
}

func TestKeysWithTheSameHashAreToldApart(t *testing.T) {
	const hash = 77
	var s shard
	for i := range 100 {
		if present, _ := s.insert(hash, &entry{key: fmt.Append(nil, i)}); present != nil {
			t.Fatalf("%d is taken for %s", i, present.key)
		}
	}
	for i := range 100 {
		key := fmt.Append(nil, i)
		if e := s.find(hash, key); e == nil || string(e.key) != string(key) {
			t.Errorf("%d is not found", i)
		}
	}
	if s.find(hash, []byte("100")) != nil || s.find(hash+2, []byte("1")) != nil {
		t.Error("a key is found that is not there")
	}
}

func TestCursorDoesNotRetainTheKeyThatItSought(t *testing.T) {
	table := New(split("b"))
	table.Apply(1, puts("a", "c"))
	c := table.Cursor(1)
	for name, move := range map[string]func([]byte) bool{"Seek": c.Seek, "SeekLT": c.SeekLT} {
		for _, key := range []string{"", "a", "b", "c", "d"} {
			if move([]byte(key)); c.scan.target.key != nil {
				t.Errorf("%s(%q) retains the key", name, key)
			}
		}
	}
}

func TestCursorWithoutTableFindsNothing(t *testing.T) {
	table := New(nil)
	table.Apply(1, puts("a"))
	c := table.Cursor(1)
	if c.Next() || c.Prev() || c.Key() != nil || c.Version() != nil {
		t.Error("a new cursor has a position")
	}
	c.Seek(nil)
	c.Reset(nil, 0)
	if c.Next() || c.Prev() || c.Seek(nil) || c.SeekLT(nil) || c.Key() != nil || c.Version() != nil {
		t.Error("a cursor without table has a position")
	}
	c.Reset(table, 1)
	if !c.Seek(nil) || string(c.Key()) != "a" {
		t.Error("a cursor that got its table back does not find its key")
	}
}

func TestPruneLetsGoOfEachDroppedVersion(t *testing.T) {
	table := New(nil)
	for i := range uint64(5) {
		table.Apply(i+1, puts("a"))
	}
	held := table.Get([]byte("a"), 2)
	table.Prune(5)
	checked(t, table)
	if held.Older() != nil || string(held.Value) != "a" {
		t.Error("a dropped version that is still held retains others, or lost its value")
	}
}

// What was entered while nobody looked, and what has come since, stand in one order.
func TestTheBacklogIsAbsorbedInOrder(t *testing.T) {
	table := New(split("k3"))
	for _, keys := range [][]string{{"k1", "k5"}, {"k0", "k3"}, {"k2", "k4", "k9"}} {
		table.Apply(1, puts(keys...))
	}
	checkOrder := func(want ...string) {
		t.Helper()
		var got []string
		table.All(func(key []byte, _ *Version) bool {
			got = append(got, string(key))
			return true
		})
		if !slices.Equal(got, want) {
			t.Errorf("the order is %q, want %q", got, want)
		}
	}
	checkOrder("k0", "k1", "k2", "k3", "k4", "k5", "k9")
	for i := range table.partitions {
		if n := table.partitions[i].late.size.Load(); n != 0 {
			t.Errorf("%d entries are left in the backlog of partition %d", n, i)
		}
	}
	table.Apply(2, puts("k11", "k6"))
	checkOrder("k0", "k1", "k11", "k2", "k3", "k4", "k5", "k6", "k9")
	checked(t, table)
}

// Beside readers commits keep the order themselves; when none comes for a while they leave it.
func TestCommitsKeepTheOrderForReadersThatComeAgain(t *testing.T) {
	table := New(nil)
	late := func() int64 { return table.partitions[0].late.size.Load() }
	table.Apply(1, puts("a", "b"))
	if late() != 2 {
		t.Errorf("%d entries wait though nobody has needed their order, want 2", late())
	}
	table.Cursor(1).Seek(nil)
	for i := range perReader {
		table.Apply(2, puts(fmt.Sprintf("k%03d", i)))
		if late() != 0 {
			t.Fatalf("%d entries wait after %d commits since a reader came", late(), i+1)
		}
	}
	table.Apply(2, puts("c", "d", "e"))
	if late() != 3 {
		t.Errorf("%d entries wait long after the last reader, want 3", late())
	}
	checked(t, table)
}

// A range check of one key must not make the order of all others.
func TestARangeOfOneKeyNeedsNoOrder(t *testing.T) {
	table := New(nil)
	table.Apply(1, puts("a", "b", "b\x00"))
	table.Apply(2, puts("b"))
	for _, c := range []struct {
		lo, hi string
		after  uint64
		want   string
	}{{"b", "b\x00", 1, "b"}, {"b", "b\x00", 2, ""}, {"a", "a\x00", 1, ""}, {"c", "c\x00", 0, ""}, {"", "\x00", 0, ""}} {
		key, found := table.NewerInRange([]byte(c.lo), []byte(c.hi), c.after)
		if string(key) != c.want || found != (c.want != "") {
			t.Errorf("newer than %d in [%q, %q): %q, %v, want %q", c.after, c.lo, c.hi, key, found, c.want)
		}
	}
	if n := table.partitions[0].late.size.Load(); n != 3 {
		t.Errorf("%d entries are in the backlog, want 3", n)
	}
	if _, found := table.NewerInRange([]byte("b"), []byte("b\x01"), 1); !found {
		t.Error("a range of two keys is not looked at")
	}
}

func TestPruneForgetsKeysWithOneVersion(t *testing.T) {
	table := New(nil)
	table.Apply(1, puts("a", "b"))
	table.Apply(2, puts("a"))
	table.Apply(3, puts("b"))
	table.Prune(2)
	checked(t, table)
	listed := 0
	for i := range table.shards {
		listed += len(table.shards[i].mu.chains)
	}
	if listed != 1 {
		t.Errorf("%d keys are listed as chains, want b alone", listed)
	}
}

func TestReadsDoNotAllocate(t *testing.T) {
	table := New(split("5"))
	for i := range 1000 {
		table.Apply(uint64(i+1), puts(fmt.Sprint(i)))
	}
	present, absent := []byte("77"), []byte("nothing")
	c := table.Cursor(1000)
	reads := map[string]func(){
		"Get":    func() { table.Get(present, 1000); table.Get(absent, 1000) },
		"Newest": func() { table.Newest(present); table.Newest(absent) },
		"Cursor": func() { c.Seek(present); c.Next(); c.Prev(); c.SeekLT(absent); c.Reset(table, 999) },
	}
	for name, read := range reads {
		if got := testing.AllocsPerRun(100, read); got != 0 {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

// Each case breaks one thing in a sound table; Check must name the invariant.
func TestCheckNamesTheBrokenInvariant(t *testing.T) {
	entryOf := func(table *Table, key string) *entry { return table.find([]byte(key)) }
	cases := []struct {
		invariant string
		damage    func(table *Table)
	}{
		{"V2", func(table *Table) { entryOf(table, "a").push(&Version{Timestamp: 1}) }},
		{"V3", func(table *Table) { entryOf(table, "b").head.Store(nil) }},
		{"V3", func(table *Table) {
			e := &entry{key: []byte("x")}
			table.shard(table.hash(e.key)).insert(table.hash(e.key), e)
		}},
		{"V3", func(table *Table) {
			e := &entry{key: []byte("c")}
			e.head.Store(&Version{Timestamp: 1})
			table.partitions[0].insert([]*entry{e})
		}},
		{"V5", func(table *Table) { entryOf(table, "a").chained.Store(false) }},
		{"V5", func(table *Table) { entryOf(table, "b").chained.Store(true) }},
		{"V5", func(table *Table) { table.shard(table.hash([]byte("a"))).prunableAt.Store(never) }},
		{"V6", func(table *Table) { table.shard(table.hash([]byte("a"))).mu.keys++ }},
		{"V6", func(table *Table) { entryOf(table, "a").key = []byte("y") }},
		{"V7", func(table *Table) { table.occupied[0].Store(0) }},
		{"V7", func(table *Table) { table.partitions[1].newest.Store(0) }},
		{"V7", func(table *Table) { entryOf(table, "b").partition = 1 }},
		{"accounting", func(table *Table) { table.bytes.Add(1) }},
		{"accounting", func(table *Table) { table.keys.Add(1) }},
	}
	for i, c := range cases {
		table := New(split("m"))
		table.Apply(1, puts("a", "b", "n"))
		table.Apply(2, puts("a"))
		checked(t, table)
		c.damage(table)
		var broken *InvariantError
		err := table.Check()
		if !errors.As(err, &broken) || !errors.Is(err, ErrInconsistent) || broken.Invariant != c.invariant {
			t.Errorf("case %d: got %v, want %s", i, err, c.invariant)
		} else if !strings.HasPrefix(err.Error(), "versions: invariant "+c.invariant+" is broken") {
			t.Errorf("case %d: text %q", i, err)
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	if got := fmt.Sprint(Put, Delete, Kind(0)); got != "put delete unknown kind" {
		t.Error(got)
	}
}

// A commit enters its key although a reader holds the partition, and whoever needs the order next finds it.
func TestACommitDoesNotWaitForReadersOfThePartition(t *testing.T) {
	table := New(nil)
	p := &table.partitions[0]
	var want []string
	for i := range uint64(2 * perReader) {
		if got := upward(table, nil, i); !slices.Equal(got, want) { // somebody needs the order again and again
			t.Fatalf("after %d commits there are %q", i, got)
		}
		if i > 0 && p.demand.Load() == 0 {
			t.Fatal("nobody has noticed the reader")
		}
		key := fmt.Sprintf("%03d", i)
		p.mu.RLock()
		table.Apply(i+1, []Write{put(key, key)})
		p.mu.RUnlock()
		want = append(want, key)
	}
	checked(t, table)
}
