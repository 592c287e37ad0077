package mvcc

import (
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
)

// Time travel. History is complete from a horizon on: for each timestamp at or above it, every key's version of that
// moment is in the tables, the data tree or the history tree. Without retention the horizon is where the last
// checkpoint or pruning was; with it, versions whose life ended after the horizon are kept though no snapshot sees them.
//
//	                 horizon                           watermark
//	----pruned-----------|------ AsOf answers --------------|---> time
//	   (open snapshots are kept in there one by one)
//
// Who drops versions announces the new horizon first and lists the snapshots afterwards; who travels back pins its
// timestamp first and looks at the horizon afterwards. So either the one sees the pin or the other sees the horizon (S9).

// Retention says how far back AsOf can read, beyond what open snapshots need.
type Retention struct {
	// Duration keeps every version that was current within this time; 0 keeps none.
	Duration time.Duration
	// Bytes bounds the history in the data file; 0 is no bound. Beyond it the horizon moves forward, and when
	// no retained version is left, the oldest snapshots are ended with ErrSnapshotTooOld, one at each checkpoint.
	Bytes int64
}

// retainFrom returns the timestamp from which on history is kept for AsOf, maxTimestamp if none is.
func (db *DB) retainFrom() Timestamp {
	d := db.opts.Retain.Duration
	if d == 0 {
		return maxTimestamp
	}
	return max(TimestampOf(time.Now().Add(-d)), Timestamp(db.cutoff.Load()))
}

// announce raises the horizon that AsOf respects; it never goes back.
func announce(horizon *atomic.Uint64, to Timestamp) {
	for at := horizon.Load(); at < uint64(to) && !horizon.CompareAndSwap(at, uint64(to)); at = horizon.Load() {
	}
}

// oldestReadable returns the horizon.
func (db *DB) oldestReadable() Timestamp {
	return Timestamp(max(db.pruned.Load(), db.history.Load()))
}

// pinPast makes at the transaction's snapshot, or the watermark if that is earlier. The session is registered.
func (tx *txn) pinPast(at Timestamp) error {
	s := &tx.session
	tx.snapshot = s.pinBefore(&tx.db.watermark, at)
	if oldest := tx.db.oldestReadable(); tx.snapshot < oldest {
		return &HistoryPrunedError{At: at, Oldest: oldest}
	}
	return nil
}

// endOldSnapshots ends the transactions whose snapshots are older than the limit.
func (db *DB) endOldSnapshots() {
	limit := db.opts.MaxSnapshotAge
	if limit == 0 {
		return
	}
	var old []*txn
	db.snapshots.each(func(s *session) {
		if s.pinned() != maxTimestamp && time.Since(s.began) > limit {
			old = append(old, s.keepHolder())
		}
	})
	for _, tx := range old {
		db.tooOld(tx, "MaxSnapshotAge", limit)
	}
}

// tooOld ends a transaction because of its snapshot.
func (db *DB) tooOld(tx *txn, option string, limit any) {
	s := &tx.session
	err := &SnapshotTooOldError{Txn: s.name(&db.nextTxnID), Label: s.label, Age: time.Since(s.began), Option: option}
	if tx.kill(err) {
		db.count.tooOld.Add(1)
		db.opts.Logger.Warn("sombra: transaction ended because its snapshot was too old", "txn", err.Txn, "label", s.label,
			"age", err.Age, "option", option, "limit", limit)
	}
}

// boundHistory keeps the history below its limit: a checkpoint that finds it above sweeps all of it and moves the
// horizon of retention forward. If the next one finds that snapshots alone need more, it ends the oldest of them. It
// reports whether history is over the limit.
func (db *DB) boundHistory(st *state, sealed Timestamp) (over bool, err error) {
	limit, c := db.opts.Retain.Bytes, &db.checkpoints
	if limit == 0 {
		return false, nil
	}
	used, err := db.store.Space(context.Background())
	if err != nil {
		return false, err
	}
	size := historyBytes(used)
	if size <= limit {
		c.overLimit = false
		return false, nil
	}
	sample, err := st.sampleHistory()
	if err != nil || len(sample.ends) == 0 {
		return false, err
	}
	sample.bytes = size
	held := sample.before(st.historyStart)
	if cut := min(sample.cut(limit, held), sealed); cut > Timestamp(db.cutoff.Load()) {
		db.cutoff.Store(uint64(cut))
	}
	if c.overLimit && held > limit {
		db.endOldest(sealed, limit)
	}
	c.overLimit = true
	return true, nil
}

// endOldest ends the transaction with the oldest snapshot below the seal.
func (db *DB) endOldest(sealed Timestamp, limit int64) {
	var oldest *txn
	pin := sealed
	db.snapshots.each(func(s *session) {
		if s.pinned() < pin {
			pin, oldest = s.pinned(), s.keepHolder()
		}
	})
	if oldest != nil {
		db.tooOld(oldest, "Retain.Bytes", limit)
	}
}

// historySample tells about the whole history tree from some of its records.
type historySample struct {
	bytes int64       // of all
	ends  []Timestamp // of those looked at, ascending
}

// Places in the tree where a sample is taken, and records at each.
const (
	samplePlaces  = 32
	sampleRecords = 32
)

