package mvcc

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// However often neighbours are joined, everything that was put in is covered, from a timestamp that is not later, and
// the set stays small unless it is of many keyspaces.
func TestJoinedReadSetsCoverWhatWasRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := readSet{most: rapid.IntRange(2, 20).Draw(t, "most")}
		type read struct {
			key []byte
			ts  Timestamp
		}
		var all []read
		for range rapid.IntRange(1, 200).Draw(t, "reads") {
			prefix := makePrefix(uint32(rapid.IntRange(16, 18).Draw(t, "keyspace")))
			key := append(prefix[:], rapid.SliceOfN(rapid.ByteRange('a', 'e'), 0, 4).Draw(t, "key")...)
			ts := Timestamp(rapid.IntRange(1, 9).Draw(t, "ts"))
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				r.addPoint(key, ts)
			case 1:
				r.addSpan(key, append(bytes.Clone(key), 'x'), ts)
			default:
				r.require(key, ts)
			}
			all = append(all, read{key, ts})
		}
		if n := len(r.points) + len(r.spans) + len(r.required); n > max(r.most, 3) {
			t.Errorf("%d entries, at most %d", n, r.most)
		}
		for _, x := range all {
			found := false
			for _, p := range append(r.points, r.required...) {
				found = found || bytes.Equal(p.key, x.key)
			}
			for _, s := range r.spans {
				if found = found || s.contains(x.key) && s.ts <= x.ts; found {
					break
				}
			}
			if !found {
				t.Fatalf("%q at %d is not covered by %v, %v, %v", x.key, x.ts, r.points, r.spans, r.required)
			}
		}
	})
}

// A serializable transaction that reads very much remembers little, and still conflicts with every change of what it read.
func TestALargeReadSetIsBoundedAndExactEnough(t *testing.T) {
	for _, i := range []int{0, 1, 7777, 12_345, 19_999} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			db := openTest(t)
			ks := keyspace(t, db, "k")
			loadRows(t, db, ks, 20_000)
			set(t, db, ks, "zz", "outside")
			tx := begin(t, db, Serializable)
			defer tx.Rollback()
			for j := range 20_000 {
				if _, err := tx.Get(ks, rowKey(j)); err != nil {
					t.Fatal(err)
				}
				if j%2 == 0 {
					must(t, tx.RequireExists(ks, rowKey(j)))
				}
			}
			if n, most := len(tx.reads.points)+len(tx.reads.spans)+len(tx.guards.required)+len(tx.guards.spans), db.budget().readSet; n > 2*most || n > 10_000 {
				t.Errorf("%d entries, at most %d each", n, most)
			}
			put(t, tx, ks, "own", "1")
			set(t, db, ks, "zz", "changed") // was not read
			set(t, db, ks, string(rowKey(i)), "changed")
			wantErr(t, "commit", tx.Commit(), ErrConflict)
		})
	}
	t.Run("nothing changed", func(t *testing.T) {
		db := openTest(t)
		ks := keyspace(t, db, "k")
		loadRows(t, db, ks, 20_000)
		tx := begin(t, db, Serializable)
		for j := range 20_000 {
			if _, err := tx.Get(ks, rowKey(j)); err != nil {
				t.Fatal(err)
			}
		}
		put(t, tx, ks, "own", "1")
		set(t, db, ks, "zz", "changed") // was not read
		commit(t, tx)
	})
}
