package pagestore

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file of the current format version anew")

// goldenEdits are the records of the golden files. They never change: files that were written with them must be read for
// ever. What a newer format adds goes into edits of its own.
func goldenEdits() (data, history []Edit) {
	for i := range 600 {
		data = append(data, Edit{
			Key: fmt.Appendf(nil, "key/%05d", i), Value: pattern(i%90, uint64(i)), Timestamp: 1000 + uint64(i%7)<<20,
		})
	}
	long := bytes.Repeat([]byte("long"), 3000) // a node of several pages, with offsets of two bytes
	huge := bytes.Repeat([]byte{'z'}, MaxKeySize)
	huger := append(bytes.Clone(huge[1:]), '~') // the separator of the two is as long as they are
	data = append(data,
		Edit{Key: []byte("empty"), Timestamp: 1},
		Edit{Key: []byte("overflow/one-run"), Value: pattern(9000, 1), Timestamp: 2},
		Edit{Key: []byte("overflow/three-runs"), Value: bytes.Repeat([]byte("abcdefg\n"), (2*runBytes+9000)/8), Timestamp: 3},
		Edit{Key: long, Value: []byte("jumbo"), Timestamp: 4},
		Edit{Key: huge, Value: pattern(900, 2), Timestamp: 5},
		Edit{Key: huger, Value: pattern(800, 4), Timestamp: 8},
		Edit{Key: []byte{}, Value: []byte("the empty key"), Timestamp: 6},
	)
	for i := range 150 {
		history = append(history, Edit{
			Key: fmt.Appendf(nil, "key/%05d\x00\x01", i*3), Value: pattern(40, uint64(i)), Timestamp: uint64(i),
		})
	}
	history = append(history, Edit{Key: []byte("overflow"), Value: pattern(20_000, 3), Timestamp: 7})
	return sortEdits(data), sortEdits(history)
}

// goldenDeltas are what version 2 adds: few edits of each leaf, which put, replace and delete records of every length.
func goldenDeltas() (data, history []Edit) {
	for i := 3; i < 600; i += 25 {
		e := Edit{Key: fmt.Appendf(nil, "key/%05d", i), Value: pattern(i%50, uint64(i+1)), Timestamp: uint64(2000 + i)}
		switch i % 4 {
		case 1:
			e.Value, e.Timestamp, e.Delete = nil, 0, true
		case 2:
			e.Key = append(e.Key, "/between"...)
		}
		data = append(data, e)
	}
	data = append(data,
		Edit{Key: fmt.Appendf(nil, "key/%05d", 100), Value: pattern(5000, 6), Timestamp: 10},
		Edit{Key: []byte("overflow/one-run"), Value: []byte("short"), Timestamp: 11},
	)
	for i := 1; i < 150; i += 30 {
		history = append(history, Edit{Key: fmt.Appendf(nil, "key/%05d\x00\x01", i*3), Value: []byte("new"), Timestamp: 12})
	}
	return sortEdits(data), sortEdits(history)
}

// goldenModels are what the golden file of a version holds.
func goldenModels(version byte) (data, history model) {
	d, h := goldenEdits()
	data, history = model{}.apply(d), model{}.apply(h)
	if version >= 2 {
		d, h = goldenDeltas()
		data, history = data.apply(d), history.apply(h)
	}
	return data, history
}

var goldenMeta = Meta{Timestamp: 123456789, LogLSN: 4711, Owner: [256]byte{0: 1, 17: 2, 255: 3}}

// writeGolden makes the file. Its records come with several checkpoints, so that there are free pages between those of
// different ages, and leaves that are older than their deltas.
func writeGolden(t *testing.T) []byte {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	data, history := goldenEdits()
	goldenCheckpoint(t, s, data, history[:100])
	goldenCheckpoint(t, s, data[300:350], history[100:])
	data, history = goldenDeltas()
	goldenCheckpoint(t, s, data, history)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return contents(t, mem)
}

