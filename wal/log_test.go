package wal

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

func TestNewLogIsEmptyAndReopens(t *testing.T) {
	opts := smallOptions(newMem(t))
	l, rec, list := open(t, opts, 0)
	if rec.End != FirstLSN || l.End() != FirstLSN || l.Durable() != FirstLSN || len(list) != 0 {
		t.Fatalf("new log: %+v, end %d, durable %d", rec, l.End(), l.Durable())
	}
	must(t, l.Close())
	l, rec, list = open(t, opts, FirstLSN)
	if rec.End != FirstLSN || len(list) != 0 {
		t.Fatalf("reopened: %+v", rec)
	}
	must(t, l.Close())
}

func TestRecordsComeBackInOrderAcrossSegments(t *testing.T) {
	opts := smallOptions(newMem(t))
	l, _, _ := open(t, opts, 0)
	var want []entry
	for i := range 300 {
		want = append(want, put(t, l, i, i*37%2000))
		if i%7 == 0 {
			must(t, l.Sync(bg, l.End()))
			must(t, l.Check())
		}
	}
	must(t, l.Close())
	for _, from := range []LSN{0, want[0].lsn, want[150].lsn, want[299].lsn, want[299].end} {
		l, rec, list := open(t, opts, from)
		rest := want
		for len(rest) > 0 && rest[0].lsn < from {
			rest = rest[1:]
		}
		sameEntries(t, list, rest)
		if rec.Records != int64(len(rest)) || rec.TornBytes != 0 {
			t.Fatalf("from %d: %+v", from, rec)
		}
		must(t, l.Close())
	}
}

func TestLargestPayloadFitsAndLargerIsRefused(t *testing.T) {
	opts := smallOptions(newMem(t))
	l, _, _ := open(t, opts, 0)
	want := []entry{put(t, l, 0, 0), put(t, l, 1, l.MaxPayload()), put(t, l, 2, l.MaxPayload()), put(t, l, 3, l.MaxPayload()), put(t, l, 4, l.MaxPayload())}
	big := make([]byte, l.MaxPayload()+1)
	if _, err := l.Append(0, 0, big); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if err := l.Admit(bg, len(big)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	must(t, l.Sync(bg, l.End()))
	must(t, l.Close())
	l, _, list := open(t, opts, 0)
	sameEntries(t, list, want)
	must(t, l.Close())
}

func TestUnsyncedRecordsAreLostButNothingElse(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, smallOptions(mem), 0)
	want := []entry{put(t, l, 1, 100)}
	must(t, l.Sync(bg, want[0].end))
	put(t, l, 2, 100)
	image := mem.Crash(vfs.CrashConfig{})
	must(t, l.Close())
	l, rec, list := open(t, smallOptions(image), 0)
	sameEntries(t, list, want)
	if rec.End != want[0].end || l.Durable() != rec.End {
		t.Fatalf("%+v, durable %d", rec, l.Durable())
	}
	must(t, l.Close())
}

func TestUseAfterCloseIsRefused(t *testing.T) {
	l, _, _ := open(t, smallOptions(newMem(t)), 0)
	e := put(t, l, 1, 10)
	must(t, l.Close())
	must(t, l.Close())
	must(t, l.Sync(bg, e.end)) // Close made it durable
	if _, err := l.Append(1, 1, nil); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := l.Admit(bg, 1); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := l.Release(0); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestSyncBeyondTheEndIsRefused(t *testing.T) {
	l, _, _ := open(t, smallOptions(newMem(t)), 0)
	if err := l.Sync(bg, l.End()+8); !errors.Is(err, ErrPosition) {
		t.Fatal(err)
	}
	must(t, l.Close())
}

func TestReadOnlyChangesNothing(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, smallOptions(mem), 0)
	want := []entry{put(t, l, 1, 100), put(t, l, 2, 200)}
	must(t, l.Sync(bg, l.End()))
	image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
	must(t, l.Close())
	readOnly := smallOptions(vfs.ReadOnly(image))
	readOnly.ReadOnly = true
	l, _, list := open(t, readOnly, 0)
	sameEntries(t, list, want)
	if _, err := l.Append(1, 1, nil); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	if err := l.Release(0); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	must(t, l.Sync(bg, l.End()))
	must(t, l.Close())
}

func TestReadOnlyOfAnAbsentLogIsEmpty(t *testing.T) {
	mem := newMem(t)
	opts := smallOptions(mem)
	opts.ReadOnly = true
	l, rec, _ := open(t, opts, 0)
	if rec.End != FirstLSN {
		t.Fatalf("%+v", rec)
	}
	must(t, l.Close())
	if _, err := mem.Stat(opts.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the directory was created: %v", err)
	}
}

func TestReplayErrorEndsOpening(t *testing.T) {
	opts := smallOptions(newMem(t))
	l, _, _ := open(t, opts, 0)
	put(t, l, 1, 10)
	must(t, l.Close())
	stop := errors.New("stop")
	if _, _, err := Open(opts, 0, func(Record) error { return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
}

func TestInvalidOptionsAreNamed(t *testing.T) {
	good := smallOptions(newMem(t))
	for name, spoil := range map[string]func(*Options){
		"FS":            func(o *Options) { o.FS = nil },
		"Dir":           func(o *Options) { o.Dir = "" },
		"DatabaseID":    func(o *Options) { o.DatabaseID = DatabaseID{} },
		"SegmentSize":   func(o *Options) { o.SegmentSize = 1000 },
		"Salvage":       func(o *Options) { o.Salvage = true },
		"FlushInterval": func(o *Options) { o.FlushInterval = -1 },
	} {
		o := good
		spoil(&o)
		if _, _, err := Open(o, 0, nil); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, from := range []LSN{3, 1 << 63} {
		if _, _, err := Open(good, from, nil); !errors.Is(err, ErrPosition) {
			t.Errorf("from %d: %v", from, err)
		}
	}
}
