package fuzz

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// injury is one change of a file that the engine did not make.
type injury struct {
	kind   byte   // of the kinds below, modulo their number
	file   byte   // in the order of their names, modulo their number
	offset uint32 // modulo the file's size
	extra  uint16
}

const injuryBytes = 8

// Kinds of injuries.
const (
	flipBits = iota // XOR of one byte
	zeroSector
	truncateFile
	copySector // a misdirected write: another sector of the file, sector number extra
	growFile   // by extra bytes of rubbish
	injuryKinds
)

func parseInjuries(b []byte) (list []injury) {
	for ; len(b) >= injuryBytes && len(list) < 16; b = b[injuryBytes:] {
		list = append(list, injury{b[0] % injuryKinds, b[1], binary.LittleEndian.Uint32(b[2:]), binary.LittleEndian.Uint16(b[6:])})
	}
	return list
}

const sectorSize = 512

// inflict carries the injury out.
func (in injury) inflict(t testing.TB, disk *vfs.Mem, files []string) {
	t.Helper()
	f, err := disk.OpenFile(files[int(in.file)%len(files)], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size == 0 {
		return
	}
	at := int64(in.offset) % size
	sector := make([]byte, sectorSize)
	switch in.kind {
	case flipBits:
		if _, err := f.ReadAt(sector[:1], at); err != nil {
			t.Fatal(err)
		}
		sector[0] ^= byte(in.extra) | 1
		_, err = f.WriteAt(sector[:1], at)
	case zeroSector:
		_, err = f.WriteAt(sector, at/sectorSize*sectorSize)
	case truncateFile:
		err = f.Truncate(at)
	case copySector:
		from := int64(in.extra) % (size/sectorSize + 1) * sectorSize
		n, readErr := f.ReadAt(sector, from)
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			t.Fatal(readErr)
		}
		_, err = f.WriteAt(sector[:n], at/sectorSize*sectorSize)
	case growFile:
		_, err = f.WriteAt(filler(uint64(at), 0, uint64(in.extra)), size)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// patient is a database to be injured.
type patient struct {
	disk   *vfs.Mem
	past   *history
	files  []string
	closed bool // in order: then nothing may be lost without an error
}

// patients are the same database: crashed while its log was long, and closed.
var patients = sync.OnceValues(func() (*[2]patient, error) {
	mem := vfs.NewMem()
	h := newHistory()
	if err := mem.MkdirAll(filepath.Dir(dbPath), 0o755); err != nil {
		return nil, err
	}
	db, err := mvcc.Open(dbPath, options(mem))
	if err != nil {
		return nil, err
	}
	errs := soloist(1).run(bg, db, h)
	for _, valueBytes := range []uint64{9000, 200} { // the last segment is to hold many records
		w := &workload{writers: 1, commits: 20, cells: 10, valueBytes: valueBytes, seed: valueBytes}
		errs = append(errs, w.run(bg, db, h)...)
	}
	crashed := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	if err := errors.Join(append(errs, db.Close())...); err != nil {
		return nil, err
	}
	list := &[2]patient{{disk: crashed, past: h}, {disk: mem, past: h, closed: true}}
	for i := range list {
		if list[i].files, err = databaseFiles(list[i].disk); err != nil {
			return nil, err
		}
	}
	return list, nil
})

// databaseFiles returns the data file and the segments of the log.
func databaseFiles(disk *vfs.Mem) ([]string, error) {
	segments, err := disk.ReadDir(dbPath + ".wal")
	files := []string{dbPath}
	for _, s := range segments {
		files = append(files, filepath.Join(dbPath+".wal", s))
	}
	return files, err
}

// entitled fails the test for an error that damage does not excuse.
func entitled(t testing.TB, doing string, err error) {
	t.Helper()
	var broken *violation
	known := errors.Is(err, mvcc.ErrCorrupt) || errors.Is(err, mvcc.ErrNotDatabase) || errors.Is(err, mvcc.ErrVersion)
	if errors.As(err, &broken) || !known {
		t.Fatalf("%s: not a report of damage: %v", doing, err)
	}
}

// verdict is how an injured database was met.
type verdict string

const (
	refused verdict = "refused to open"
	noticed verdict = "noticed while reading"
	found   verdict = "found by Check"
	unhurt  verdict = "unhurt"
	shorter verdict = "unhurt, but for the end of a log that was not closed"
)

// injure injures a copy of the patient and verifies that what it says afterwards is right.
func (p *patient) injure(t testing.TB, injuries []injury) verdict {
	t.Helper()
	hung := time.AfterFunc(time.Minute, func() {
		debug.SetTraceback("all")
		panic("the injured database hangs")
	})
	defer hung.Stop()
	disk := p.disk.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	for _, in := range injuries {
		in.inflict(t, disk, p.files)
	}
	db, err := mvcc.Open(dbPath, options(disk))
	if err != nil {
		entitled(t, "opening", err)
		return refused
	}
	v, h := p.examine(t, db, injuries)
	if err := db.Close(); err != nil {
		entitled(t, "closing", err)
		return v
	}
	if v == unhurt || v == shorter {
		audited(t, disk, h)
	}
	return v
}

// examine reads everything and, if all is well, writes on.
func (p *patient) examine(t testing.TB, db *mvcc.DB, injuries []injury) (verdict, *history) {
	t.Helper()
	h := p.past.clone()
	l, err := openLedger(bg, db)
	if err != nil {
		entitled(t, "opening the keyspaces", err)
		return noticed, nil
	}
	s, err := audit(bg, l)
	if err != nil {
		entitled(t, "reading", err)
		return noticed, nil
	}
	v := p.accept(t, h, s, injuries)
	report, err := db.Check(bg, nil)
	if err != nil {
		entitled(t, "checking", err)
	}
	if err != nil || len(report.Problems) > 0 {
		return found, nil
	}
	h.settle(s)
	for _, err := range after(7).run(bg, db, h) {
		t.Fatalf("writing to a database that is well: %v", err)
	}
	return v, h
}

// accept verifies that what was read is the truth. Without the mark that Close writes, nothing
// tells a damaged end of the log from one that was never written; a single
// flipped byte costs one commit at most.
func (p *patient) accept(t testing.TB, h *history, s *survivors, injuries []injury) verdict {
	t.Helper()
	lost, err := h.examine(s)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(lost) == 0:
		return unhurt
	case p.closed:
		t.Fatalf("%d commits are lost, and nobody says so", len(lost))
	case len(lost) > 1 && len(injuries) == 1 && injuries[0].kind == flipBits:
		t.Fatalf("a flipped byte lost %d commits, and nobody says so", len(lost))
	}
	return shorter
}

func TestADamagedDatabaseSaysSoOrIsRight(t *testing.T) {
	all, err := patients()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[verdict]int{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := make([]byte, injuryBytes*(1+random.IntN(3)*random.IntN(2)))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		verdicts[all[i%2].injure(t, parseInjuries(b))]++
	}
	t.Log(verdicts)
}

// superblockOffset lies inside a superblock.
func superblockOffset(slot uint32) uint32 { return slot*uint32(options(nil).PageSize) + 40 }

// R4: pages and log are kept for the older superblock, so that one of the two is always enough.
func TestADamagedSuperblockCostsNothing(t *testing.T) {
	all, err := patients()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		for slot := range uint32(2) {
			in := injury{kind: flipBits, offset: superblockOffset(slot)}
			if v := all[i].injure(t, []injury{in}); v != unhurt {
				t.Errorf("superblock %d of database %d: %s", slot, i, v)
			}
		}
	}
}

