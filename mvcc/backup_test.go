package mvcc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
	"pgregory.net/rapid"
)

const restoredPath = "db/restored.sombra"

// backupOf returns a backup of the database.
func backupOf(t tb, db *DB) ([]byte, *BackupReport) {
	t.Helper()
	var b bytes.Buffer
	report, err := db.Backup(bg, &b)
	if err != nil {
		t.Fatalf("backup: %v", err)
	}
	if report.Bytes != int64(b.Len()) {
		t.Errorf("the report says %d bytes, there are %d", report.Bytes, b.Len())
	}
	return b.Bytes(), report
}

func restore(fs vfs.FS, backup []byte) (*BackupReport, error) {
	return Restore(bg, bytes.NewReader(backup), restoredPath, testOptions(fs))
}

func openRestored(t tb, fs vfs.FS) *DB {
	t.Helper()
	o := testOptions(fs)
	o.MustExist = true
	db, err := Open(restoredPath, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return db
}

// pairsOf returns everything in the database, by keyspace.
func pairsOf(t tb, db *DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	names, err := db.Keyspaces(bg)
	if err != nil {
		t.Fatalf("keyspaces: %v", err)
	}
	for _, name := range names {
		ks := keyspace(t, db, name)
		all[name] = []string{}
		err := db.View(bg, func(tx *Txn) error {
			for item, err := range tx.Scan(ks, Range{}) {
				if err != nil {
					return err
				}
				all[name] = append(all[name], fmt.Sprintf("%x=%x", item.Key, item.Value))
			}
			return nil
		})
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
	}
	return all
}

func samePairs(a, b map[string][]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if other, ok := b[name]; !ok || !slices.Equal(a[name], other) {
			return false
		}
	}
	return true
}

func TestABackupHasEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mem := newMem(rt)
		db := openOn(rt, mem)
		for i := range rapid.IntRange(0, 3).Draw(rt, "keyspaces") {
			ks := keyspace(rt, db, fmt.Sprintf("ks%d", i))
			for range rapid.IntRange(0, 3).Draw(rt, "commits") {
				err := db.Update(bg, func(tx *Txn) error {
					for range rapid.IntRange(0, 20).Draw(rt, "writes") {
						key := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(rt, "key")
						size := rapid.SampledFrom([]int{0, 1, 100, 5000, 70000}).Draw(rt, "size")
						switch rapid.IntRange(0, 4).Draw(rt, "what") {
						case 0:
							if err := tx.Delete(ks, key); err != nil {
								return err
							}
						case 1:
							if err := tx.Add(ks, append([]byte("counter"), key[0]), 7); err != nil {
								return err
							}
						default:
							if err := tx.Put(ks, key, bytes.Repeat(key[:1], size)); err != nil {
								return err
							}
						}
					}
					return nil
				})
				if err != nil {
					rt.Fatalf("update: %v", err)
				}
				if rapid.Bool().Draw(rt, "checkpoint") {
					if err := db.Checkpoint(bg); err != nil {
						rt.Fatalf("checkpoint: %v", err)
					}
				}
			}
		}
		want := pairsOf(rt, db)
		backup, made := backupOf(rt, db)
		if err := db.Close(); err != nil {
			rt.Fatalf("close: %v", err)
		}
		report, err := restore(mem, backup)
		if err != nil {
			rt.Fatalf("restore: %v", err)
		}
		if *report != *made {
			rt.Errorf("restored %+v of %+v", *report, *made)
		}
		db = openRestored(rt, mem)
		if got := pairsOf(rt, db); !samePairs(got, want) {
			rt.Errorf("restored %v, want %v", got, want)
		}
		if report, err := db.Check(bg, nil); err != nil || len(report.Problems) > 0 {
			rt.Errorf("check: %v, %v", report.Problems, err)
		}
		if err := db.Close(); err != nil {
			rt.Fatalf("close: %v", err)
		}
	})
}

