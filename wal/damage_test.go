package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// layout is a closed log of small records, each synced on its own, and its files.
type layout struct {
	mem     *vfs.Mem
	entries []entry
}

// segmentFileOf is the path of a segment in the tests' directory.
func segmentFileOf(number uint64) string { return filepath.Join("/db/wal", segmentName(number)) }

// offsetOf is where an LSN of the first segment lies in its file.
func offsetOf(lsn LSN) int64 { return segmentHeaderArea + int64(lsn-FirstLSN) }

// newLayout makes a log. With clean false it is as a power loss after the last sync leaves it.
func newLayout(t testing.TB, clean bool, sizes ...int) layout {
	t.Helper()
	mem := newMem(t)
	l, _, _ := open(t, smallOptions(mem), 0)
	var y layout
	for i, size := range sizes {
		y.entries = append(y.entries, put(t, l, i, size))
		must(t, l.Sync(bg, l.End()))
	}
	y.mem = mem.Crash(vfs.CrashConfig{})
	must(t, l.Close())
	if clean {
		y.mem = mem.Crash(vfs.CrashConfig{})
	}
	return y
}

// change overwrites bytes of a file durably.
func change(t testing.TB, mem *vfs.Mem, name string, off int64, b []byte) {
	t.Helper()
	f, err := mem.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(b, off)
	must(t, err)
	must(t, f.Sync())
}

// flip inverts one bit.
func flip(t testing.TB, mem *vfs.Mem, name string, off int64, bit int) {
	t.Helper()
	b := readFile(t, mem, name)[off : off+1]
	change(t, mem, name, off, []byte{b[0] ^ 1<<bit})
}

// wantCorruption opens the log, which must be refused, and returns the report.
func wantCorruption(t testing.TB, mem *vfs.Mem, from LSN) *CorruptionError {
	t.Helper()
	before := snapshot(t, mem)
	l, _, err := Open(smallOptions(mem), from, nil)
	if err == nil {
		must(t, l.Close())
		t.Fatal("a damaged log was opened")
	}
	var report *CorruptionError
	if !errors.As(err, &report) || !errors.Is(err, ErrCorrupt) {
		t.Fatalf("not a corruption report: %v", err)
	}
	if after := snapshot(t, mem); !bytes.Equal(before, after) {
		t.Fatal("a refused log was changed")
	}
	return report
}

// snapshot is all names and contents in the log's directory.
func snapshot(t testing.TB, mem *vfs.Mem) []byte {
	t.Helper()
	var all []byte
	names, err := mem.ReadDir("/db/wal")
	must(t, err)
	for _, n := range names {
		all = append(append(all, n...), readFile(t, mem, filepath.Join("/db/wal", n))...)
	}
	return all
}

func TestFlippedBitInASyncedMiddleRecordIsRefused(t *testing.T) {
	const count = 6
	for _, clean := range []bool{true, false} {
		y := newLayout(t, clean, 50, 51, 52, 53, 54, 55)
		for victim := range count - 1 {
			e := y.entries[victim]
			for off := offsetOf(e.lsn); off < offsetOf(e.end); off++ {
				mem := y.mem.Crash(vfs.CrashConfig{})
				flip(t, mem, segmentFileOf(1), off, int(off)%8)
				report := wantCorruption(t, mem, 0)
				later := int64(count - 1 - victim)
				if clean {
					later++ // the mark
				}
				if report.LSN != e.lsn || report.Offset != offsetOf(e.lsn) || report.File != segmentFileOf(1) || report.LaterRecords != later {
					t.Fatalf("clean %v, record %d, byte %d: %+v, want LSN %d and %d later", clean, victim, off, report, e.lsn, later)
				}
			}
		}
	}
}

// Only the mark that Close writes proves that the last record had been durable.
func TestFlippedBitInTheLastRecordOfAClosedLogIsRefused(t *testing.T) {
	y := newLayout(t, true, 50, 51)
	e := y.entries[1]
	flip(t, y.mem, segmentFileOf(1), offsetOf(e.lsn)+45, 1)
	if report := wantCorruption(t, y.mem, 0); report.LSN != e.lsn || report.LaterRecords != 1 {
		t.Fatalf("%+v", report)
	}
}