func (st *state) sampleHistory() (s historySample, err error) {
	places, err := st.base.Separators(pagestore.HistoryTree, samplePlaces)
	if err != nil {
		return s, err
	}
	c := st.base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	for _, place := range append([][]byte{nil}, places...) {
		ok := c.Seek(place)
		for n := 0; ok && n < sampleRecords; n++ {
			h, valid := parseHistoryKey(nil, c.Key())
			if !valid {
				return s, badHistoryKey(c.Key())
			}
			s.ends = append(s.ends, h.end)
			ok = c.Next()
		}
	}
	slices.Sort(s.ends)
	return s, c.Err()
}

// before returns about how many bytes have ended at or before the horizon, and so are there for snapshots.
func (s *historySample) before(horizon Timestamp) int64 {
	n, _ := slices.BinarySearch(s.ends, horizon+1)
	return s.bytes * int64(n) / int64(len(s.ends))
}

// cut returns the horizon that brings the history to four fifths of the limit, while held bytes of it must stay.
func (s *historySample) cut(limit, held int64) Timestamp {
	keep := max(limit*4/5-held, 0)
	return s.ends[len(s.ends)-1-int(keep*int64(len(s.ends)-1)/s.bytes)]
}

// Version is one version of a key.
type Version struct {
	Timestamp Timestamp // of the commit that made it
	Value     []byte    // nil for a deletion
	Deleted   bool
}

// Versions iterates over the versions of a key that the transaction's snapshot sees, newest first, down to the one
// that was current at the horizon of history (Options.Retain): older ones are gone, or are there by chance for an open
// snapshot and are left out. The transaction's own writes are not versions yet. A deletion is a version without a value.
func (tx *Txn) Versions(ks *Keyspace, key []byte) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		all, err := tx.versions(ks, key)
		if err != nil {
			yield(Version{}, err)
			return
		}
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (tx *Txn) versions(ks *Keyspace, key []byte) (all []Version, err error) {
	if err := tx.enter(); err != nil {
		return nil, err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return nil, err
	}
	if err := tx.shieldKey(ikey); err != nil {
		return nil, err
	}
	err = tx.readAt(func(st *state, ts Timestamp) (err error) {
		if tx.tracks() {
			tx.reads.addPoint(ikey, ts)
		}
		h := historian{st: st, key: ikey, ts: ts, oldest: max(tx.db.oldestReadable(), st.historyStart)}
		all, err = h.collect()
		return err
	})
	return all, err
}

// historian collects the versions of one key.
type historian struct {
	st         *state
	key        []byte
	ts, oldest Timestamp
	all        []Version
	done       bool // the one that was current at oldest is in
}

// add takes the next older version.
func (h *historian) add(v Version) {
	if h.done || v.Timestamp > h.ts {
		return
	}
	h.all = append(h.all, v)
	h.done = v.Timestamp <= h.oldest
}

// addChain takes the versions of one layer.
func (h *historian) addChain(v *versions.Version) {
	for ; v != nil; v = v.Older() {
		if v.Kind == versions.Delete {
			h.add(Version{Timestamp: Timestamp(v.Timestamp), Deleted: true})
		} else {
			h.add(Version{Timestamp: Timestamp(v.Timestamp), Value: append([]byte{}, v.Value...)})
		}
	}
}

func (h *historian) collect() ([]Version, error) {
	h.addChain(h.st.active.Newest(h.key))
	for i := range h.st.frozen {
		v, err := h.st.frozen[i].newest(h.key)
		if err != nil {
			return nil, err
		}
		h.addChain(v)
	}
	value, at, found, err := h.st.base.Get(pagestore.DataTree, h.key, nil)
	if err != nil {
		return nil, err
	}
	if found {
		h.add(Version{Timestamp: Timestamp(at), Value: append([]byte{}, value...)})
	}
	err = h.fromHistory()
	return collapse(h.all), err
}

// collapse leaves out deletions of what was deleted already, and those with nothing before them: whether these
// deleted anything is not known any more, or nothing.
func collapse(all []Version) []Version {
	kept := all[:0]
	for i, v := range all {
		if !v.Deleted || i+1 < len(all) && !all[i+1].Deleted {
			kept = append(kept, v)
		}
	}
	return kept
}

// fromHistory adds what the history tree has. A gap between the end of one life and the next is a deletion.
func (h *historian) fromHistory() error {
	c := h.st.base.Cursor(pagestore.HistoryTree)
	defer c.Close()
	for ok := c.Seek(historySeekKey(nil, h.key, maxTimestamp)); ok && !h.done; ok = c.Next() {
		at, valid := parseHistoryKey(nil, c.Key())
		if !valid {
			return badHistoryKey(c.Key())
		}
		if string(at.key) != string(h.key) {
			break
		}
		if n := len(h.all); at.kind == versions.Put && (n == 0 || h.all[n-1].Timestamp != at.end) {
			h.add(Version{Timestamp: at.end, Deleted: true})
		}
		if h.done || at.kind == versions.Delete {
			continue
		}
		value, err := c.Value()
		if err != nil {
			return err
		}
		h.add(Version{Timestamp: at.timestamp, Value: append([]byte{}, value...)})
	}
	return c.Err()
}
