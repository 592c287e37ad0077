package mvcc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/wal"
)

// timedWrite is a write as a test expects it.
type timedWrite struct {
	versions.Write
	ts Timestamp
}

// randomWrites returns the writes of a commit: long and short keys, of which some are the same and many share 16 bytes.
func randomWrites(rng *rand.Rand, n int) []versions.Write {
	writes := make([]versions.Write, n)
	for i := range writes {
		key := fmt.Sprintf("a key of many that share it %03d", rng.IntN(500))
		if rng.IntN(2) == 0 {
			key = fmt.Sprint(rng.IntN(1000))
		}
		writes[i] = versions.Write{Key: []byte(key), Value: bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(300)), Kind: versions.Put}
	}
	return writes
}

// fillBatch adds commits to a batch, some of which it may keep. Commit number bad does not decode.
func fillBatch(b *replayBatch, commits, bad int) (want []timedWrite) {
	rng := rand.New(rand.NewPCG(1, uint64(commits)))
	for i := range commits {
		writes := randomWrites(rng, rng.IntN(12))
		encoded := encodeWrites(writes...)
		if i == bad {
			encoded = append(encoded, 99)
		}
		ts := Timestamp(100 + i)
		b.add(ts, wal.LSN(8*i+8), encoded, rng.IntN(20) == 0)
		for _, w := range writes {
			if bad < 0 || i < bad {
				want = append(want, timedWrite{w, ts})
			}
		}
	}
	slices.SortStableFunc(want, func(x, y timedWrite) int { return cmp.Or(bytes.Compare(x.Key, y.Key), cmp.Compare(x.ts, y.ts)) })
	return want
}

func verifySorted(t *testing.T, b *replayBatch, want []timedWrite) {
	t.Helper()
	items := b.sorted()
	same := slices.EqualFunc(items, want, func(x replayItem, y timedWrite) bool { return x.ts == y.ts && sameWrite(b.write(x.at), y.Write) })
	if !same {
		t.Errorf("%d writes are not the %d that were added, in order", len(items), len(want))
	}
}

func TestABatchOfManyChunksHasAllWritesInOrder(t *testing.T) {
	for _, commits := range []int{0, 1, 20, 3000} {
		b := newReplayBatch(7, 0) // the smallest chunks
		want := fillBatch(b, commits, -1)
		must(t, b.settle())
		if commits == 3000 && len(b.chunks) < 50 {
			t.Errorf("%d chunks", len(b.chunks))
		}
		last := Timestamp(7)
		if commits > 0 {
			last = Timestamp(99 + commits)
		}
		if b.n != int64(commits) || b.last != last || commits > 0 && b.bytes() < int64(len(want))*replayWriteBytes {
			t.Errorf("%d commits up to %d, %d bytes; want %d up to %d", b.n, b.last, b.bytes(), commits, last)
		}
		verifySorted(t, b, want)
	}
}

func TestABatchEndsBeforeTheFirstCommitThatDoesNotDecode(t *testing.T) {
	for _, bad := range []int{0, 1, 500, 1999} {
		b := newReplayBatch(7, 0)
		want := fillBatch(b, 2000, bad)
		b.add(5000, 1<<20, []byte{77}, false) // another one
		err := b.settle()
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("log record at %d does not decode", 8*bad+8)) {
			t.Errorf("commit %d does not decode, the error is %v", bad, err)
		}
		must(t, b.settle()) // it is reported once
		last := Timestamp(7)
		if bad > 0 {
			last = Timestamp(99 + bad)
		}
		if b.n != int64(bad) || b.last != last {
			t.Errorf("%d commits up to %d are left, want %d up to %d", b.n, b.last, bad, last)
		}
		verifySorted(t, b, want)
	}
}

// The sums of a commit that was too large for one record are single writes: they do not count as commits.
func TestSingleWritesOfABatchAreNoCommits(t *testing.T) {
	b := newReplayBatch(7, 0)
	for i := range 10 {
		b.addWrite(versions.Write{Key: []byte(fmt.Sprint(i)), Value: EncodeInt64(1), Kind: kindAdd}, 9)
	}
	must(t, b.settle())
	if b.n != 0 || b.last != 7 || b.count != 10 || !b.adds {
		t.Errorf("%d commits up to %d, %d writes, additions %v", b.n, b.last, b.count, b.adds)
	}
}

// A record that does not decode, although its checksum is right, ends Open before anything was changed, and is where a
// salvage ends, however much has been read by the time it is noticed.
func TestARecordThatDoesNotDecodeEndsTheReplayThere(t *testing.T) {
	disk := newMem(t)
	big := func(o *Options) { o.MemoryBudget, o.MaxLogBytes = 1<<30, 1<<30 }
	db := openOn(t, disk, big)
	w := &logWriter{t: t, db: db, ks: keyspace(t, db, "k"), rng: rand.New(rand.NewPCG(5, 6)), content: make(map[string]string)}
	for range 100 {
		w.commit(20)
	}
	ts := db.commits.mu.last + 1
	bad, err := db.log.Append(recordCommit, uint64(ts), append(encodeWrites(someWrites...), 99))
	must(t, err)
	for i := range 300 {
		_, err := db.log.Append(recordCommit, uint64(ts)+1+uint64(i), append([]byte{0}, encodeWrites(someWrites...)...))
		must(t, err)
	}
	must(t, db.log.Sync(bg, db.log.End()))
	image := disk.Crash(vfs.CrashConfig{Mode: vfs.LoseAll})
	must(t, db.Close())

	for _, open := range []func(*Options){func(*Options) {}, big, func(o *Options) { o.ReadOnly = true }} {
		o := testOptions(image)
		open(o)
		writes := 0
		o.FS = vfs.NewFaulty(image, func(op vfs.Op) vfs.Fault {
			if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".wal") {
				writes++
			}
			return vfs.Fault{}
		})
		_, err := Open(testPath, o)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "does not decode") {
			t.Fatalf("open: %v", err)
		}
		if writes > 0 {
			t.Errorf("the log was written to before: %v", err)
		}
	}
	saved := openOn(t, image, func(o *Options) { o.ReadOnly, o.Salvage = true, true })
	if saved.recovered.Damaged == nil || !strings.Contains(saved.recovered.Damaged.Error(), "does not decode") {
		t.Errorf("damage: %v; the record is before %d", saved.recovered.Damaged, bad)
	}
	must(t, saved.View(bg, w.verify("what comes before", w.content)))
	must(t, saved.Close())
}
