package wal

import (
	"os"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// salvagedLog reads what can be saved of a log.
func salvagedLog(t *testing.T, opts Options, from LSN) (list []entry, gaps []Gap, found Salvaged) {
	t.Helper()
	found, err := Salvage(opts, from, collect(&list), func(g Gap) error {
		gaps = append(gaps, g)
		return nil
	})
	must(t, err)
	return list, gaps, found
}

// longLog is a log of several segments, closed, and its records.
func longLog(t *testing.T) (*vfs.Mem, Options, []entry) {
	t.Helper()
	mem := newMem(t)
	opts := smallOptions(mem)
	l, _, _ := open(t, opts, 0)
	var want []entry
	for i := range 120 {
		e := put(t, l, i, 100+(i*37)%4000)
		must(t, l.Sync(bg, e.end))
		want = append(want, e)
	}
	must(t, l.Close())
	return mem, opts, want
}

func flipByte(t *testing.T, fsys vfs.FS, name string, off int64) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= 0x20
	_, err = f.WriteAt(b, off)
	must(t, err)
}

// placeOf returns the segment file and the offset of a position.
func placeOf(t *testing.T, opts Options, lsn LSN) (name string, off int64) {
	t.Helper()
	files, err := listSegments(&opts)
	must(t, err)
	for i := range files {
		if f := &files[i]; f.inUse() && f.header.first <= lsn {
			name, off = f.name, segmentHeaderArea+int64(lsn-f.header.first)
		}
	}
	return name, off
}

func TestSalvageOfAnIntactLogGivesWhatAReplayGives(t *testing.T) {
	_, opts, want := longLog(t)
	for _, from := range []LSN{0, FirstLSN, want[50].lsn, want[119].end} {
		list, gaps, found := salvagedLog(t, opts, from)
		_, rec, replayed := open(t, Options{FS: opts.FS, Dir: opts.Dir, DatabaseID: testID, SegmentSize: opts.SegmentSize, ReadOnly: true}, from)
		sameEntries(t, list, replayed)
		if len(gaps) > 0 || found.End != rec.End || found.Records != rec.Records {
			t.Errorf("from %d: gaps %v, %+v", from, gaps, found)
		}
	}
}

// Each record in turn is damaged: it alone is missing, and the gap is exactly its place.
func TestSalvageLosesOneRecordWhereOneIsDamaged(t *testing.T) {
	mem, opts, want := longLog(t)
	for i := 0; i < len(want); i += 7 {
		for _, at := range []int64{0, 9, 11, 16, 24, 41} { // 9 and 11 make lengths that are impossible
			image := mem.Crash(vfs.CrashConfig{})
			o := opts
			o.FS = image
			name, off := placeOf(t, o, want[i].lsn)
			flipByte(t, image, name, off+at)
			list, gaps, _ := salvagedLog(t, o, 0)
			sameEntries(t, list, append(append([]entry(nil), want[:i]...), want[i+1:]...))
			if len(gaps) != 1 || gaps[0].From != want[i].lsn || gaps[0].To != want[i].end || gaps[0].File != name {
				t.Fatalf("record %d, byte %d: gaps %+v, want %v", i, at, gaps, want[i])
			}
			if list, gaps, _ = salvagedLog(t, o, want[i].end); len(gaps) > 0 || len(list) != len(want)-i-1 {
				t.Fatalf("from behind record %d: %d records, gaps %+v", i, len(list), gaps)
			}
		}
	}
}

func TestSalvageFindsRecordsWithoutTheHeaderOfTheirSegment(t *testing.T) {
	mem, opts, want := longLog(t)
	files, err := listSegments(&opts)
	must(t, err)
	for _, f := range files {
		if !f.inUse() {
			continue
		}
		image := mem.Crash(vfs.CrashConfig{})
		o := opts
		o.FS = image
		flipByte(t, image, f.name, 33)
		list, _, _ := salvagedLog(t, o, FirstLSN)
		sameEntries(t, list, want)
	}
}

func TestSalvageGoesOnBehindAMissingSegment(t *testing.T) {
	mem, opts, want := longLog(t)
	files, err := listSegments(&opts)
	must(t, err)
	lost, next := files[1].header.first, files[2].header.first
	must(t, mem.Remove(files[1].name))
	list, gaps, _ := salvagedLog(t, opts, FirstLSN)
	var left []entry
	for _, e := range want {
		if e.lsn < lost || e.lsn >= next {
			left = append(left, e)
		}
	}
	sameEntries(t, list, left)
	if len(gaps) != 1 || gaps[0].From != lost || gaps[0].To != next {
		t.Errorf("gaps %+v, want one from %d to %d", gaps, lost, next)
	}
	for _, f := range files {
		_ = mem.Remove(f.name) // one is gone already
	}
	list, gaps, _ = salvagedLog(t, opts, want[3].lsn)
	if len(list) > 0 || len(gaps) != 1 {
		t.Errorf("without a log: %d records, gaps %+v", len(list), gaps)
	}
}

// What was never acknowledged is not given: the records of the last sync behind a torn one.
func TestSalvageEndsWhereTheLogEnds(t *testing.T) {
	mem := newMem(t)
	opts := smallOptions(mem)
	l, _, _ := open(t, opts, 0)
	first := put(t, l, 1, 100)
	must(t, l.Sync(bg, first.end))
	torn := put(t, l, 2, 100)
	last := put(t, l, 3, 100)
	must(t, l.Sync(bg, last.end))
	image := mem.Crash(vfs.CrashConfig{})
	must(t, l.Close())
	opts.FS = image
	name, off := placeOf(t, opts, torn.lsn)
	flipByte(t, image, name, off)
	list, gaps, found := salvagedLog(t, opts, 0)
	sameEntries(t, list, []entry{first})
	if len(gaps) > 0 || found.End != torn.lsn {
		t.Errorf("gaps %+v, end %d", gaps, found.End)
	}
}
