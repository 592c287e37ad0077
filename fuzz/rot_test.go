package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

var rotEvery = flag.Bool("rot.every", false, "flip every bit of a database, and repair after each flipped byte, instead of some")

// The specimen is a small database with every kind of page and of log record, and a model of what it holds: after a bit has
// flipped, it must be found and named, and what a repair saves must be the model, but for what it says is lost.
type specimen struct {
	disk    *vfs.Mem
	commits []rotCommit // all, in order
	logged  int         // the first of them that only the log has
	live    []bool      // pages
	files   []string
	closed  bool // the log has the mark of Close
}

// rotCommit is what one commit did: a value, nil for a delete.
type rotCommit struct {
	puts map[string][]byte
	add  int64 // to the counter
}

const rotKeyspace, rotCounter = "rot", "counter"

func rotOptions(disk vfs.FS) *mvcc.Options {
	o := options(disk)
	o.Retain.Duration = time.Hour
	return o
}

// rotKey makes keys whose separators are long, so that few records make a tree of three levels.
func rotKey(i int) string {
	return string(filler(uint64(i/12), 0, 400)) + fmt.Sprintf("%03d", i%12)
}

func rotValue(i, generation int) []byte {
	size := 60 + i%70
	if i%40 == 7 {
		size = 3000 + i // an overflow run
	}
	return append(filler(uint64(i), uint64(generation), uint64(size)), byte(generation))
}

// specimens are the same database, once left as a crash leaves it, and once closed with its log still needed.
var specimens = sync.OnceValues(func() (*[2]specimen, error) {
	mem := vfs.NewMem()
	if err := errors.Join(mem.MkdirAll(filepath.Dir(dbPath), 0o755), mem.SyncDir(".")); err != nil {
		return nil, err
	}
	db, err := mvcc.Open(dbPath, rotOptions(mem))
	if err != nil {
		return nil, err
	}
	b := &rotBuilder{db: db}
	if b.ks, err = db.Keyspace(bg, rotKeyspace); err != nil {
		return nil, err
	}
	b.build()
	crashed := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	if err := errors.Join(b.err, db.Close()); err != nil {
		return nil, err
	}
	// The log of the one before its last checkpoint, beside the mark of a close: as a crash within Close leaves it.
	list := &[2]specimen{{disk: crashed, commits: b.commits, logged: b.merged}, {disk: mem, commits: b.commits, logged: len(b.commits), closed: true}}
	for i := range list {
		if list[i].files, err = databaseFiles(list[i].disk); err != nil {
			return nil, err
		}
		list[i].live = liveList(list[i].disk)
	}
	return list, nil
})

type rotBuilder struct {
	db      *mvcc.DB
	ks      *mvcc.Keyspace
	commits []rotCommit
	merged  int
	err     error
}

func (b *rotBuilder) commit(c rotCommit) {
	if b.err != nil {
		return
	}
	b.err = b.db.Update(bg, func(tx *mvcc.Txn) error {
		for _, key := range slices.Sorted(maps.Keys(c.puts)) {
			var err error
			if value := c.puts[key]; value == nil {
				err = tx.Delete(b.ks, []byte(key))
			} else {
				err = tx.Put(b.ks, []byte(key), value)
			}
			if err != nil {
				return err
			}
		}
		return tx.Add(b.ks, []byte(rotCounter), c.add)
	})
	b.commits = append(b.commits, c)
}

func (b *rotBuilder) checkpoint() {
	if b.err == nil {
		b.err = b.db.Checkpoint(bg)
	}
	b.merged = len(b.commits)
}

const rotKeys = 220

