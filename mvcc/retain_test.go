package mvcc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
)

// past is a model of all that ever was: the content after each commit.
type past struct {
	at      []Timestamp
	content []map[string]string
}

func (p *past) commit(ts Timestamp, change map[string]string) {
	next := map[string]string{}
	if n := len(p.content); n > 0 {
		next = maps.Clone(p.content[n-1])
	}
	for k, v := range change {
		if v == "" {
			delete(next, k)
		} else {
			next[k] = v
		}
	}
	p.at, p.content = append(p.at, ts), append(p.content, next)
}

func (p *past) render(i int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(p.content[i])) {
		parts = append(parts, k+"="+p.content[i][k])
	}
	return strings.Join(parts, " ")
}

// versions returns what Versions should show of a key at commit i, down to the horizon.
func (p *past) versions(key string, i int, oldest Timestamp) string {
	var all []string
	for ; i >= 0; i-- {
		now, there := p.content[i][key]
		var before string
		var was bool
		if i > 0 {
			before, was = p.content[i-1][key]
		}
		if now == before && there == was {
			continue
		}
		all = append(all, fmt.Sprintf("%d:%s", p.at[i], now))
		if p.at[i] <= oldest {
			break
		}
	}
	if n := len(all); n > 0 && strings.HasSuffix(all[n-1], ":") {
		all = all[:n-1]
	}
	return strings.Join(all, " ")
}

// verify compares every moment with the model: an answer is right, or it is ErrHistoryPruned.
func (p *past) verify(t tb, db *DB, ks *Keyspace, keys []string) (pruned int) {
	for i := range p.at {
		err := db.ViewAsOf(bg, p.at[i], func(tx *Txn) error {
			want(t, fmt.Sprintf("content as of commit %d", i), show(t, tx, ks, Range{}), p.render(i))
			for _, k := range keys {
				v, there := p.content[i][k]
				if !there {
					v = "-"
				}
				want(t, fmt.Sprintf("%s as of commit %d", k, i), get(t, tx, ks, k), v)
				var all []string
				for v, err := range tx.Versions(ks, []byte(k)) {
					if err != nil {
						return err
					}
					if v.Deleted != (v.Value == nil) {
						t.Errorf("version %+v", v)
					}
					all = append(all, fmt.Sprintf("%d:%s", v.Timestamp, v.Value))
				}
				want(t, fmt.Sprintf("versions of %s as of commit %d", k, i), strings.Join(all, " "), p.versions(k, i, db.Metrics().OldestReadable))
			}
			return nil
		})
		switch {
		case errors.Is(err, ErrHistoryPruned):
			if pruned++; p.at[i] >= db.Metrics().OldestReadable {
				t.Errorf("commit %d is behind the horizon and pruned: %v", i, err)
			}
		case err != nil:
			t.Fatalf("as of commit %d: %v", i, err)
		}
	}
	return pruned
}

// Whatever happens between commits, each moment of the retained past is answered exactly, after a restart too.
func TestThePastIsAnsweredExactly(t *testing.T) {
	keys := []string{"a", "b", "bb", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		fs := newMem(t)
		retain := func(o *Options) { o.Retain.Duration = time.Hour }
		db := openOn(t, fs, retain)
		ks := keyspace(t, db, "k")
		p := &past{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				checkpoint(t, db)
			case 1:
				db.prune(db.state.Load())
			case 2:
				if err := db.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
				db = openOn(t, fs, retain)
				ks = keyspace(t, db, "k")
			default:
				p.commit(commitSome(t, db, ks, keys, len(p.at)))
			}
		}
		if pruned := p.verify(t, db, ks, keys); pruned > 0 {
			t.Errorf("%d moments of the last hour are pruned", pruned)
		}
		check(t, db)
		if err := db.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	})
}

