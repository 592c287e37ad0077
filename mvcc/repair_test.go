package mvcc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

const savedPath = "db/saved.sombra"

func mustRepair(t *testing.T, mem *vfs.Mem) *RepairReport {
	t.Helper()
	o := RepairOptions{Options: *testOptions(mem)}
	o.Retain.Duration = time.Hour
	r, err := Repair(bg, testPath, savedPath, &o)
	must(t, err)
	if len(r.Check.Problems) > 0 {
		t.Fatalf("what was saved is damaged: %v", r.Check.Problems)
	}
	if left := mem.OpenHandles(); len(left) > 0 {
		t.Fatalf("left open: %q", left)
	}
	return r
}

func openSaved(t *testing.T, mem *vfs.Mem) *DB {
	t.Helper()
	o := testOptions(mem)
	o.Retain.Duration = time.Hour
	db, err := Open(savedPath, o)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// pagesWith returns the pages of a kind that belong to a tree, old ones in free places too.
func pagesWith(t *testing.T, mem *vfs.Mem, kind byte, tree pagestore.TreeID) (pages []int64) {
	t.Helper()
	b := fileBytes(t, mem, testPath)
	for p := int64(2); (p+1)*4096 <= int64(len(b)); p++ {
		if b[p*4096+4] == kind && b[p*4096+32] == byte(tree) {
			pages = append(pages, p)
		}
	}
	return pages
}

func fileBytes(t *testing.T, mem *vfs.Mem, name string) []byte {
	t.Helper()
	f, err := mem.OpenFile(name, os.O_RDONLY, 0)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	return b
}

func spoil(t *testing.T, mem *vfs.Mem, name string, off int64) {
	t.Helper()
	f, err := mem.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, off)
	must(t, err)
}

// repairable is a database that keeps its past: n is 1, then 2 in the data file, then 3 in the log.
func repairable(t *testing.T) (mem *vfs.Mem, at []Timestamp) {
	t.Helper()
	mem = newMem(t)
	db := openOn(t, mem, func(o *Options) { o.Retain.Duration = time.Hour })
	ks := keyspace(t, db, "k")
	for i := 1; i <= 3; i++ {
		tx := begin(t, db, Snapshot)
		put(t, tx, ks, "n", fmt.Sprint(i))
		put(t, tx, ks, fmt.Sprintf("at %d", i), "x")
		must(t, tx.Add(ks, []byte("sum"), int64(i)))
		commit(t, tx)
		at = append(at, tx.CommitTimestamp())
		if i < 3 {
			checkpoint(t, db)
		}
	}
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	must(t, db.Close())
	return image, at
}

func TestRepairOfAnIntactDatabaseKeepsItsPast(t *testing.T) {
	mem, at := repairable(t)
	r := mustRepair(t, mem)
	if len(r.Lost) > 0 || r.Commits != 1 || r.History == 0 || !r.Superblock {
		t.Errorf("%+v", r)
	}
	db := openSaved(t, mem)
	ks := keyspace(t, db, "k")
	for i, ts := range at {
		must(t, db.ViewAsOf(bg, ts, func(tx *Txn) error {
			want(t, "n", get(t, tx, ks, "n"), fmt.Sprint(i+1))
			return nil
		}))
	}
	set(t, db, keyspace(t, db, "new"), "a", "b")
	check(t, db)
}

func TestRepairWithoutHistorySavesThePresent(t *testing.T) {
	mem, at := repairable(t)
	for _, p := range pagesWith(t, mem, 1, pagestore.HistoryTree) {
		spoil(t, mem, testPath, p*4096+80)
	}
	r := mustRepair(t, mem)
	if len(r.Lost) != 1 || !strings.Contains(r.Lost[0].String(), "the past before the last checkpoint is given up") {
		t.Errorf("%v", r.Lost)
	}
	db := openSaved(t, mem)
	ks := keyspace(t, db, "k")
	must(t, db.View(bg, func(tx *Txn) error {
		want(t, "n", get(t, tx, ks, "n"), "3")
		want(t, "sum", get(t, tx, ks, "sum"), string(EncodeInt64(6)))
		return nil
	}))
	wantErr(t, "the past", db.ViewAsOf(bg, at[0], func(tx *Txn) error {
		_, err := tx.Get(ks, []byte("n"))
		return err
	}), ErrHistoryPruned)
}