// build fills the tree, changes a few records so that leaves get deltas and history, deletes some, and leaves commits of all
// kinds in the log.
func (b *rotBuilder) build() {
	for i := 0; i < rotKeys; i += 20 {
		c := rotCommit{puts: map[string][]byte{}, add: 1}
		for k := i; k < i+20; k++ {
			c.puts[rotKey(k)] = rotValue(k, 0)
		}
		b.commit(c)
	}
	b.checkpoint()
	for i := 3; i < rotKeys; i += 19 {
		b.commit(rotCommit{puts: map[string][]byte{rotKey(i): rotValue(i, 1), rotKey(i - 2): nil}, add: 2})
	}
	b.checkpoint()
	for i := range 8 {
		b.commit(rotCommit{puts: map[string][]byte{rotKey(i * 11): rotValue(i*11, 2), fmt.Sprintf("new %d", i): rotValue(i, 2)}, add: 4})
	}
	large := rotCommit{puts: map[string][]byte{}, add: 8}
	for i := range 9 {
		large.puts[fmt.Sprintf("large %d", i)] = filler(77, uint64(i), 7000)
	}
	b.commit(large)
	for i := range 6 {
		b.commit(rotCommit{puts: map[string][]byte{fmt.Sprintf("new %d", i): nil, fmt.Sprintf("last %d", i): rotValue(i, 3)}, add: 16})
	}
}

// state is what commits make, without those of a set of numbers.
func (s *specimen) state(without ...int) map[string]string {
	m := map[string]string{}
	sum := int64(0)
	for n, c := range s.commits {
		if slices.Contains(without, n) {
			continue
		}
		sum += c.add
		for key, value := range c.puts {
			if value == nil {
				delete(m, key)
			} else {
				m[key] = string(value)
			}
		}
	}
	m[rotCounter] = string(mvcc.EncodeInt64(sum))
	return m
}

// liveList reads from the newer superblock which pages are live, as docs/format.md says where that is.
func liveList(disk *vfs.Mem) []bool {
	data := contentOf(disk, dbPath)
	le := binary.LittleEndian
	sb := data
	if le.Uint64(data[4096+32:]) > le.Uint64(data[32:]) {
		sb = data[4096:]
	}
	live := make([]bool, le.Uint64(sb[40:]))
	index := data[le.Uint64(sb[1024:])*4096:]
	bitmap := data[le.Uint64(index[64:])*4096:]
	live[0], live[1] = true, true
	live[le.Uint64(sb[1024:])] = true
	for p := range live {
		live[p] = live[p] || bitmap[64+p/8]&(1<<(p%8)) != 0
	}
	return live
}

func contentOf(disk *vfs.Mem, name string) []byte {
	f, err := disk.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		panic(err)
	}
	return b
}

// flipped returns a copy of the disk with one bit flipped.
func (s *specimen) flipped(t testing.TB, file string, bit int64) *vfs.Mem {
	t.Helper()
	disk := s.disk.Crash(vfs.CrashConfig{})
	flip(t, disk, file, bit)
	return disk
}

func flip(t testing.TB, disk vfs.FS, file string, bit int64) {
	t.Helper()
	f, err := disk.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, bit/8); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << (bit % 8)
	if _, err := f.WriteAt(b, bit/8); err != nil {
		t.Fatal(err)
	}
}