// commitSome commits random writes.
func commitSome(t *rapid.T, db *DB, ks *Keyspace, keys []string, n int) (Timestamp, map[string]string) {
	writes := map[string]string{}
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 3, rapid.ID[string]).Draw(t, "keys") {
		if writes[k] = ""; rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
			writes[k] = fmt.Sprint(k, n)
		}
	}
	tx := begin(t, db, Snapshot)
	defer tx.Rollback()
	for k, v := range writes {
		var err error
		if v == "" {
			err = tx.Delete(ks, []byte(k))
		} else {
			err = tx.Put(ks, []byte(k), []byte(v))
		}
		if err != nil {
			t.Fatalf("change: %v", err)
		}
	}
	commit(t, tx)
	return tx.CommitTimestamp(), writes
}

// What is older than the retention is pruned, and says so; what is left is right at every moment.
func TestThePastEndsAtTheHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t), func(o *Options) { o.Retain.Duration = time.Minute })
		defer db.Close()
		ks := keyspace(t, db, "k")
		p := &past{}
		for i := range 100 {
			tx := begin(t, db, Snapshot)
			writes := map[string]string{"a": fmt.Sprint("a", i), "b": fmt.Sprint("b", i)}
			if i%3 == 0 {
				writes["b"] = ""
				must(t, tx.Delete(ks, []byte("b")))
			} else {
				put(t, tx, ks, "b", writes["b"])
			}
			put(t, tx, ks, "a", writes["a"])
			commit(t, tx)
			p.commit(tx.CommitTimestamp(), writes)
			time.Sleep(2 * time.Second) // virtual
			if i%10 == 9 {
				checkpoint(t, db)
				pruned := p.verify(t, db, ks, []string{"a", "b"})
				if least := max(0, i-40); i > 50 && (pruned < least || pruned > i-20) {
					t.Errorf("after %d commits in %d s, %d are pruned", i+1, 2*i, pruned)
				}
			}
		}
		if n := db.Metrics().HistoryRecords; n > 3*40 {
			t.Errorf("%d history records for a minute with 30 commits", n)
		}
		var pruned *HistoryPrunedError
		if err := db.ViewAsOf(bg, p.at[0], nil); !errors.As(err, &pruned) || pruned.At != p.at[0] {
			t.Errorf("the first commit: %v", err)
		}
	})
}

// Without retention history costs nothing: no record is kept, and the past ends at the last checkpoint.
func TestWithoutRetentionNothingIsKept(t *testing.T) {
	db := openTest(t)
	ks := keyspace(t, db, "k")
	set(t, db, ks, "a", "1")
	before := Timestamp(db.watermark.Load())
	for i := range 5 {
		set(t, db, ks, "a", fmt.Sprint(i))
		checkpoint(t, db)
	}
	if n := db.Metrics().HistoryRecords; n != 0 {
		t.Errorf("%d history records", n)
	}
	wantErr(t, "as of before the checkpoints", db.ViewAsOf(bg, before, nil), ErrHistoryPruned)
	err := db.ViewAsOf(bg, TimestampOf(time.Now().Add(time.Hour)), func(tx *Txn) error {
		want(t, "as of the future", get(t, tx, ks, "a"), "4")
		return tx.Put(ks, []byte("a"), nil)
	})
	wantErr(t, "a write in the past", err, ErrReadOnly)
	_, err = db.Begin(bg, &TxnOptions{AsOf: before, Isolation: ReadCommitted})
	wantErr(t, "as of at read committed", err, ErrInvalid)
}

// A snapshot that is older than the limit is ended by the next checkpoint, a younger one is not.
func TestMaxSnapshotAgeEndsOldSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t), func(o *Options) { o.MaxSnapshotAge = time.Minute })
		defer db.Close()
		ks := keyspace(t, db, "k")
		set(t, db, ks, "a", "1")
		old := begin(t, db, Snapshot, func(o *TxnOptions) { o.Label = "forgotten report" })
		defer old.Rollback()
		want(t, "a", get(t, old, ks, "a"), "1")
		cursor := begin(t, db, ReadCommitted)
		defer cursor.Rollback()
		c, err := cursor.Cursor(ks, Range{})
		must(t, err)
		if !c.First() {
			t.Fatal(c.Err())
		}
		time.Sleep(50 * time.Second)
		young := begin(t, db, Snapshot)
		defer young.Rollback()
		want(t, "a", get(t, young, ks, "a"), "1")
		set(t, db, ks, "a", "2")
		checkpoint(t, db)
		want(t, "before the limit", get(t, old, ks, "a"), "1")
		time.Sleep(11 * time.Second)
		set(t, db, ks, "a", "3")
		checkpoint(t, db)
		_, err = old.Get(ks, []byte("a"))
		wantErr(t, "after the limit", err, ErrSnapshotTooOld)
		if text := err.Error(); !strings.Contains(text, "forgotten report") || !strings.Contains(text, "1m1s") {
			t.Errorf("the error does not say whose and how old: %s", text)
		}
		if c.Next() || !errors.Is(c.Err(), ErrSnapshotTooOld) {
			t.Errorf("a cursor after the limit: %v", c.Err())
		}
		want(t, "a younger one", get(t, young, ks, "a"), "1")
		if n := db.Metrics().TooOld; n != 2 {
			t.Errorf("%d transactions were too old", n)
		}
	})
}

