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

var goldenMeta = Meta{Timestamp: 123456789, LogLSN: 4711, Owner: [256]byte{0: 1, 17: 2, 255: 3}}

// writeGolden makes the file. The last records come with a checkpoint of their own, so that there are pages of several
// checkpoints and free ones between them.
func writeGolden(t *testing.T) []byte {
	mem := vfs.NewMem()
	s := mustCreate(t, mem, 4096)
	data, history := goldenEdits()
	goldenCheckpoint(t, s, data, history[:100])
	goldenCheckpoint(t, s, data[300:350], history[100:])
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
	data, history := goldenEdits()
	mem := memWith(t, file)
	for _, readOnly := range []bool{true, false} {
		s, err := Open("db", Options{FS: mem, CacheBytes: minCache, ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		goldenContent(t, s, model{}.apply(data), model{}.apply(history))
		if readOnly {
			continue
		}
		more := []Edit{{Key: []byte("key/00001"), Value: []byte("new"), Timestamp: 1 << 40}}
		goldenCheckpoint(t, s, more, nil)
		goldenContent(t, s, model{}.apply(data).apply(more), model{}.apply(history))
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
		kinds[kind] = true
	}
	for _, want := range []string{
		"kind 1 tree 0 level 0 flags 0", "kind 1 tree 0 level 0 flags 0 of several pages",
		"kind 1 tree 0 level 0 flags 1 of several pages", "kind 2 tree 0 level 1 flags 0",
		"kind 2 tree 0 level 1 flags 1 of several pages", "kind 1 tree 1 level 0 flags 0", "kind 2 tree 1 level 1 flags 0",
		"kind 3", "kind 4", "kind 5",
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