func TestSalvageReadsUpToTheDamage(t *testing.T) {
	y := newLayout(t, true, 50, 51, 52, 53)
	flip(t, y.mem, segmentFileOf(1), offsetOf(y.entries[2].lsn)+20, 3)
	before := snapshot(t, y.mem)
	opts := smallOptions(y.mem)
	opts.ReadOnly, opts.Salvage = true, true
	l, rec, list := open(t, opts, 0)
	sameEntries(t, list, y.entries[:2])
	if rec.Damaged == nil || rec.Damaged.LSN != y.entries[2].lsn || rec.End != y.entries[2].lsn {
		t.Fatalf("%+v", rec)
	}
	must(t, l.Close())
	if !bytes.Equal(before, snapshot(t, y.mem)) {
		t.Fatal("salvage changed the log")
	}
}

func TestDamageBeforeTheReplayIsPassedOver(t *testing.T) {
	y := newLayout(t, true, 50, 51, 52, 53)
	flip(t, y.mem, segmentFileOf(1), offsetOf(y.entries[1].lsn)+20, 3)
	l, _, list := open(t, smallOptions(y.mem), y.entries[2].lsn)
	sameEntries(t, list, y.entries[2:])
	must(t, l.Close())
}

func TestTornTailAtEveryByteOfTheLastRecordIsCutOff(t *testing.T) {
	y := newLayout(t, false, 50, 51, 301)
	last := y.entries[2]
	file := readFile(t, y.mem, segmentFileOf(1))
	for keep := offsetOf(last.lsn); keep < offsetOf(last.end); keep++ {
		mem := y.mem.Crash(vfs.CrashConfig{})
		change(t, mem, segmentFileOf(1), keep, make([]byte, offsetOf(last.end)-keep))
		if bytes.Equal(readFile(t, mem, segmentFileOf(1)), file) {
			continue // what was cut off is padding
		}
		l, rec, list := open(t, smallOptions(mem), 0)
		sameEntries(t, list, y.entries[:2])
		if rec.End != last.lsn || (keep >= offsetOf(last.lsn)+recordHeaderSize && rec.TornBytes != int64(last.end-last.lsn)) {
			t.Fatalf("kept %d bytes: %+v", keep-offsetOf(last.lsn), rec)
		}
		want := append(append([]entry(nil), y.entries[:2]...), put(t, l, 9, 301))
		must(t, l.Close())
		l, _, list = open(t, smallOptions(mem), 0)
		sameEntries(t, list, want)
		must(t, l.Close())
	}
}

func TestTruncatedFileIsATornTailOrDamage(t *testing.T) {
	y := newLayout(t, false, 50, 51, 301)
	for size := int64(segmentHeaderSize); size < offsetOf(y.entries[2].end); size += 13 {
		mem := y.mem.Crash(vfs.CrashConfig{})
		f, err := mem.OpenFile(segmentFileOf(1), os.O_RDWR, 0)
		must(t, err)
		must(t, f.Truncate(size))
		must(t, f.Close())
		l, rec, list := open(t, smallOptions(mem), 0)
		sameEntries(t, list, y.entries[:len(list)])
		if len(list) < 3 && rec.End != y.entries[len(list)].lsn {
			t.Fatalf("size %d: %+v", size, rec)
		}
		must(t, l.Close())
		if end := y.entries[2].lsn; size < offsetOf(end) {
			if _, _, err := Open(smallOptions(y.mem), end+8, nil); !errors.Is(err, ErrPosition) {
				t.Fatal(err)
			}
		}
	}
}

// Sectors of one unsynced window reach the disk in any order: a hole before
// good records is normal there, and the good ones were never acknowledged.
func TestReorderingInTheUnsyncedWindowIsATornTail(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, smallOptions(mem), 0)
	synced := []entry{put(t, l, 1, 100)}
	must(t, l.Sync(bg, l.End()))
	var window []entry
	for i := range 5 {
		window = append(window, put(t, l, 2+i, 100))
	}
	must(t, l.Sync(bg, l.End()))
	image := mem.Crash(vfs.CrashConfig{})
	must(t, l.Close())
	for hole := range window {
		mem := image.Crash(vfs.CrashConfig{})
		change(t, mem, segmentFileOf(1), offsetOf(window[hole].lsn), make([]byte, 140))
		l, rec, list := open(t, smallOptions(mem), 0)
		wantNothingAfterTheEnd(t, mem, 0)
		want := append(append([]entry(nil), synced...), window[:hole]...)
		sameEntries(t, list, want)
		if torn := int64(window[4].end - window[hole].lsn); hole < 4 && rec.TornBytes != torn {
			t.Fatalf("hole %d: %+v, want %d torn", hole, rec, torn)
		}
		// A new record of the same size in the hole's place must not bring the old ones back.
		want = append(want, put(t, l, 2+hole, 100))
		must(t, l.Sync(bg, l.End()))
		after := mem.Crash(vfs.CrashConfig{})
		must(t, l.Close())
		l, _, list = open(t, smallOptions(after), 0)
		sameEntries(t, list, want)
		must(t, l.Close())
	}
}

