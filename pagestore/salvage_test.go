package pagestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// salvageFile is a tree of three levels that many checkpoints have changed in places, so that leaves have deltas, the file has
// free pages with old nodes, and vacuum has moved some.
func salvageFile(t testing.TB) (*vfs.Mem, map[string]string) {
	t.Helper()
	mem, want, _ := salvageVersions(t)
	return mem, want
}

// salvageVersions is salvageFile with what the last version has, and the one before it.
func salvageVersions(t testing.TB) (mem *vfs.Mem, want, before map[string]string) {
	t.Helper()
	mem = vfs.NewMem()
	s, err := Create("db", testID, Options{FS: mem, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{}
	random := rand.New(rand.NewPCG(7, 7))
	ts := uint64(0)
	for round := range 40 {
		ts++
		before = maps.Clone(want)
		var edits []Edit
		for k := range 3000 {
			if round > 0 && random.IntN(150) > 0 {
				continue
			}
			e := Edit{Key: fmt.Appendf(bytes.Repeat([]byte{byte('a' + k/300)}, 60), "%05d", k), Timestamp: ts}
			switch n := random.IntN(40); {
			case round > 0 && n < 12 || round == 20 && k > 1500 && k < 2300:
				e.Delete = true
			case n == 20:
				e.Value = pattern(3000, uint64(round*k))
			default:
				e.Value = pattern(20, uint64(round*k))
			}
			edits = append(edits, e)
			if e.Delete {
				delete(want, string(e.Key))
			} else {
				want[string(e.Key)] = string(e.Value)
			}
		}
		if round == 3 {
			e := Edit{Key: []byte("zz large"), Value: pattern(2500<<10, 5), Timestamp: ts}
			edits, want["zz large"] = append(edits, e), string(e.Value)
		}
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		err = c.Merge(context.Background(), DataTree, func(yield func(Edit) bool) {
			for _, e := range edits {
				if !yield(e) {
					return
				}
			}
		}, nil)
		if err == nil {
			_, err = c.Vacuum(context.Background(), AutoVacuum)
		}
		if err == nil {
			_, err = c.Commit(Meta{Timestamp: ts, LogLSN: 8})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mem, want, before
}

// salvaged reads all that can be saved and compares it with what there was.
func salvaged(t testing.TB, mem *vfs.Mem, want map[string]string, keep bool) (saved int, losses []Loss) {
	t.Helper()
	v, err := OpenSalvage(context.Background(), "db", SalvageOptions{Options: Options{FS: mem}, KeepOutdated: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	there := map[string]bool{}
	err = v.Records(context.Background(), DataTree, func(r Record) error {
		there[string(r.Key)] = true
		if w, ok := want[string(r.Key)]; !keep && (!ok || w != string(r.Value)) {
			t.Fatalf("key %q is not what it was (there was one: %t)\n%v", r.Key, ok, v.Losses())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key := range want {
		if !there[key] && !lists(v.Losses(), []byte(key)) {
			t.Fatalf("key %q is lost, and nothing says so\n%v", key, v.Losses())
		}
	}
	return len(there), v.Losses()
}

func lists(losses []Loss, key []byte) bool {
	for _, l := range losses {
		if l.Records != 0 && l.From != nil && bytes.Compare(key, l.From) >= 0 && (l.To == nil || bytes.Compare(key, l.To) < 0) {
			return true
		}
	}
	return false
}

func rot(t testing.TB, mem *vfs.Mem, page, at int) {
	t.Helper()
	f, err := mem.OpenFile("db", 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	off := int64(page*4096 + at)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 16
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func TestSalvageOfAnIntactFileSavesAll(t *testing.T) {
	mem, want := salvageFile(t)
	if saved, losses := salvaged(t, mem, want, false); saved != len(want) || len(losses) > 0 {
		t.Errorf("%d of %d records, losses %v", saved, len(want), losses)
	}
}

// One page after the other: inner nodes and bitmaps cost nothing, and what is lost is counted. A superblock would cost what
// only the log has then.
func TestSalvageLosesWhatADamagedPageHolds(t *testing.T) {
	mem, want := salvageFile(t)
	data := contents(t, mem)
	stride := 5
	if *long {
		stride = 1
	}
	worst := map[byte]int{}
	for page := 2; page < len(data)/4096; page++ {
		kind := data[page*4096+offKind]
		if binary.LittleEndian.Uint64(data[page*4096+offPage:]) != uint64(page) {
			kind = kindOverflow // inside of a run
		}
		if (kind == kindLeaf || kind == kindOverflow) && page%stride > 0 {
			continue
		}
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		rot(t, image, page, 70+page%4000)
		saved, losses := salvaged(t, image, want, false)
		lost, counted := len(want)-saved, int64(0)
		for _, l := range losses {
			counted += l.Records
		}
		if int64(lost) != counted {
			t.Errorf("page %d (kind %d): %d records are lost, the report counts %d: %v", page, kind, lost, counted, losses)
		}
		worst[kind] = max(worst[kind], lost)
	}
	t.Logf("records lost at most, by kind of page: %v of %d", worst, len(want))
	for _, kind := range []byte{kindInner, kindBitmap, kindIndex} {
		if worst[kind] > 0 {
			t.Errorf("a page of kind %d cost %d records", kind, worst[kind])
		}
	}
}

// Many pages at once, superblocks too: never a wrong value, never a loss that is not listed.
func TestSalvageOfMuchDamageIsNeverWrong(t *testing.T) {
	mem, want, before := salvageVersions(t)
	pages := len(contents(t, mem)) / 4096
	rounds, older := 60, 0
	if *long {
		rounds = 2000
	}
	random := rand.New(rand.NewPCG(1, 9))
	for round := range rounds {
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		for range 1 + random.IntN(12) {
			rot(t, image, 2+random.IntN(pages-2), random.IntN(4084))
		}
		if round%3 == 0 {
			rot(t, image, 0, 40)
			rot(t, image, 1, 40)
		}
		if v := foundVersion(t, image); v == 41 {
			older++
			salvaged(t, image, before, false)
		} else {
			salvaged(t, image, want, false)
		}
	}
	if older > rounds/3 {
		t.Errorf("%d of %d times the older version was taken", older, rounds)
	}
}

// foundVersion returns the checkpoint whose version is salvaged. Without superblocks it is the one before the last, 42, when
// the page that leads to the newest bitmap is damaged: the log has what is missing.
func foundVersion(t testing.TB, mem *vfs.Mem) uint64 {
	t.Helper()
	v, err := OpenSalvage(context.Background(), "db", SalvageOptions{Options: Options{FS: mem}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	return v.Sequence()
}

// Asked for, outdated records are saved and counted.
func TestSalvageKeepsOutdatedRecords(t *testing.T) {
	mem, want := salvageFile(t)
	data := contents(t, mem)
	kept := int64(0)
	for page := 2; page < len(data)/4096; page++ {
		if data[page*4096+offKind] != kindDelta {
			continue
		}
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		rot(t, image, page, 100)
		with, losses := salvaged(t, image, want, true)
		without, _ := salvaged(t, image, want, false)
		outdated := int64(0)
		for _, l := range losses {
			outdated += l.Outdated
		}
		if outdated != int64(with-without) {
			t.Errorf("page %d: %d records with outdated ones, %d without, %d counted", page, with, without, outdated)
		}
		kept += outdated
	}
	if kept == 0 {
		t.Error("no delta page was met")
	}
}

func TestTheSeedFollowsFromContentAndChecksum(t *testing.T) {
	reverse := reverseTable()
	random := rand.New(rand.NewPCG(2, 3))
	for range 1000 {
		b := make([]byte, random.IntN(300))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		seed := random.Uint32()
		if got := reverse.seed(b, crc32.Update(seed, castagnoli, b)); got != seed {
			t.Fatalf("%d bytes: seed %08x, want %08x", len(b), got, seed)
		}
	}
}

func TestSalvageRefusesWhatIsNoDatabase(t *testing.T) {
	mem := vfs.NewMem()
	for name, content := range map[string][]byte{"empty": nil, "other": bytes.Repeat([]byte("text "), 5000)} {
		f, err := mem.OpenFile(name, 0x42, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(content, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSalvage(context.Background(), name, SalvageOptions{Options: Options{FS: mem}}); !errors.Is(err, ErrNotDatabase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenSalvage(context.Background(), "none", SalvageOptions{Options: Options{FS: mem}}); err == nil {
		t.Error("a file that is not there was opened")
	}
	if left := mem.OpenHandles(); len(left) > 0 {
		t.Errorf("left open: %q", left)
	}
}