// A backup beside writers is one moment: money moves all the time, and is neither lost nor made. Commits that were acknowledged before it
// began are in it.
func TestABackupBesideWritersIsOneMoment(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "accounts")
	const accounts, each = 200, 1000
	must(t, db.Update(bg, func(tx *Txn) error {
		for i := range accounts {
			if err := tx.Add(ks, fmt.Appendf(nil, "%03d", i), each); err != nil {
				return err
			}
		}
		return nil
	}))
	ctx, stop := context.WithCancel(bg)
	writers := make(chan error, 4)
	for w := range cap(writers) {
		go func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for ctx.Err() == nil {
				from, to := fmt.Appendf(nil, "%03d", rng.IntN(accounts)), fmt.Appendf(nil, "%03d", rng.IntN(accounts))
				if err := db.Update(bg, func(tx *Txn) error { return errors.Join(tx.Add(ks, from, -1), tx.Add(ks, to, 1)) }); err != nil {
					writers <- err
					return
				}
			}
			writers <- nil
		}()
	}
	var backups [][]byte
	for i := range 5 {
		must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte("mark"), []byte{byte(i)}) }))
		b, _ := backupOf(t, db)
		must(t, db.Checkpoint(bg))
		backups = append(backups, b)
	}
	stop()
	for range cap(writers) {
		must(t, <-writers)
	}
	must(t, db.Close())
	for i, b := range backups {
		mem := newMem(t)
		report, err := restore(mem, b)
		must(t, err)
		db := openRestored(t, mem)
		ks := keyspace(t, db, "accounts")
		sum := int64(0)
		must(t, db.View(bg, func(tx *Txn) error {
			want(t, "mark", get(t, tx, ks, "mark"), string([]byte{byte(i)}))
			for item, err := range tx.Scan(ks, Range{Hi: []byte("a")}) {
				if err != nil {
					return err
				}
				n, err := DecodeInt64(item.Value)
				if err != nil {
					return err
				}
				sum += n
			}
			return nil
		}))
		if sum != accounts*each || report.Pairs != accounts+1 {
			t.Errorf("backup %d has %d in %d pairs, want %d", i, sum, report.Pairs, accounts*each)
		}
		must(t, db.Close())
	}
}

// Timestamps of the restored database go on above those of the backup, also where the clock is behind.
func TestTimestampsGoOnAfterARestore(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte("a"), nil) }))
	future := TimestampOf(time.Now().Add(48 * time.Hour))
	db.commits.begin(future)
	must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte("b"), nil) }))
	backup, report := backupOf(t, db)
	must(t, db.Close())
	if report.Timestamp <= future {
		t.Fatalf("timestamp %d of the backup is not above %d", report.Timestamp, future)
	}
	_, err := restore(mem, backup)
	must(t, err)
	db = openRestored(t, mem)
	defer db.Close()
	ks = keyspace(t, db, "k")
	tx, err := db.Begin(bg, nil)
	must(t, err)
	defer tx.Rollback()
	put(t, tx, ks, "c", "")
	must(t, tx.Commit())
	if tx.CommitTimestamp() <= report.Timestamp {
		t.Errorf("commit at %d, the backup is of %d", tx.CommitTimestamp(), report.Timestamp)
	}
}

