package mvcc

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// tree lists every file under dir with its size, to see that nothing changed.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			content, readErr := os.ReadFile(path)
			all = append(all, path+" "+string(content[:min(len(content), 64)]))
			err = readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// What is not a database is refused with its own error and left alone.
func TestOpenRefusesWhatIsNotADatabase(t *testing.T) {
	cases := []struct {
		name    string
		prepare func(t *testing.T, path string)
		opts    *Options
		target  error
		text    string
	}{
		{"directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }, nil, ErrNotDatabase, "directory"},
		{"empty file", func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o644)) }, nil, ErrNotDatabase, "empty"},
		{"foreign file", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("SQLite format 3\x00", 1000)), 0o644))
		}, nil, ErrNotDatabase, "not a Sombra database"},
		{"short foreign file", func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("hello"), 0o644)) }, nil, ErrNotDatabase, "not a Sombra database"},
		{"missing, must exist", func(*testing.T, string) {}, &Options{MustExist: true}, ErrNotExist, "does not exist"},
		{"missing, read-only", func(*testing.T, string) {}, &Options{ReadOnly: true}, ErrNotExist, "does not exist"},
		{"missing directory", func(t *testing.T, path string) {}, nil, fs.ErrNotExist, ""},
		{"log without its data file", func(t *testing.T, path string) {
			must(t, os.Mkdir(path+logSuffix, 0o755))
			must(t, os.WriteFile(filepath.Join(path+logSuffix, "0000000000000001.wal"), []byte("x"), 0o644))
		}, nil, ErrNotExist, "there is a log"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x.sombra")
			if c.name == "missing directory" {
				path = filepath.Join(dir, "no", "x.sombra")
			}
			c.prepare(t, path)
			before := tree(t, dir)
			db, err := Open(path, c.opts)
			if err == nil {
				_ = db.Close()
			}
			wantErr(t, "open", err, c.target)
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %q does not say %q", err, c.text)
			}
			after := strings.ReplaceAll(tree(t, dir), path+lockSuffix+" pid "+strconv.Itoa(os.Getpid())+"\n", "")
			if c.name != "log without its data file" && after != before {
				t.Errorf("files changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesNewerFormatVersions(t *testing.T) {
	const superSize = 4096 // the version stands at byte 8, the checksum 16 bytes before the end
	path := filepath.Join(t.TempDir(), "x.sombra")
	db, err := Open(path, nil)
	must(t, err)
	must(t, db.Close())
	content, err := os.ReadFile(path)
	must(t, err)
	for page := range 2 { // both superblocks name a version of the future
		super := content[page*DefaultPageSize:][:superSize]
		binary.LittleEndian.PutUint32(super[8:], 99)
		sum := crc32.Checksum(super[:superSize-16], crc32.MakeTable(crc32.Castagnoli))
		binary.LittleEndian.PutUint32(super[superSize-16:], sum)
	}
	must(t, os.WriteFile(path, content, 0o644))
	_, err = Open(path, nil)
	wantErr(t, "open", err, ErrVersion)
	after, err := os.ReadFile(path)
	must(t, err)
	if string(after) != string(content) {
		t.Errorf("the file was changed")
	}
}

func TestASecondOpenIsRefusedAtOnceWithTheHoldersPid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sombra")
	db, err := Open(path, nil)
	must(t, err)
	for _, opts := range []*Options{nil, {ReadOnly: true}} {
		_, err = Open(path, opts)
		var locked *LockedError
		if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.PID != os.Getpid() {
			t.Errorf("second open: %v", err)
		}
	}
	must(t, db.Close())
	r1, err := Open(path, &Options{ReadOnly: true})
	must(t, err)
	r2, err := Open(path, &Options{ReadOnly: true})
	must(t, err)
	_, err = Open(path, nil)
	wantErr(t, "a writer beside readers", err, ErrLocked)
	must(t, r1.Close())
	must(t, r2.Close())
}

