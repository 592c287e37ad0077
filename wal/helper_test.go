package wal

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/sombradb/sombra/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg     = context.Background()
	testID = DatabaseID{1, 2, 3}
)

// smallOptions use the smallest segments, so that tests meet their ends.
func smallOptions(fsys vfs.FS) Options {
	return Options{FS: fsys, Dir: "/db/wal", DatabaseID: testID, SegmentSize: minSegmentSize}
}

func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("/db", dirPerm))
	must(t, mem.SyncDir("/"))
	return mem
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry is a record as the tests remember it.
type entry struct {
	lsn, end LSN
	kind     uint8
	ts       uint64
	payload  []byte
}

func (e entry) equal(o entry) bool {
	return e.lsn == o.lsn && e.end == o.end && e.kind == o.kind && e.ts == o.ts && bytes.Equal(e.payload, o.payload)
}

func (e entry) String() string {
	return fmt.Sprintf("{[%d,%d) kind %d ts %d, %d bytes}", e.lsn, e.end, e.kind, e.ts, len(e.payload))
}

// collect returns a replay function that appends to list.
func collect(list *[]entry) func(Record) error {
	return func(r Record) error {
		*list = append(*list, entry{r.LSN, r.End, r.Kind, r.Timestamp, bytes.Clone(r.Payload)})
		return nil
	}
}

// open opens a log that must be there and good.
func open(t testing.TB, opts Options, from LSN) (*Log, Recovery, []entry) {
	t.Helper()
	var list []entry
	l, rec, err := Open(opts, from, collect(&list))
	must(t, err)
	must(t, l.Check())
	return l, rec, list
}

// put appends a record whose content follows from i.
func put(t testing.TB, l *Log, i int, size int) entry {
	t.Helper()
	e := entry{kind: uint8(i), ts: uint64(i) * 1000, payload: bytes.Repeat([]byte{byte(i + 1)}, size)}
	var err error
	e.end, err = l.Append(e.kind, e.ts, e.payload)
	must(t, err)
	e.lsn = e.end - LSN(recordSize(size))
	return e
}

func sameEntries(t testing.TB, got, want []entry) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !got[i].equal(want[i]) {
			t.Fatalf("record %d: got %v, want %v", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
}

// readFile returns a file's content.
func readFile(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	f, err := fsys.OpenFile(name, 0, 0)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(b, 0)
		must(t, err)
	}
	return b
}