// A counter whose value is lost must not come back as the sum of the additions in the log; and the names of keyspaces, which
// lie in the same leaf, are lost too.
func TestRepairMakesNoSumWithoutItsBase(t *testing.T) {
	mem, _ := repairable(t)
	for _, kind := range []byte{1, 6} {
		for _, p := range pagesWith(t, mem, kind, pagestore.DataTree) {
			spoil(t, mem, testPath, p*4096+80)
		}
	}
	r := mustRepair(t, mem)
	if len(r.Renamed) != 1 || r.Renamed[0] != "recovered-16" {
		t.Errorf("renamed: %q", r.Renamed)
	}
	db := openSaved(t, mem)
	ks := keyspace(t, db, "recovered-16")
	must(t, db.View(bg, func(tx *Txn) error {
		want(t, "n", get(t, tx, ks, "n"), "3")
		_, err := tx.Get(ks, []byte("sum"))
		wantErr(t, "sum", err, ErrNotFound)
		return nil
	}))
	if ks := keyspace(t, db, "next one"); ks.id <= 16 {
		t.Errorf("a new keyspace has the id %d", ks.id)
	}
}

func TestRenameKeyspace(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	old := keyspace(t, db, "recovered-16")
	keyspace(t, db, "other")
	must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(old, []byte("k"), []byte("v")) }))
	wantErr(t, "missing", db.RenameKeyspace(bg, "none", "accounts"), ErrNotFound)
	wantErr(t, "onto another", db.RenameKeyspace(bg, "recovered-16", "other"), ErrKeyspaceExists)
	wantErr(t, "empty", db.RenameKeyspace(bg, "recovered-16", ""), ErrInvalid)
	must(t, db.RenameKeyspace(bg, "recovered-16", "accounts"))
	verify := func(db *DB) {
		t.Helper()
		names, err := db.Keyspaces(bg)
		must(t, err)
		if !slices.Equal(names, []string{"accounts", "other"}) {
			t.Errorf("names: %q", names)
		}
		must(t, db.View(bg, func(tx *Txn) error {
			want(t, "k", get(t, tx, keyspace(t, db, "accounts"), "k"), "v")
			return nil
		}))
	}
	verify(db)
	must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(old, []byte("k"), []byte("v")) })) // an old handle goes on
	must(t, db.Close())
	db = openOn(t, mem)
	defer db.Close()
	verify(db)
	if ks := keyspace(t, db, "recovered-16"); ks.id == old.id {
		t.Error("the old name leads to the keyspace")
	}
}

// Large commits behind damage are whole if their chunks say so; the one that has lost a chunk is not there at all.
func TestRepairTakesOnlyWholeChains(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	large := strings.Repeat("x", 30<<10)
	for i := range 4 {
		tx := begin(t, db, Snapshot)
		for k := range 3 {
			put(t, tx, ks, fmt.Sprintf("%d/%d", i, k), large)
		}
		commit(t, tx)
	}
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	must(t, db.Close())
	names, err := image.ReadDir(testPath + logSuffix)
	must(t, err)
	lost := 0
	for _, name := range names {
		file := testPath + logSuffix + "/" + name
		b := fileBytes(t, image, file)
		for off := int64(4096 + 5000); off < int64(len(b)); off += 17000 {
			if b[off] != 'x' {
				continue
			}
			disk := image.Crash(vfs.CrashConfig{})
			spoil(t, disk, file, off)
			r := mustRepair(t, disk)
			db := openSaved(t, disk)
			ks := keyspace(t, db, "k")
			there, last := 0, false
			must(t, db.View(bg, func(tx *Txn) error {
				for i := range 4 {
					n := 0
					for k := range 3 {
						if ok, err := tx.Has(ks, fmt.Appendf(nil, "%d/%d", i, k)); err == nil && ok {
							n++
						}
					}
					if last = n == 3; last {
						there++
					} else if n > 0 {
						t.Errorf("%s, offset %d: commit %d is there in part: %d keys", name, off, i, n)
					}
				}
				return nil
			}))
			if there != 3 || last && len(r.Lost) == 0 { // without the last one the log just ends earlier
				t.Errorf("%s, offset %d: %d whole commits, want 3: %v", name, off, there, r.Lost)
			}
			lost++
		}
	}
	if lost == 0 {
		t.Error("no chunk was damaged")
	}
}