func TestOtherDatabaseAndNewerFormatAreRefused(t *testing.T) {
	y := newLayout(t, true, 50)
	opts := smallOptions(y.mem)
	opts.DatabaseID[0]++
	before := snapshot(t, y.mem)
	if _, _, err := Open(opts, 0, nil); !errors.Is(err, ErrWrongDatabase) {
		t.Fatal(err)
	}
	sector := readFile(t, y.mem, segmentFileOf(1))[:segmentHeaderSize]
	if !bytes.Equal(before, snapshot(t, y.mem)) {
		t.Fatal("changed")
	}
	sector[segVersionAt]++
	crc := segmentHeaderCRC(sector)
	change(t, y.mem, segmentFileOf(1), 0, sector)
	change(t, y.mem, segmentFileOf(1), segCRCAt, []byte{byte(crc), byte(crc >> 8), byte(crc >> 16), byte(crc >> 24)})
	if _, _, err := Open(smallOptions(y.mem), 0, nil); !errors.Is(err, ErrVersion) {
		t.Fatal(err)
	}
}

// threeSegments makes a log of three full segments and more.
func threeSegments(t testing.TB, clean bool) layout {
	t.Helper()
	sizes := make([]int, 32)
	for i := range sizes {
		sizes[i] = 7000
	}
	y := newLayout(t, clean, sizes...)
	names, err := y.mem.ReadDir("/db/wal")
	must(t, err)
	if len(names) < 4 {
		t.Fatalf("%d segments", len(names))
	}
	return y
}

func TestMissingSegmentsAreNamed(t *testing.T) {
	y := threeSegments(t, true)
	for _, number := range []uint64{2, 3} {
		mem := y.mem.Crash(vfs.CrashConfig{})
		must(t, mem.Remove(segmentFileOf(number)))
		report := wantCorruption(t, mem, 0)
		if report.File != segmentFileOf(number) || !report.Missing || report.LaterRecords == 0 {
			t.Fatalf("segment %d: %+v", number, report)
		}
		if !errors.Is(report, ErrMissing) {
			t.Fatal("not ErrMissing")
		}
	}
	must(t, y.mem.Remove(segmentFileOf(1)))
	if _, _, err := Open(smallOptions(y.mem), 0, nil); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	if _, _, err := Open(smallOptions(newMem(t)), FirstLSN, nil); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
}

func TestLogThatEndsBeforeItsReplayIsRefused(t *testing.T) {
	y := newLayout(t, true, 50, 51)
	mem := y.mem.Crash(vfs.CrashConfig{})
	if report := wantCorruption(t, mem, y.entries[1].end+1000); report.LaterRecords != 0 {
		t.Fatalf("%+v", report)
	}
	if _, _, err := Open(smallOptions(mem), y.entries[1].lsn+8, nil); !errors.Is(err, ErrPosition) {
		t.Fatalf("inside a record: %v", err)
	}
}

func TestDamagedSegmentHeaderIsRefused(t *testing.T) {
	y := threeSegments(t, true)
	for _, number := range []uint64{2, 3, 4} {
		for _, blank := range []bool{false, true} {
			mem := y.mem.Crash(vfs.CrashConfig{})
			if blank {
				change(t, mem, segmentFileOf(number), 0, make([]byte, segmentHeaderSize))
			} else {
				flip(t, mem, segmentFileOf(number), 100, 2)
			}
			report := wantCorruption(t, mem, 0)
			if report.File != segmentFileOf(number) || report.Offset != 0 || report.LaterRecords == 0 {
				t.Fatalf("segment %d, blank %v: %+v", number, blank, report)
			}
		}
	}
	mem := y.mem.Crash(vfs.CrashConfig{})
	flip(t, mem, segmentFileOf(1), 100, 2)
	if _, _, err := Open(smallOptions(mem), 0, nil); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
}

func TestDamagedHeaderOfTheOnlySegmentIsRefused(t *testing.T) {
	y := newLayout(t, true, 50, 51)
	flip(t, y.mem, segmentFileOf(1), 100, 2)
	if report := wantCorruption(t, y.mem, 0); report.LSN != FirstLSN || report.LaterRecords != 3 {
		t.Fatalf("%+v", report)
	}
}