// smallBackup is a backup with everything a format has.
func smallBackup(t tb) []byte {
	t.Helper()
	db := openOn(t, newMem(t))
	ks := keyspace(t, db, "first")
	keyspace(t, db, "second, empty")
	err := db.Update(bg, func(tx *Txn) error {
		for _, key := range []string{"a", "b", "c"} {
			if err := tx.Put(ks, []byte(key), []byte(strings.Repeat(key, 20))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	b, _ := backupOf(t, db)
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return b
}

func wantNothingThere(t tb, mem *vfs.Mem, when string) {
	t.Helper()
	names, err := mem.ReadDir("db")
	if err != nil || len(names) > 0 {
		t.Fatalf("%s, left behind: %q, %v", when, names, err)
	}
}

func TestADamagedBackupIsNotRestored(t *testing.T) {
	whole := smallBackup(t)
	mem := newMem(t)
	for n := range whole {
		if _, err := restore(mem, whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
		wantNothingThere(t, mem, fmt.Sprintf("cut off after %d bytes", n))
	}
	for at := range whole {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		_, err := restore(mem, b)
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotBackup) && !errors.Is(err, ErrVersion) {
			t.Fatalf("a bit of byte %d flipped: %v", at, err)
		}
		wantNothingThere(t, mem, fmt.Sprintf("a bit of byte %d flipped", at))
	}
	for _, other := range []string{"PK\x03\x04 is a zip file and long enough to be a header of a backup", strings.Repeat("x", 100)} {
		if _, err := restore(mem, []byte(other)); !errors.Is(err, ErrNotBackup) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestABackupThatCannotBeWrittenOrReadSaysWhy(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte("a"), make([]byte, 3<<20)) }))
	full := errors.New("disk is full")
	for _, room := range []int64{0, 40, 1 << 20, 3 << 20} {
		_, err := db.Backup(bg, &limited{left: room, err: full})
		wantErr(t, fmt.Sprintf("room for %d bytes", room), err, full)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := db.Backup(ctx, io.Discard)
	wantErr(t, "cancelled", err, context.Canceled)
	backup, _ := backupOf(t, db)
	must(t, db.Close())
	_, err = db.Backup(bg, io.Discard)
	wantErr(t, "closed", err, ErrClosed)

	mem = newMem(t)
	broken := errors.New("connection lost")
	r := io.MultiReader(bytes.NewReader(backup[:1<<20]), iotest.ErrReader(broken))
	_, err = Restore(bg, r, restoredPath, testOptions(mem))
	wantErr(t, "reader", err, broken)
	wantNothingThere(t, mem, "after a failed reader")
	_, err = Restore(ctx, bytes.NewReader(backup), restoredPath, testOptions(mem))
	wantErr(t, "cancelled", err, context.Canceled)
	wantNothingThere(t, mem, "after a cancelled restore")
	_, err = Restore(bg, iotest.OneByteReader(bytes.NewReader(backup)), restoredPath, testOptions(mem))
	must(t, err)
	_, err = restore(mem, backup)
	wantErr(t, "onto a database", err, fs.ErrExist)
	o := testOptions(newMem(t))
	o.ReadOnly = true
	_, err = Restore(bg, bytes.NewReader(backup), restoredPath, o)
	wantErr(t, "read-only", err, ErrInvalid)
	_, err = Restore(bg, bytes.NewReader(backup), "", nil)
	wantErr(t, "no path", err, ErrInvalid)
}

// limited is a writer with room for so many bytes.
type limited struct {
	left int64
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}

// Neither side gathers more than a frame, and a restore that is cancelled reads no further.
func TestABackupIsAStream(t *testing.T) {
	mem := newMem(t)
	db := openOn(t, mem)
	ks := keyspace(t, db, "k")
	const pairs = 40_000
	must(t, db.Update(bg, func(tx *Txn) error {
		for i := range pairs {
			if err := tx.Put(ks, fmt.Appendf(nil, "%06d", i), make([]byte, 200)); err != nil {
				return err
			}
		}
		return nil
	}))
	backup, _ := backupOf(t, db)
	must(t, db.Close())
	frames := 0
	for rest := backup[backupHeaderSize:]; len(rest) > 0; frames++ {
		n := 9 + int(binary.LittleEndian.Uint32(rest))
		if n > 2*backupFrame {
			t.Fatalf("a frame has %d bytes", n)
		}
		rest = rest[n:]
	}
	if frames < len(backup)/(2*backupFrame) {
		t.Errorf("%d frames for %d bytes", frames, len(backup))
	}
	ctx, cancel := context.WithCancel(bg)
	r := &cancelling{r: bytes.NewReader(backup), left: 2 << 20, cancel: cancel}
	_, err := Restore(ctx, r, restoredPath, testOptions(mem))
	wantErr(t, "cancelled", err, context.Canceled)
	if r.left < -2<<20 {
		t.Errorf("%d bytes were read after the end", -r.left)
	}
}

// cancelling cancels when so many bytes have been read.
type cancelling struct {
	r      io.Reader
	left   int
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= n; c.left < 0 {
		c.cancel()
	}
	return n, err
}

// Wherever the power fails, the restored database is whole or is not there, and the next attempt succeeds.
func TestARestoreIsWholeOrNotThereAfterACrash(t *testing.T) {
	whole := smallBackup(t)
	count := vfs.NewFaulty(newMem(t), nil)
	if _, err := Restore(bg, bytes.NewReader(whole), restoredPath, testOptions(count)); err != nil {
		t.Fatal(err)
	}
	done := 0
	for n := int64(1); n <= count.Changes(); n++ {
		mem := newMem(t)
		disk := vfs.NewFaulty(mem, nil)
		disk.CutAt(n)
		_, err := Restore(bg, bytes.NewReader(whole), restoredPath, testOptions(disk))
		mem = mem.Crash(vfs.CrashConfig{})
		if _, stat := mem.Stat(restoredPath); stat == nil {
			done++
			db := openRestored(t, mem)
			if got := pairsOf(t, db); len(got) != 2 || len(got["first"]) != 3 {
				t.Fatalf("power off before change %d: %v", n, got)
			}
			must(t, db.Close())
			continue
		}
		if err == nil {
			t.Fatalf("power off before change %d: restored, and not there", n)
		}
		if _, err := restore(mem, whole); err != nil {
			t.Fatalf("power off before change %d, then again: %v", n, err)
		}
	}
	if done == 0 || done == int(count.Changes()) {
		t.Errorf("%d of %d crashes left a database", done, count.Changes())
	}
}

// The limits of time are for transactions of the program, not for a backup.
func TestABackupOutlivesTheLimitsOfTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t), func(o *Options) { o.TxnTimeout, o.IdleTimeout = time.Second, time.Second })
		ks := keyspace(t, db, "k")
		must(t, db.Update(bg, func(tx *Txn) error { return tx.Put(ks, []byte("a"), make([]byte, 3<<20)) }))
		slow := &slowWriter{}
		if _, err := db.Backup(bg, slow); err != nil || slow.slept < 3 {
			t.Errorf("backup: %v, after %d hours", err, slow.slept)
		}
		must(t, db.Close())
	})
}

// slowWriter takes an hour for each write.
type slowWriter struct{ slept int }

func (s *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Hour) // of the bubble
	s.slept++
	return len(p), nil
}