// History over its limit gives up retained versions first, and then snapshots, the oldest first.
func TestRetainBytesBoundsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 64 << 10
		db := openOn(t, newMem(t), func(o *Options) { o.Retain = Retention{time.Hour, limit} })
		defer db.Close()
		ks := keyspace(t, db, "k")
		overwrite := func(rounds int) {
			for range rounds {
				must(t, db.Update(bg, func(tx *Txn) error {
					for i := range 50 {
						if err := tx.Put(ks, fmt.Appendf(nil, "%03d", i), make([]byte, 200)); err != nil {
							return err
						}
					}
					return nil
				}))
				time.Sleep(time.Second)
				checkpoint(t, db)
			}
		}
		set(t, db, ks, "a", "1")
		overwrite(1)
		old := begin(t, db, Snapshot)
		defer old.Rollback()
		want(t, "a", get(t, old, ks, "a"), "1")
		overwrite(50)
		if size := space(t, db).History; size > 2*limit {
			t.Errorf("history of %d bytes with a limit of %d", size, limit)
		}
		want(t, "a snapshot that needs little", get(t, old, ks, "a"), "1")

		var many []*Txn // each needs 10 KB of its own
		for range 20 {
			tx := begin(t, db, Snapshot)
			defer tx.Rollback()
			want(t, "a", get(t, tx, ks, "a"), "1")
			many = append(many, tx)
			overwrite(1)
		}
		overwrite(20)
		ended := 0
		for i, tx := range many {
			if _, err := tx.Get(ks, []byte("a")); errors.Is(err, ErrSnapshotTooOld) {
				if ended++; ended != i+1 {
					t.Errorf("snapshot %d was ended before older ones", i)
				}
			} else {
				must(t, err)
			}
		}
		if ended == 0 || ended == len(many) {
			t.Errorf("%d of %d snapshots were ended", ended, len(many))
		}
		if size := space(t, db).History; size > 2*limit {
			t.Errorf("history of %d bytes with a limit of %d and snapshots", size, limit)
		}
	})
}

// Who travels back while a checkpoint raises the horizon gets an answer that is right, or ErrHistoryPruned (S9).
func TestTravellingBackRacesWithCheckpoints(t *testing.T) {
	db := openOn(t, vfs.NewMem(), func(o *Options) { o.FS = newMem(t) })
	defer db.Close()
	ks := keyspace(t, db, "k")
	type moment struct {
		ts    Timestamp
		value string
	}
	moments := make(chan moment, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range moments {
			err := db.ViewAsOf(bg, m.ts, func(tx *Txn) error {
				want(t, "as of", get(t, tx, ks, "a"), m.value)
				return nil
			})
			if err != nil && !errors.Is(err, ErrHistoryPruned) {
				t.Errorf("as of %d: %v", m.ts, err)
			}
		}
	}()
	for i := range 1000 {
		tx := begin(t, db, Snapshot)
		put(t, tx, ks, "a", fmt.Sprint(i))
		commit(t, tx)
		moments <- moment{tx.CommitTimestamp(), fmt.Sprint(i)}
		switch i % 10 {
		case 3:
			db.prune(db.state.Load())
		case 7:
			checkpoint(t, db)
		}
	}
	close(moments)
	<-done
}
