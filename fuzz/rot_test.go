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

var rotStep = flag.Int64("rot.step", 0, "flip every n-th bit of a database, and repair after every n-th byte; 0: a few of each page and record")

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

// Every page of the data file is flipped somewhere; with -rot.step 1, every byte.
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
		case *rotStep > 0:
			places = nil
			for at := int64(page) % *rotStep; at < 4096; at += *rotStep {
				places = append(places, at)
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

// matches returns the number of the commit without which the model is what was saved, -1 if none is missing, -2 if it is
// neither.
func (s *specimen) matches(got map[string]string) int {
	if maps.Equal(got, s.state()) {
		return -1
	}
	for n := len(s.commits) - 1; n >= s.logged; n-- {
		if maps.Equal(got, s.state(n)) {
			return n
		}
	}
	return -2
}

// recordPlaces are the fields of a log record, relative to its start, and places in its payload.
func recordPlaces(size int64) []int64 {
	places := []int64{0, 4, 8, 12, 13, 14, 16, 24, 32, 40, 41}
	return append(places, size/2, size-1)
}

// logRecord is a record in a segment file, found as docs/format.md says.
type logRecord struct {
	file      string
	off, size int64
}

func logRecords(disk *vfs.Mem, files []string) (records []logRecord) {
	le := binary.LittleEndian
	for _, name := range files[1:] {
		b := contentOf(disk, name)
		if len(b) < 4096 || string(b[:8]) != "SOMBRWAL" {
			continue
		}
		first := le.Uint64(b[40:])
		for off := uint64(4096); off+40 < uint64(len(b)) && le.Uint64(b[off+16:]) == first+off-4096; {
			size := (40 + uint64(le.Uint32(b[off+8:])) + 7) &^ 7
			records = append(records, logRecord{name, int64(off), int64(size)})
			off += size
		}
	}
	return records
}

// A flipped bit in a log record costs the commit that it belongs to, wherever in the log it is, and nothing else; a flipped
// bit in a segment's header costs nothing. The trees' content is never touched by it.
func TestRepairSavesAllCommitsButTheOneWhoseRecordIsDamaged(t *testing.T) {
	t.Parallel()
	all, err := specimens()
	if err != nil {
		t.Fatal(err)
	}
	s := &all[0]
	flips, lost, silent := 0, map[int]int{}, 0
	verify := func(file string, at int64, mayLose bool) {
		t.Helper()
		bit := at*8 + at%8
		got, report := repaired(t, s.flipped(t, file, bit), s.files)
		flips++
		n := s.matches(got)
		switch {
		case n == -2:
			t.Fatalf("%s, byte %d: what was saved is no state of the database\n%v", file, at, lossLines(report))
		case n >= 0 && !mayLose:
			t.Fatalf("%s, byte %d: commit %d is lost\n%v", file, at, n, lossLines(report))
		case n >= 0 && len(report.Lost) == 0 && n < len(s.commits)-1:
			t.Fatalf("%s, byte %d: commit %d is lost, and the report does not say so", file, at, n)
		case n >= 0 && len(report.Lost) == 0:
			silent++ // the end of a log that was not closed: nothing tells that it was ever written
		}
		lost[n]++
	}
	headers := map[string]bool{}
	for i, r := range logRecords(s.disk, s.files) {
		places := recordPlaces(r.size)
		if *rotStep == 0 {
			places = []int64{places[i%len(places)], places[(i*5+7)%len(places)]}
		} else {
			for at := int64(i) % *rotStep; at < r.size; at += *rotStep {
				places = append(places, at)
			}
		}
		for _, at := range places {
			verify(r.file, r.off+at, true)
		}
		headers[r.file] = true
	}
	for file := range headers {
		for _, at := range []int64{0, 8, 12, 16, 32, 40, 48, 56, 100, 511} {
			verify(file, at, false)
		}
	}
	t.Logf("%d repairs; commits lost (-1: none): %v; %d at the end of the log without a word", flips, lost, silent)
}

// Both superblocks are gone: the pages tell what the database was.
func TestRepairNeedsNoSuperblock(t *testing.T) {
	t.Parallel()
	all, err := specimens()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		s := &all[i]
		disk := s.disk.Crash(vfs.CrashConfig{})
		f, err := disk.OpenFile(dbPath, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, 8192), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := mvcc.Open(dbPath, rotOptions(disk)); err == nil {
			t.Fatal("a database without superblocks was opened")
		}
		got, report := repaired(t, disk, s.files)
		if n := s.matches(got); n != -1 {
			t.Errorf("database %d: %d of %d records are there\n%v", i, len(got), len(s.state()), lossLines(report))
		}
		// And one page more: nothing wrong may come up, and what it costs is listed.
		random := rand.New(rand.NewPCG(5, 6))
		for range 12 {
			page := 2 + random.IntN(len(s.live)-2)
			if !s.live[page] {
				continue
			}
			worse := disk.Crash(vfs.CrashConfig{})
			remove(t, worse, savedPath)
			flip(t, worse, dbPath, int64(page)*4096*8+int64(random.IntN(4096*8)))
			got, report := repaired(t, worse, s.files)
			agree(t, got, s.state(), report)
		}
	}
}

