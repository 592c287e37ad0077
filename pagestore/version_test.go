package pagestore

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// version1File was written by the last release of format version 1.
//
//go:embed testdata/version1.db.gz
var version1File []byte

// version1 returns the file and what both of its trees hold.
func version1(t *testing.T) (*vfs.Mem, model) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(version1File))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	mem := vfs.NewMem()
	f, err := mem.OpenFile("db", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	m := model{}
	for k := range uint64(800) {
		key, value := string(roundKey(k)), fmt.Sprintf("value %d of version 1", k)
		switch {
		case k%100 == 7:
			value = strings.Repeat("large ", 1500)
		case k == 500:
			key += strings.Repeat("x", 6000)
		}
		m[key] = entry{value, k + 1}
	}
	return mem, m
}

// superVersions returns the versions that the superblocks of a file say.
func superVersions(t *testing.T, fs vfs.FS) (versions [2]byte) {
	t.Helper()
	b := contents(t, fs)
	return [2]byte{b[sbVersion], b[4096+sbVersion]}
}

// TestFilesOfVersion1AreReadAndStayWhatTheyAre opens an old file, read-only too, without a checkpoint.
func TestFilesOfVersion1AreReadAndStayWhatTheyAre(t *testing.T) {
	mem, m := version1(t)
	for _, readOnly := range []bool{true, false} {
		s, err := Open("db", Options{FS: mem, ReadOnly: readOnly, CacheBytes: minCache})
		if err != nil {
			t.Fatal(err)
		}
		mustCheck(t, s)
		for tree := range TreeID(NumTrees) {
			compareScan(t, s.View(), tree, m)
		}
		_ = s.Close()
		if v := superVersions(t, mem); v != [2]byte{1, 1} {
			t.Fatalf("superblocks have versions %v", v)
		}
	}
}

// TestACheckpointMakesAFileVersion2 writes deltas for leaves that an old release wrote. What was of version 1 stays
// so until it is written anew.
func TestACheckpointMakesAFileVersion2(t *testing.T) {
	mem, m := version1(t)
	s := openAt(t, mem)
	defer func() { _ = s.Close() }()
	for round := range 3 {
		if v := superVersions(t, mem); (v[0] == 2 || v[1] == 2) != (round > 0) {
			t.Fatalf("before checkpoint %d the superblocks have versions %v", round, v)
		}
		var edits []Edit
		for k := uint64(20); k < 480; k += 37 {
			edits = append(edits, Edit{Key: roundKey(k), Value: fmt.Appendf(nil, "round %d", round), Timestamp: 900})
		}
		committed(t, s, m, edits)
	}
	deltas := census(t, s.View(), DataTree).withDelta()
	if len(deltas) == 0 || deltas[0].birth > 4 {
		t.Fatal("no old leaf has a delta")
	}
	b := contents(t, mem)
	if old, fresh := b[deltas[0].page*4096+offVersion], b[deltas[0].delta.page*4096+offVersion]; old != 1 || fresh != 2 {
		t.Fatalf("the leaf's page has version %d, its delta's %d", old, fresh)
	}
	_ = s.Close()
	s = openAt(t, mem)
	mustCheck(t, s)
	compareScan(t, s.View(), DataTree, m)
}

// TestNewerVersionsAreRefused is what an old release does with a file of this one: it finds one superblock that it does
// not know.
func TestNewerVersionsAreRefused(t *testing.T) {
	for slot := range int64(2) {
		for _, version := range []byte{0, formatVersion + 1} {
			mem, _ := version1(t)
			b := contents(t, mem)[slot*4096 : slot*4096+superSize]
			b[sbVersion] = version
			seal(b, 0)
			damage(t, mem, slot*4096, b)
			var bad *VersionError
			if _, err := Open("db", Options{FS: mem}); !errors.As(err, &bad) || bad.Found != uint32(version) {
				t.Fatalf("superblock %d of version %d: %v", slot, version, err)
			}
		}
	}
	mem, _ := version1(t)
	s := openAt(t, mem)
	root := s.View().sb.trees[DataTree].page
	_ = s.Close()
	tamper(t, mem, root, func(b []byte) { b[offVersion] = formatVersion + 1 })
	s = openAt(t, mem)
	defer func() { _ = s.Close() }()
	if _, _, _, err := s.View().Get(DataTree, roundKey(1), nil); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}