// A good record that is not the one that was written there breaks the chain.
func TestSubstitutedRecordIsRefused(t *testing.T) {
	y := newLayout(t, true, 50, 51, 52, 53)
	e := y.entries[1]
	file := readFile(t, y.mem, segmentFileOf(1))
	rec := bytes.Clone(file[offsetOf(e.lsn):offsetOf(e.end)])
	h := parseRecordHeader(rec)
	rec[recordHeaderSize]++
	sealRecord(rec, h.prev, h.durable)
	change(t, y.mem, segmentFileOf(1), offsetOf(e.lsn), rec)
	if report := wantCorruption(t, y.mem, 0); report.LSN != y.entries[2].lsn || report.Reason != badChain {
		t.Fatalf("%+v", report)
	}
}

func TestSubstitutedSegmentIsRefused(t *testing.T) {
	y := threeSegments(t, true)
	h, _, _ := parseSegmentHeader(readFile(t, y.mem, segmentFileOf(2))[:segmentHeaderSize])
	h.prev++
	change(t, y.mem, segmentFileOf(2), 0, h.encode())
	if report := wantCorruption(t, y.mem, 0); report.File != segmentFileOf(2) || report.Offset != 0 || report.LaterRecords == 0 {
		t.Fatalf("%+v", report)
	}
}

func TestImpossibleHeadersAreRefusedBeforeTheirPayloadIsRead(t *testing.T) {
	good := recordHeader{lsn: 800, durable: 800, length: 100, flags: flagMark}
	for want, spoil := range map[string]func(h *recordHeader){
		badNone:           func(*recordHeader) {},
		badAbsent:         func(h *recordHeader) { h.lsn += recordAlign },
		badLength:         func(h *recordHeader) { h.length = payloadLimit + 1 },
		badLength + " 2":  func(h *recordHeader) { h.length = 1 << 20 },
		badField:          func(h *recordHeader) { h.flags = 2 },
		badField + " res": func(h *recordHeader) { h.reserved = 1 },
		badField + " dur": func(h *recordHeader) { h.durable = 808 },
	} {
		h, room := good, int64(1<<20)
		spoil(&h)
		if h.length > payloadLimit {
			room = 1 << 40
		}
		if got := h.plausible(800, room); !strings.HasPrefix(want, got) || (got == badNone) != (want == badNone) {
			t.Errorf("%+v: %q, want %q", h, got, want)
		}
	}
}

func TestSwappedSegmentsAreRefused(t *testing.T) {
	y := threeSegments(t, true)
	two, three := readFile(t, y.mem, segmentFileOf(2)), readFile(t, y.mem, segmentFileOf(3))
	change(t, y.mem, segmentFileOf(2), 0, three)
	change(t, y.mem, segmentFileOf(3), 0, two)
	wantCorruption(t, y.mem, 0)
}

func TestUnreadableFileIsAnErrorAndSalvageStopsThere(t *testing.T) {
	y := newLayout(t, true, 50, 51)
	eio := errors.New("unreadable")
	disk := vfs.NewFaulty(y.mem, func(op vfs.Op) vfs.Fault {
		if op.Kind == vfs.OpRead && op.Length > segmentHeaderSize {
			return vfs.Fault{Err: eio}
		}
		return vfs.Fault{}
	})
	if _, _, err := Open(smallOptions(disk), 0, nil); !errors.Is(err, eio) || errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	opts := smallOptions(disk)
	opts.ReadOnly, opts.Salvage = true, true
	l, rec, list := open(t, opts, 0)
	if rec.Damaged == nil || len(list) != 0 {
		t.Fatalf("%+v", rec)
	}
	must(t, l.Close())
}

// A hostile file could name its own place in every second word, each time as
// the header of a long record: the search for later records must give up.
func TestSearchInHostileFragmentsIsBounded(t *testing.T) {
	y := newLayout(t, false, 9000)
	start := offsetOf(y.entries[0].end)
	junk := make([]byte, (minSegmentSize-start)&^15)
	for at := 16; at < len(junk); at += 16 {
		binary.LittleEndian.PutUint64(junk[at:], uint64(y.entries[0].end)+uint64(at-16))
		binary.LittleEndian.PutUint64(junk[at+8:], 4000) // a length, and the durable field of the fragment before
	}
	change(t, y.mem, segmentFileOf(1), start, junk)
	if report := wantCorruption(t, y.mem, 0); !strings.Contains(report.Reason, "fragments") {
		t.Fatalf("%+v", report)
	}
}