func goldenCheckpoint(t *testing.T, s *Store, data, history []Edit) {
	c, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	for tree, edits := range [][]Edit{data, history} {
		if err := c.Merge(context.Background(), TreeID(tree), slices.Values(edits), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Commit(goldenMeta); err != nil {
		t.Fatal(err)
	}
}

func readGzip(t *testing.T, name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeGzip(t *testing.T, name string, b []byte) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	if err = errors.Join(err, z.Close(), os.WriteFile(name, out.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func memWith(t *testing.T, b []byte) *vfs.Mem {
	mem := vfs.NewMem()
	f, err := mem.OpenFile("db", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return mem
}

// TestGoldenFilesStayReadable opens a file of each format that was ever released, reads every record, and goes on with
// checkpoints.
func TestGoldenFilesStayReadable(t *testing.T) {
	if *rewrite {
		writeGzip(t, filepath.Join("testdata", fmt.Sprintf("v%d.db.gz", FormatVersion)), writeGolden(t))
	}
	names, err := filepath.Glob("testdata/v*.db.gz")
	if err != nil || !slices.ContainsFunc(names, func(n string) bool {
		return strings.HasPrefix(filepath.Base(n), fmt.Sprintf("v%d.", FormatVersion))
	}) {
		t.Fatalf("no golden file of version %d (run with -rewrite) in %v: %v", FormatVersion, names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) { testGolden(t, readGzip(t, name)) })
	}
}

func testGolden(t *testing.T, file []byte) {
	version := file[sbVersion]
	data, history := goldenModels(version)
	mem := memWith(t, file)
	for _, readOnly := range []bool{true, false} {
		s, err := Open("db", Options{FS: mem, CacheBytes: minCache, ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		goldenContent(t, s, data, history)
		if got := superVersions(t, mem); got != [2]byte{version, version} {
			t.Fatalf("without a checkpoint, superblocks of version %d have %v", version, got)
		}
		if readOnly {
			continue
		}
		more := []Edit{{Key: []byte("key/00001"), Value: []byte("new"), Timestamp: 1 << 40}}
		for i := range 2 {
			goldenCheckpoint(t, s, more, nil)
			goldenContent(t, s, data.apply(more), history)
			if got := superVersions(t, mem); max(got[0], got[1]) != FormatVersion || i > 0 && got[0] != got[1] {
				t.Fatalf("after checkpoint %d, superblocks have versions %v", i+1, got)
			}
		}
		if sb := s.View().sb; !sb.counted(DataTree) || !sb.counted(HistoryTree) {
			t.Fatal("the pages of the trees are not counted after a checkpoint")
		}
	}
}

func goldenContent(t *testing.T, s *Store, data, history model) {
	t.Helper()
	if s.ID() != testID || s.View().Meta() != goldenMeta || s.OlderLogLSN() != goldenMeta.LogLSN {
		t.Fatalf("id %x, meta %+v, older log position %d", s.ID(), s.View().Meta(), s.OlderLogLSN())
	}
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, data)
	compareScan(t, s.View(), HistoryTree, history)
}

// superVersions returns the versions that the superblocks of a file say.
func superVersions(t *testing.T, fs vfs.FS) [2]byte {
	t.Helper()
	b := contents(t, fs)
	return [2]byte{b[sbVersion], b[4096+sbVersion]}
}

// TestPagesOfVersion1StayWhatTheyAre writes deltas for leaves that an old release wrote.
func TestPagesOfVersion1StayWhatTheyAre(t *testing.T) {
	for _, name := range []string{"v1.db.gz", "v1-uncounted.db.gz"} {
		mem := memWith(t, readGzip(t, filepath.Join("testdata", name)))
		s := openAt(t, mem)
		more, moreHistory := goldenDeltas()
		goldenCheckpoint(t, s, more, moreHistory)
		_ = s.Close()
		s = openAt(t, mem)
		data, history := goldenModels(1)
		goldenContent(t, s, data.apply(more), history.apply(moreHistory))
		deltas := census(t, s.View(), DataTree).withDelta()
		if len(deltas) < 3 || len(census(t, s.View(), HistoryTree).pages) == 0 {
			t.Fatalf("%d leaves have deltas", len(deltas))
		}
		b := contents(t, mem)
		for _, ch := range deltas {
			if old, fresh := b[ch.page*4096+offVersion], b[ch.delta.page*4096+offVersion]; old != 1 || fresh != 2 {
				t.Fatalf("%s: the leaf's page has version %d, its delta's %d", name, old, fresh)
			}
		}
	}
}

// TestGoldenFilesHaveEveryKindOfPage keeps the files from becoming a test of less than the format.
func TestGoldenFilesHaveEveryKindOfPage(t *testing.T) {
	kinds := map[string]bool{}
	for p, b := 2, writeGolden(t); (p+1)*4096 <= len(b); p++ {
		page := b[p*4096 : (p+1)*4096]
		if page[offMagic] != 'P' {
			continue
		}
		kind := fmt.Sprintf("kind %d", page[offKind])
		if page[offKind] <= kindInner {
			kind += fmt.Sprintf(" tree %d level %d flags %d", page[offTree], page[offLevel], page[offFlags])
			if page[offPages] > 1 {
				kind += " of several pages"
			}
		}
		if page[offKind] == kindDelta {
			kind += fmt.Sprintf(" tree %d", page[offTree])
		}
		kinds[kind] = true
	}
	for _, want := range []string{
		"kind 1 tree 0 level 0 flags 0", "kind 1 tree 0 level 0 flags 0 of several pages",
		"kind 1 tree 0 level 0 flags 1 of several pages", "kind 2 tree 0 level 1 flags 0",
		"kind 2 tree 0 level 1 flags 1 of several pages", "kind 1 tree 1 level 0 flags 0", "kind 2 tree 1 level 1 flags 0",
		"kind 3", "kind 4", "kind 5", "kind 6 tree 0", "kind 6 tree 1",
	} {
		if !kinds[want] {
			t.Errorf("no page of %s; there are %v", want, kinds)
		}
	}
}

// TestNewerFormatsAreRefused writes a version that is not known yet into one superblock or both, as a newer release in
// the middle of its first checkpoint does. The file is refused with advice, and not a byte of it is changed.
func TestNewerFormatsAreRefused(t *testing.T) {
	old := readGzip(t, fmt.Sprintf("testdata/v%d.db.gz", FormatVersion))
	for _, slots := range [][]int{{0}, {1}, {0, 1}} {
		for _, readOnly := range []bool{true, false} {
			file := bytes.Clone(old)
			for _, slot := range slots {
				super := file[slot*4096:][:superSize]
				super[sbVersion]++
				seal(super, 0)
			}
			mem := memWith(t, file)
			_, err := Open("db", Options{FS: mem, ReadOnly: readOnly})
			var version *VersionError
			if !errors.Is(err, ErrVersion) || !errors.As(err, &version) || version.Found != FormatVersion+1 ||
				version.Know != FormatVersion || !strings.Contains(err.Error(), "open it with the newer program") {
				t.Fatalf("newer version in superblocks %v: %v", slots, err)
			}
			if !bytes.Equal(contents(t, mem), file) {
				t.Fatal("the file was changed")
			}
		}
	}
}

// TestUnknownVersionsAreRefused is about a superblock and a page alone.
func TestUnknownVersionsAreRefused(t *testing.T) {
	file := readGzip(t, fmt.Sprintf("testdata/v%d.db.gz", FormatVersion))
	for slot := range 2 {
		b := bytes.Clone(file)
		super := b[slot*4096:][:superSize]
		super[sbVersion] = 0
		seal(super, 0)
		var bad *VersionError
		if _, err := Open("db", Options{FS: memWith(t, b)}); !errors.As(err, &bad) || bad.Found != 0 {
			t.Fatalf("superblock %d of version 0: %v", slot, err)
		}
	}
	mem := memWith(t, file)
	s := openAt(t, mem)
	root := s.View().sb.trees[DataTree].page
	_ = s.Close()
	for _, version := range []byte{0, FormatVersion + 1} {
		tamper(t, mem, root, func(b []byte) { b[offVersion] = version })
		s = openAt(t, mem)
		if _, _, _, err := s.View().Get(DataTree, []byte("key/00001"), nil); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a root of version %d: %v", version, err)
		}
		_ = s.Close()
	}
}