func TestOpenOnAReadOnlyMedium(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	set(t, db, keyspace(t, db, "k"), "a", "1")
	must(t, db.Close())
	medium := vfs.ReadOnly(mem)
	_, err := Open(testPath, testOptions(medium))
	wantErr(t, "open for writing", err, syscall.EROFS)
	if !strings.Contains(err.Error(), "ReadOnly") {
		t.Errorf("error %q does not say what to do", err)
	}
	db = openOn(t, medium, func(o *Options) { o.ReadOnly = true })
	tx, err := db.Begin(bg, nil)
	must(t, err)
	want(t, "read", get(t, tx, keyspace(t, db, "k"), "a"), "1")
	wantErr(t, "write", tx.Put(keyspace(t, db, "k"), nil, nil), ErrReadOnly)
	tx.Rollback()
	_, err = db.Keyspace(bg, "new")
	wantErr(t, "new keyspace", err, ErrNotFound)
	wantErr(t, "checkpoint", db.Checkpoint(bg), ErrReadOnly)
	check(t, db)
	must(t, db.Close())
	_, err = Open("db/none.sombra", &Options{FS: medium})
	wantErr(t, "create", err, syscall.EROFS)
}

// A full disk fails the commit that needs room, loses nothing, and work goes on once there is room.
func TestAFullDiskRefusesCommitsAndLosesNothing(t *testing.T) {
	mem := newMem(t)
	budget := vfs.NewDiskBudget(1 << 20)
	db := openOn(t, vfs.NewFaulty(mem, budget.Decide))
	ks := keyspace(t, db, "k")
	value := strings.Repeat("v", 8<<10)
	n := 0
	var err error
	for ; n < 1000 && err == nil; n++ {
		err = db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte{byte(n >> 8), byte(n)}, []byte(value)) })
	}
	wantErr(t, "commit on a full disk", err, syscall.ENOSPC)
	acknowledged := n - 1
	tx := begin(t, db, Snapshot)
	want(t, "reads go on", get(t, tx, ks, "\x00\x00"), value)
	tx.Rollback()
	_ = db.Close() // it may fail to checkpoint; the log has everything
	budget.Add(1 << 30)
	db = openOn(t, vfs.NewFaulty(mem, budget.Decide))
	ks = keyspace(t, db, "k")
	tx = begin(t, db, Snapshot)
	for i := range acknowledged {
		want(t, "acknowledged commit", get(t, tx, ks, string([]byte{byte(i >> 8), byte(i)})), value)
	}
	tx.Rollback()
	set(t, db, ks, "again", "1")
	check(t, db)
	must(t, db.Close())
}

func TestCreatingOnAFullDiskFailsClearly(t *testing.T) {
	mem := newMem(t)
	for _, bytes := range []int64{0, 1000, 10_000} {
		_, err := Open(testPath, testOptions(vfs.NewFaulty(mem, vfs.NewDiskBudget(bytes).Decide)))
		wantErr(t, "create", err, syscall.ENOSPC)
	}
	db := openOn(t, mem)
	set(t, db, keyspace(t, db, "k"), "a", "1")
	must(t, db.Close())
}

// A log that has vanished, or belongs to another database, is noticed.
func TestOpenNoticesAMissingOrForeignLog(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	set(t, db, keyspace(t, db, "k"), "a", "1")
	must(t, db.Close())
	names, err := mem.ReadDir(testPath + logSuffix)
	must(t, err)
	must(t, mem.Rename(testPath+logSuffix, "db/aside"))
	_, err = Open(testPath, testOptions(mem))
	wantErr(t, "open without the log", err, ErrCorrupt)
	other, err := Open("db/other.sombra", testOptions(mem))
	must(t, err)
	must(t, other.Close())
	must(t, mem.Rename("db/other.sombra"+logSuffix, testPath+logSuffix))
	if _, err = Open(testPath, testOptions(mem)); err == nil {
		t.Fatalf("opened with the log of another database (own log: %v)", names)
	}
}

func TestOptionsNameEveryFault(t *testing.T) {
	o := &Options{MemoryBudget: 1, PageSize: 1000, SegmentSize: 1, MaxLogBytes: -1, Durability: None, LockTimeout: -1}
	_, err := Open("unused", o)
	if err == nil {
		t.Fatal("opened")
	}
	for _, field := range []string{"MemoryBudget", "PageSize", "SegmentSize", "MaxLogBytes", "AllowUnsafe", "LockTimeout"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q does not name %s", err, field)
		}
	}
}