func TestRecycledSegmentsNeverReplayWhatTheyHeld(t *testing.T) {
	mem := newMem(t)
	opts := smallOptions(mem)
	l, _, _ := open(t, opts, 0)
	var all []entry
	for i := range 200 {
		all = append(all, put(t, l, i, 5000))
		must(t, l.Sync(bg, l.End()))
		if i%10 == 9 {
			must(t, l.Release(all[len(all)-3].lsn))
		}
		must(t, l.Check())
		if i%9 == 0 {
			image := mem.Crash(vfs.CrashConfig{})
			from := all[max(0, len(all)-3)].lsn
			again, rec, list := open(t, smallOptions(image), from)
			sameEntries(t, list, all[max(0, len(all)-3):])
			if rec.TornBytes != 0 {
				t.Fatalf("record %d: %+v", i, rec)
			}
			must(t, again.Close())
		}
	}
	m := l.Metrics()
	if m.RecycledSegments == 0 || m.Segments > 6 || m.DiskBytes != int64(m.Segments)*minSegmentSize {
		t.Fatalf("%+v", m)
	}
	must(t, l.Close())
	names, err := mem.ReadDir("/db/wal")
	must(t, err)
	if len(names) != m.Segments {
		t.Fatalf("%d files, %d counted", len(names), m.Segments)
	}
}

func TestReleaseBeyondTheDurablePositionIsRefused(t *testing.T) {
	l, _, _ := open(t, smallOptions(newMem(t)), 0)
	e := put(t, l, 1, 10)
	if err := l.Release(e.end); !errors.Is(err, ErrPosition) {
		t.Fatal(err)
	}
	must(t, l.Close())
}

func TestSegmentSizeMayChange(t *testing.T) {
	mem := newMem(t)
	var all []entry
	for round, size := range []int64{minSegmentSize, 4 * minSegmentSize, minSegmentSize} {
		opts := smallOptions(mem)
		opts.SegmentSize = size
		l, _, list := open(t, opts, 0)
		sameEntries(t, list, all)
		for i := range 40 {
			all = append(all, put(t, l, round*40+i, l.MaxPayload()/2))
			must(t, l.Check())
		}
		must(t, l.Close())
	}
	l, _, list := open(t, smallOptions(mem), 0)
	sameEntries(t, list, all)
	must(t, l.Release(l.Durable()))
	if m := l.Metrics(); m.Segments > 3 {
		t.Fatalf("%+v", m)
	}
	must(t, l.Close())
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&CorruptionError{File: "f", Offset: 7, LSN: 9, Reason: "r", LaterRecords: 3},
			"wal: damaged at LSN 9 (f, offset 7): r; it had been made durable, and 3 valid records follow it; " +
				"restore the file from a copy, or open read-only with salvage to read what lies before the damage"},
		{&FailedError{Err: errors.New("EIO")}, "wal: the log has failed and takes no more records; open again to recover: EIO"},
		{&FailedError{Err: errors.New("EIO"), OutcomeUnknown: true},
			"wal: the log has failed and the outcome is unknown: the record may or may not be durable; open again to find out: EIO"},
	} {
		if got := fmt.Sprint(c.err); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Who looks at records after the replay has returned may still refuse the log, before anything of it is changed.
func TestReplayedMayRefuseTheLogBeforeItsTailIsCutOff(t *testing.T) {
	y := newLayout(t, false, 50, 51, 301)
	last := y.entries[2]
	change(t, y.mem, segmentFileOf(1), offsetOf(last.end)-100, make([]byte, 100)) // a torn tail
	before := snapshot(t, y.mem)
	refused := errors.New("refused")
	opts := smallOptions(y.mem)
	given := 0
	opts.Replayed = func() error {
		if given != 2 {
			t.Errorf("called after %d records", given)
		}
		return refused
	}
	_, _, err := Open(opts, 0, func(Record) error { given++; return nil })
	if !errors.Is(err, refused) || !bytes.Equal(snapshot(t, y.mem), before) {
		t.Fatalf("%v, or the log was changed", err)
	}
	opts.Replayed = func() error { return nil }
	l, rec, _ := open(t, opts, 0)
	if rec.TornBytes == 0 {
		t.Error("there was no tail to cut off")
	}
	must(t, l.Close())
}
