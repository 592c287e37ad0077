package mvcc

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"slices"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

func encodeWrites(writes ...versions.Write) (b []byte) {
	for _, w := range writes {
		b = append(appendWriteHead(b, w), w.Value...)
	}
	return b
}

var someWrites = []versions.Write{
	{Key: []byte("\x00\x00\x00\x10a"), Value: []byte("v"), Kind: versions.Put},
	{Key: []byte("\x00\x00\x00\x10b"), Kind: versions.Delete},
	{Key: []byte("\x00\x00\x00\x10c"), Value: EncodeInt64(-7), Kind: kindAdd},
	{Key: bytes.Repeat([]byte{0xff}, 300), Value: bytes.Repeat([]byte{1}, 200), Kind: versions.Put},
}

// allocated returns the bytes that f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// decodeWrites returns the writes of a commit, as a replay finds them.
func decodeWrites(b []byte) (writes []versions.Write, err error) {
	var batch replayBatch
	batch.add(1, 1, b, false)
	if err := batch.settle(); err != nil {
		return nil, err
	}
	for _, block := range batch.items {
		for _, x := range block {
			writes = append(writes, batch.write(x.at))
		}
	}
	return writes, nil
}

// FuzzWrites: bytes are the writes of a commit or are not; those that are encode to the same bytes, up to the form of
// lengths, and take memory in proportion to the bytes.
func FuzzWrites(f *testing.F) {
	f.Add(encodeWrites(someWrites...))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{1, 1, 'k', 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})
	f.Add([]byte{2, 0x80, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var writes []versions.Write
		var err error
		if n := allocated(func() { writes, err = decodeWrites(b) }); n > uint64(200*len(b)+64<<10) {
			t.Fatalf("%d bytes of memory for %d of input", n, len(b))
		}
		if err != nil {
			return
		}
		again, err := decodeWrites(encodeWrites(writes...))
		if err != nil || !slices.EqualFunc(writes, again, sameWrite) {
			t.Fatalf("%x decodes as %v, which comes back as %v, %v", b, writes, again, err)
		}
	})
}

func sameWrite(a, b versions.Write) bool {
	return a.Kind == b.Kind && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

// FuzzHistoryKey: bytes are a key of the history tree or are not; those that are encode to themselves, and sort as what
// they stand for.
func FuzzHistoryKey(f *testing.F) {
	for _, key := range []string{"", "a", "12345678", "123456789", "\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		f.Add(appendHistoryKey(nil, historyVersion{[]byte(key), 5, 9, versions.Put}), []byte("12345678"), uint64(5))
	}
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 9}, []byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, b, other []byte, ts uint64) {
		h, ok := parseHistoryKey(nil, b)
		if !ok {
			return
		}
		again := appendHistoryKey(nil, h)
		if h2, ok := parseHistoryKey(nil, again); !ok || !bytes.Equal(h2.key, h.key) || h2.timestamp != h.timestamp || h2.end != h.end || h2.kind != h.kind {
			t.Fatalf("%x is %+v and comes back as %+v, %v", b, h, h2, ok)
		}
		o := historyVersion{other, Timestamp(ts), Timestamp(ts), versions.Put}
		want := bytes.Compare(h.key, other)
		if got := bytes.Compare(again, appendHistoryKey(nil, o)); want != 0 && got != want {
			t.Fatalf("%q and %q compare as %d, their history keys as %d", h.key, other, want, got)
		}
	})
}

// FuzzReplayChain: a chain of chunks that goes through a temporary file means what it means in memory.
func FuzzReplayChain(f *testing.F) {
	db := openOn(f, newMem(f))
	f.Cleanup(func() { _ = db.Close() })
	whole := encodeWrites(someWrites...)
	f.Add(whole, uint8(3), uint8(40))
	f.Add(whole[:len(whole)-3], uint8(0), uint8(1))
	f.Add(encodeWrites(someWrites[1], someWrites[0]), uint8(1), uint8(2)) // not in key order
	f.Fuzz(func(t *testing.T, b []byte, first, second uint8) {
		cuts := []int{min(int(first), len(b)), min(int(first)+int(second), len(b))}
		c := &replayChain{db: db}
		defer c.drop()
		c.add(b[:cuts[0]])
		if c.err = c.spill(); c.err == nil {
			c.add(b[cuts[0]:cuts[1]])
		}
		_, sums, run, err := c.finish(b[cuts[1]:])
		want, wantErr := decodeWrites(b)
		if err != nil {
			if ordered(want) && wantErr == nil {
				t.Fatalf("%x, cut at %v: %v", b, cuts, err)
			}
			return
		}
		defer run.Drop()
		got := sums
		err = eachWrite([]*runs.Run{run}, func(w versions.Write) error {
			got = append(got, versions.Write{Key: bytes.Clone(w.Key), Value: bytes.Clone(w.Value), Kind: w.Kind})
			return nil
		})
		must(t, err)
		byKey := func(a, b versions.Write) int {
			return cmp.Or(bytes.Compare(a.Key, b.Key), cmp.Compare(a.Kind, b.Kind)) // additions come last
		}
		slices.SortStableFunc(got, byKey)
		slices.SortStableFunc(want, byKey)
		if wantErr != nil || !slices.EqualFunc(got, want, sameWrite) {
			t.Fatalf("%x, cut at %v: the run has %v, the bytes say %v, %v", b, cuts, got, want, wantErr)
		}
	})
}

