package mvcc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/pagestore"
)

// TestAMergeInRangesKeepsEveryVersion overwrites, deletes and inserts in a tree of three levels, which is merged by
// several workers. Old snapshots and retention must find in history what they find after a merge in one piece, also
// what lies at the borders of ranges and what the layers have more than once.
func TestAMergeInRangesKeepsEveryVersion(t *testing.T) {
	const keys, rounds = 2500, 4
	db := openTest(t, func(o *Options) { o.Retain.Duration = time.Hour })
	ks := keyspace(t, db, "k")
	value := func(i, round int) string {
		return strings.Repeat(fmt.Sprintf("%d.%d ", i, round), 900/(len(fmt.Sprint(i))+3))
	}
	lives := func(i, round int) bool { return (i+round)%5 > 0 }
	var at []Timestamp
	var readers []*Txn
	for round := range rounds {
		for pass := range 2 { // each key has two versions in the layers
			tx := begin(t, db, Snapshot)
			for i := range keys {
				switch {
				case !lives(i, round):
					must(t, tx.Delete(ks, fmt.Appendf(nil, "%06d", i)))
				case pass == 0:
					put(t, tx, ks, fmt.Sprintf("%06d", i), "soon gone")
				default:
					put(t, tx, ks, fmt.Sprintf("%06d", i), value(i, round))
				}
			}
			commit(t, tx)
			if pass == 1 {
				at = append(at, tx.CommitTimestamp())
			}
		}
		reader := begin(t, db, Snapshot)
		defer reader.Rollback()
		get(t, reader, ks, "000000")
		readers = append(readers, reader)
		if round > 0 {
			checkpoint(t, db)
		}
	}
	sp, err := db.store.Space(bg)
	must(t, err)
	if size := int64(db.store.Metrics().PageSize); sp.Trees[pagestore.DataTree].Inner < 3*size {
		t.Fatalf("%+v: a tree of two levels is merged in one piece", sp.Trees)
	}
	verify := func(tx *Txn, round int) {
		for i := range keys {
			expect := "-"
			if lives(i, round) {
				expect = value(i, round)
			}
			want(t, fmt.Sprintf("key %d of round %d", i, round), get(t, tx, ks, fmt.Sprintf("%06d", i)), expect)
		}
	}
	for round := range rounds {
		verify(readers[round], round)
		must(t, db.ViewAsOf(bg, at[round], func(tx *Txn) error { verify(tx, round); return nil }))
	}
	check(t, db)
}