func remove(t testing.TB, disk *vfs.Mem, path string) {
	t.Helper()
	names, _ := disk.ReadDir(path + ".wal")
	for _, name := range names {
		if err := disk.Remove(filepath.Join(path+".wal", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{path + ".wal", path} {
		if err := disk.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// A log that is damaged or gone never makes what the last checkpoint has unreadable.
func TestSalvageReadsAtLeastTheCheckpoint(t *testing.T) {
	t.Parallel()
	all, err := specimens()
	if err != nil {
		t.Fatal(err)
	}
	s := &all[0]
	merged := (&specimen{commits: s.commits[:s.logged]}).state()
	salvage := rotOptions(nil)
	salvage.ReadOnly, salvage.Salvage = true, true
	records := logRecords(s.disk, s.files)
	for i := -1; i < len(records); i += 2 {
		disk := s.disk.Crash(vfs.CrashConfig{})
		if i < 0 {
			for _, name := range s.files[1:] {
				if err := disk.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			flip(t, disk, records[i].file, records[i].off*8+100)
		}
		salvage.FS = disk
		got := content(t, dbPath, salvage)
		prefix := -1
		for n := s.logged; n <= len(s.commits); n++ {
			if maps.Equal(got, (&specimen{commits: s.commits[:n]}).state()) {
				prefix = n
			}
		}
		if prefix < 0 || i < 0 && !maps.Equal(got, merged) {
			t.Fatalf("record %d damaged: salvage shows no prefix of the commits that has the checkpoint", i)
		}
		if i < 0 { // and a repair saves the trees
			files := s.files[:1]
			got, report := repaired(t, disk, files)
			if !maps.Equal(got, merged) || len(report.Lost) == 0 {
				t.Errorf("without a log a repair saves %d records, want %d\n%v", len(got), len(merged), lossLines(report))
			}
		}
	}
}

// Every flipped bit of a live page or of the log is found, and named.
func TestEveryFlippedBitIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	all, err := specimens()
	if err != nil {
		t.Fatal(err)
	}
	s := &all[0]
	step, flips := int64(4096*8/3+1), 0
	if *rotStep > 0 {
		step = *rotStep
	}
	for page, live := range s.live {
		if !live {
			continue
		}
		end := int64(4096 * 8)
		if page < 2 {
			end = 4084 * 8
		}
		for bit := int64(page*7) % min(step, 1000); bit < end; bit += step {
			flips++
			disk := s.flipped(t, dbPath, int64(page)*4096*8+bit)
			found := inspect(t, disk)
			if found == nil {
				t.Fatalf("page %d, bit %d: nobody has noticed", page, bit)
			}
			if want := fmt.Sprintf("page %d:", page); !bytes.Contains([]byte(found.Error()), []byte(want)) {
				t.Fatalf("page %d, bit %d: the report does not name the page: %v", page, bit, found)
			}
		}
	}
	t.Logf("%d flips of %d live pages", flips, len(s.live))
}

// inspect opens read-only, and returns what that or Check complains about.
func inspect(t testing.TB, disk *vfs.Mem) error {
	t.Helper()
	o := rotOptions(disk)
	o.ReadOnly = true
	db, err := mvcc.Open(dbPath, o)
	if err != nil {
		entitled(t, "opening", err)
		return err
	}
	defer db.Close()
	report, err := db.Check(bg, nil)
	return errors.Join(append(report.Problems, err)...)
}