// ordered reports whether all writes but additions are in key order and small enough for a run.
func ordered(writes []versions.Write) bool {
	var last []byte
	for i, w := range writes {
		if w.Kind == kindAdd {
			continue
		}
		if i > 0 && last != nil && bytes.Compare(last, w.Key) >= 0 {
			return false
		}
		last = append([]byte{}, w.Key...)
	}
	return true
}

// FuzzReplay: a log with any records in it, whose checksums are right, opens to a database that works, or is ErrCorrupt.
func FuzzReplay(f *testing.F) {
	mem := newMem(f)
	db := openOn(f, mem)
	set(f, db, keyspace(f, db, "k"), "a", "1")
	must(f, db.Close())
	payload := func(chain uint64, b []byte) []byte { return append(binary.AppendUvarint(nil, chain), b...) }
	whole := encodeWrites(someWrites...)
	f.Add(payload(0, whole), []byte{}, true)
	f.Add(payload(5, whole[:9]), payload(5, whole[9:]), false)
	f.Add(payload(0, encodeWrites(versions.Write{Key: []byte("\x00\x00\x00\x00next"), Value: []byte("four"), Kind: versions.Put})), payload(0, nil), true)
	f.Add(payload(0, encodeWrites(versions.Write{Key: []byte("\x00\x00\x00\x10a"), Value: []byte("x"), Kind: kindAdd})), payload(0, nil), true)
	f.Add([]byte{0x80}, []byte{0xff}, false)
	f.Fuzz(func(t *testing.T, one, two []byte, commits bool) {
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		db := openOn(t, image)
		kind := byte(recordChunk)
		if commits {
			kind = recordCommit
		}
		ts := uint64(db.watermark.Load())
		for i, b := range [][]byte{one, two} {
			if len(b) > db.log.MaxPayload() {
				return
			}
			_, err := db.log.Append([]byte{kind, recordCommit}[i], ts+uint64(i)+1, b)
			must(t, err)
		}
		must(t, db.log.Sync(bg, db.log.End()))
		crashed := image.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
		must(t, db.Close())
		useReplayed(t, crashed)
	})
}

// useReplayed opens the image and works with it.
func useReplayed(t *testing.T, image *vfs.Mem) {
	db, err := Open(testPath, testOptions(image))
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("open: %v", err)
		}
		return
	}
	defer db.Close()
	ks, err := db.Keyspace(bg, "k")
	if err == nil {
		err = db.View(bg, func(tx *Txn) error {
			for _, err := range tx.Scan(ks, Range{}) {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		err = db.Checkpoint(bg)
	}
	if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrInvalid) {
		t.Fatalf("using it: %v", err)
	}
}

// FuzzRestore: a stream whose checksums are right, whatever it says, is restored or is an error; and then nothing is left behind.
func FuzzRestore(f *testing.F) {
	whole := smallBackup(f)
	f.Add(whole[backupHeaderSize:])
	for _, frames := range [][]byte{
		{1, 0, 0, 0, backupKeyspace, 'k', 0, 0, 0, 0, 4, 0, 0, 0, backupPairs, 1, 'a', 1, 'b', 0, 0, 0, 0},
		{0xff, 0xff, 0xff, 0x3f, backupPairs, 1},
		{4, 0, 0, 0, backupPairs, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0},
	} {
		f.Add(frames)
	}
	f.Fuzz(func(t *testing.T, frames []byte) {
		mem := newMem(t)
		b := withSums(whole[:backupHeaderSize], frames)
		report, err := restore(mem, b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v", err)
			}
			wantNothingThere(t, mem, "after an error")
			return
		}
		db := openRestored(t, mem)
		again, made := backupOf(t, db)
		if made.Pairs > report.Pairs || made.Keyspaces != report.Keyspaces || len(again) == 0 {
			t.Errorf("restored %+v, backed up %+v", report, made)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// withSums returns header and frames with the checksums that belong there.
func withSums(header, frames []byte) []byte {
	b := bytes.Clone(header)
	sum := binary.LittleEndian.Uint32(header[len(header)-4:])
	for len(frames) >= 5 {
		n := int64(binary.LittleEndian.Uint32(frames))
		if int64(len(frames)) < 9+n {
			break
		}
		sum = crc32.Update(sum, castagnoli, frames[:5+n])
		b = binary.LittleEndian.AppendUint32(append(b, frames[:5+n]...), sum)
		frames = frames[9+n:]
	}
	return append(b, frames...)
}