func TestRepairRefuses(t *testing.T) {
	mem, _ := repairable(t)
	o := &RepairOptions{Options: *testOptions(mem)}
	_, err := Repair(bg, "db/none", savedPath, o)
	wantErr(t, "nothing there", err, ErrNotExist)
	_, err = Repair(bg, testPath, testPath, o)
	wantErr(t, "onto itself", err, fs.ErrExist)
	_, err = Repair(bg, testPath, "", o)
	wantErr(t, "no name", err, ErrInvalid)
	db := openOn(t, mem)
	_, err = Repair(bg, testPath, savedPath, o)
	wantErr(t, "in use", err, ErrLocked)
	must(t, db.Close())
	if _, err := mem.Stat(savedPath); err == nil {
		t.Error("a refused repair has left something")
	}
}

// A repair that ends early leaves nothing that could be taken for a database, and the next one succeeds.
func TestAnInterruptedRepairLeavesNoDatabase(t *testing.T) {
	source, _ := repairable(t)
	for index, over := int64(0), false; !over; index += 3 {
		mem := source.Crash(vfs.CrashConfig{})
		disk := vfs.NewFaulty(mem, nil)
		disk.CutAt(index)
		o := &RepairOptions{Options: *testOptions(disk)}
		_, err := Repair(bg, testPath, savedPath, o)
		if over = !disk.IsOff(); over {
			must(t, err)
			break
		}
		if err != nil && !errors.Is(err, vfs.ErrPowerOff) { // it may have been cleaning up only
			t.Fatalf("change %d: %v", index, err)
		}
		after := mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: uint64(index)})
		if _, err := after.Stat(savedPath); err == nil {
			db := openSaved(t, after) // it had its name already: then it is whole
			ks := keyspace(t, db, "k")
			must(t, db.View(bg, func(tx *Txn) error {
				want(t, "n", get(t, tx, ks, "n"), "3")
				return nil
			}))
			continue
		}
		if _, err := after.Stat(savedPath + logSuffix); err == nil {
			continue // its log has its name, the data file has not: the user removes it
		}
		mustRepair(t, after)
	}
}

// A chain is taken only if each of its chunks has been seen, even if what is left of it makes sense without one.
func TestRepairCountsTheChunksOfAChain(t *testing.T) {
	write := func(key string) []byte {
		return appendWriteHead(nil, versions.Write{Key: append([]byte{0, 0, 0, 16}, key...), Kind: versions.Delete})
	}
	chunk := func(number uint64, key string) wal.Record {
		return wal.Record{Kind: recordChunk, Timestamp: number, Payload: append([]byte{7}, write(key)...)}
	}
	end := wal.Record{Kind: recordCommit, Timestamp: 99, Payload: append([]byte{7}, write("end")...)}
	gap := wal.Record{} // stands for one
	for name, test := range map[string]struct {
		records []wal.Record
		whole   bool
	}{
		"whole":                   {[]wal.Record{chunk(1, "a"), chunk(2, "b"), end}, true},
		"whole behind a gap":      {[]wal.Record{gap, chunk(1, "a"), chunk(2, "b"), end}, true},
		"divided by another's":    {[]wal.Record{chunk(1, "a"), gap, chunk(2, "b"), end}, true},
		"second missing":          {[]wal.Record{chunk(1, "a"), gap, chunk(3, "c"), end}, false},
		"last missing":            {[]wal.Record{chunk(1, "a"), gap, end}, false},
		"first missing":           {[]wal.Record{gap, chunk(2, "b"), end}, false},
		"all missing":             {[]wal.Record{gap, end}, false},
		"old, whole":              {[]wal.Record{chunk(0, "a"), chunk(0, "b"), end}, true},
		"old, divided":            {[]wal.Record{chunk(0, "a"), gap, chunk(0, "b"), end}, false},
		"old, after a gap":        {[]wal.Record{gap, chunk(0, "b"), end}, false},
		"one record, after a gap": {[]wal.Record{gap, {Kind: recordCommit, Timestamp: 99, Payload: append([]byte{0}, write("a")...)}}, true},
	} {
		out, _, err := wal.Open(wal.Options{FS: newMem(t), Dir: "db/log", DatabaseID: wal.DatabaseID{1}, SegmentSize: 64 << 10}, 0, nil)
		must(t, err)
		r := &repair{ctx: bg, src: "db", ids: map[uint32]bool{}}
		r.log = repairLog{r: r, out: out, chains: map[uint64]*repairChain{}, base: map[string]bool{}}
		for _, rec := range test.records {
			if rec.Kind == 0 {
				must(t, r.log.skip(wal.Gap{}))
			} else {
				must(t, r.log.record(rec))
			}
		}
		if whole := len(r.report.Lost) == 0; whole != test.whole {
			t.Errorf("%s: taken: %v, want %v: %v", name, whole, test.whole, r.report.Lost)
		}
		must(t, out.Close())
	}
}