// The records after a damaged one prove that it was durable, so only the last one can be taken for unfinished.
func TestAFlippedByteInTheLogCostsTheLastCommitAtMost(t *testing.T) {
	all, err := patients()
	if err != nil {
		t.Fatal(err)
	}
	step := 1500
	if *faultEvery {
		step = 61
	}
	verdicts := map[verdict]int{}
	for i := range all {
		for file := 1; file < len(all[i].files); file++ {
			for offset := 0; offset < 64<<10; offset += step {
				in := injury{kind: flipBits, file: byte(file), offset: uint32(offset)}
				verdicts[all[i].injure(t, []injury{in})]++
			}
		}
	}
	t.Log(verdicts)
}

func FuzzDamagedDatabase(f *testing.F) {
	all, err := patients()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(true, []byte{flipBits, 0, 0x10, 0, 0, 0, 1, 0})
	f.Add(false, []byte{truncateFile, 1, 0x10, 0x10, 0, 0, 0, 0})
	f.Add(false, []byte{zeroSector, 0, 0x10, 0x20, 0, 0, 0, 0, copySector, 2, 0, 0x10, 0, 0, 2, 0})
	f.Add(true, []byte{growFile, 2, 0, 0, 0, 0, 100, 0})
	f.Fuzz(func(t *testing.T, closed bool, b []byte) {
		p := &all[0]
		if closed {
			p = &all[1]
		}
		p.injure(t, parseInjuries(b))
	})
}