// content reads a repaired or salvaged database.
func content(t testing.TB, path string, o *mvcc.Options) map[string]string {
	t.Helper()
	db, err := mvcc.Open(path, o)
	if err != nil {
		t.Fatalf("opening what was saved: %v", err)
	}
	defer db.Close()
	m := map[string]string{}
	names, err := db.Keyspaces(bg)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		ks, err := db.Keyspace(bg, name)
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(bg, func(tx *mvcc.Txn) error {
			for item, err := range tx.Scan(ks, mvcc.Range{}) {
				if err != nil {
					return err
				}
				m[string(item.Key)] = string(item.Value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

const savedPath = "db/saved.sombra"

// repaired repairs a disk and returns what was saved and the report, after verifying that the source was not touched.
func repaired(t testing.TB, disk *vfs.Mem, files []string) (map[string]string, *mvcc.RepairReport) {
	t.Helper()
	before := map[string][]byte{}
	for _, name := range files {
		before[name] = contentOf(disk, name)
	}
	report, err := mvcc.Repair(bg, dbPath, savedPath, &mvcc.RepairOptions{Options: *rotOptions(disk)})
	if err != nil {
		t.Fatalf("repair: %v", err)
	}
	for _, name := range files {
		if !bytes.Equal(before[name], contentOf(disk, name)) {
			t.Fatalf("repair has written to %s", name)
		}
	}
	if len(report.Check.Problems) > 0 {
		t.Fatalf("what was saved is damaged: %v", report.Check.Problems)
	}
	if left := disk.OpenHandles(); len(left) > 0 {
		t.Fatalf("left open: %q", left)
	}
	return content(t, savedPath, rotOptions(disk)), report
}

// agree verifies that what was saved is the model without what the report says is lost, and returns how much that is.
func agree(t testing.TB, got, want map[string]string, report *mvcc.RepairReport) (lost int) {
	t.Helper()
	for key, value := range got {
		if w, there := want[key]; !there || w != value {
			t.Fatalf("key %.12q was saved with %d bytes that it does not have (there: %t)\n%v", key, len(value), there, lossLines(report))
		}
	}
	for key := range want {
		if _, there := got[key]; there {
			continue
		}
		lost++
		if !slices.ContainsFunc(report.Lost, func(l mvcc.RepairLoss) bool { return l.Records != 0 && covers(&l, key) }) {
			t.Fatalf("key %.12q is lost, and the report does not say so\n%v", key, lossLines(report))
		}
	}
	return lost
}

func covers(l *mvcc.RepairLoss, key string) bool {
	if l.LSN > 0 || l.Keyspace == "" {
		return l.LSN == 0
	}
	return key >= string(l.From) && (l.To == nil || key < string(l.To))
}

func lossLines(r *mvcc.RepairReport) (lines []string) {
	for i := range r.Lost {
		lines = append(lines, r.Lost[i].String()+"\n")
	}
	return lines
}

// flipsPerPage are the places in a page of the data file where the short form flips a bit: each field of header and trailer,
// and some places between.
var flipsPerPage = []int64{0, 4, 5, 6, 7, 8, 16, 24, 32, 36, 40, 44, 48, 56, 60, 64, 70, 200, 1111, 2500, 4079, 4080, 4084, 4092}

// Every page of the data file is flipped somewhere; with -rot.every, every byte.
func TestRepairSavesWhatAFlippedBitInTheDataFileDidNotTouch(t *testing.T) {
	t.Parallel()
	all, err := specimens()
	if err != nil {
		t.Fatal(err)
	}
	s := &all[0]
	want := s.state()
	random := rand.New(rand.NewPCG(3, 4))
	flips, lost, worst := 0, map[byte]int{}, map[byte]int{}
	data := contentOf(s.disk, dbPath)
	for page, live := range s.live {
		if !live {
			continue
		}
		kind := data[page*4096+4]
		if page < 2 {
			kind = 0
		}
		places := flipsPerPage
		switch {
		case *rotEvery:
			places = make([]int64, 4096)
			for i := range places {
				places[i] = int64(i)
			}
		case page >= 2: // all pages of a kind are alike: a few places in each
			places = []int64{flipsPerPage[page%len(flipsPerPage)], 64 + random.Int64N(4000)}
		}
		for _, at := range places {
			bit := (int64(page)*4096+at)*8 + random.Int64N(8)
			disk := s.flipped(t, dbPath, bit)
			got, report := repaired(t, disk, s.files)
			flips++
			n := agree(t, got, want, report)
			if len(report.Lost) == 0 && !zeroed(page, at) {
				t.Fatalf("page %d (kind %d), byte %d: the damage is not in the report", page, kind, at)
			}
			lost[kind] += n
			worst[kind] = max(worst[kind], n)
		}
	}
	t.Logf("%d repairs; records lost at most by kind of page (0: superblock): %v of %d", flips, worst, len(want))
	for _, kind := range []byte{0, 2, 3, 4} {
		if worst[kind] > 0 {
			t.Errorf("damage of a page of kind %d cost %d records", kind, worst[kind])
		}
	}
}

// zeroed reports whether a byte is one of those behind the checksum of a superblock, which are not verified, or of the rest
// of its page.
func zeroed(page int, at int64) bool { return page < 2 && at >= 4084 }
