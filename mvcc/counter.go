package mvcc

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/sombradb/sombra/lockmgr"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// A counter is a key whose value is an int64, 8 bytes big-endian. Additions
// to it commute, so transactions that add do not exclude each other: they hold
// its lock in mode A, which excludes everybody else, and log what they add. The sum is formed inside
// the critical section that orders the commits, from the newest version there, and put into the store at once;
// so each version of a counter is a plain value, right at its place in the commit order, and readers need to know nothing
// of additions. A replay forms the same sums, because it meets the commits in the same order.

// kindAdd is a write that adds its value to what is there. It lives in write
// sets and in the log only.
const kindAdd versions.Kind = 3

// EncodeInt64 returns a counter's value as it is stored.
func EncodeInt64(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// DecodeInt64 returns the number in a counter's value. A value that is not 8 bytes long is an error that matches ErrInvalid.
func DecodeInt64(value []byte) (int64, error) {
	if len(value) != 8 {
		return 0, &ArgumentError{fmt.Sprintf("value of %d bytes is not a counter, which has 8", len(value))}
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// sum adds to a counter's value; nil stands for a key that is absent.
func sum(value []byte, delta int64) ([]byte, error) {
	n := int64(0)
	if value != nil {
		var err error
		if n, err = DecodeInt64(value); err != nil {
			return nil, err
		}
	}
	total, _ := bits.Add64(uint64(n), uint64(delta), 0)
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return nil, &ArgumentError{fmt.Sprintf("counter at %d cannot take %d more: it would overflow", n, delta)}
	}
	return EncodeInt64(int64(total)), nil
}

// Add adds delta to the counter at key; an absent key counts as 0. Adding
// never conflicts with additions of other transactions, at any level, and does not wait for
// them; it waits for, and holds off, those who lock, put or delete the key. The
// transaction itself sees the sum of its snapshot and its own additions; reading the counter is an ordinary read.
//
// Errors that match ErrInvalid: the value is not a counter, or the sum overflows; that may also be found by Commit.
func (tx *Txn) Add(ks *Keyspace, key []byte, delta int64) error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	ikey, err := tx.encode(ks, key)
	if err != nil {
		return err
	}
	if err := tx.writable(); err != nil {
		return err
	}
	own, mine, err := tx.own(ikey)
	if err != nil {
		return err
	}
	if !mine {
		if err := tx.addable(ikey); err != nil {
			return err
		}
		own = versions.Write{Kind: kindAdd}
	}
	before := own.Value
	if own.Kind == versions.Delete {
		before = nil
	}
	value, err := sum(before, delta)
	if err != nil {
		return err
	}
	kind := versions.Put
	if own.Kind == kindAdd {
		kind = kindAdd
	}
	return tx.set(ikey, value, kind)
}

// addable takes the lock and looks whether the newest value is a counter. It
// stays one while the lock is held.
func (tx *txn) addable(ikey []byte) error {
	if err := tx.acquireKey(ikey, lockmgr.A, tx.policy); err != nil {
		return err
	}
	return tx.db.withState(func(st *state) error {
		value, found, err := st.get(nil, ikey, maxTimestamp)
		if err != nil || !found {
			return err
		}
		_, err = DecodeInt64(value)
		return err
	})
}

// ownAdd returns what the transaction sees of a counter that it added to.
func (tx *txn) ownAdd(dst []byte, w versions.Write) ([]byte, error) {
	delta, err := DecodeInt64(w.Value)
	if err != nil {
		return dst, err
	}
	base, found, err := tx.readCommittedOf(nil, w.Key)
	if err != nil {
		return dst, err
	}
	if !found {
		base = nil
	}
	total, err := sum(base, delta)
	return append(dst, total...), err
}

// counterBase has the values in the trees, and in runs, of those counters that a commit adds to
// and that are not in memory: read before the critical section, where no I/O may happen.
type counterBase struct {
	st     *state
	values map[string][]byte
}

// counterBases reads them. Nil when the commit adds to nothing.
func (db *DB) counterBases(writes []versions.Write) (*counterBase, error) {
	if !slices.ContainsFunc(writes, func(w versions.Write) bool { return w.Kind == kindAdd }) {
		return nil, nil
	}
	var b *counterBase
	err := db.withState(func(st *state) error {
		b = &counterBase{st: st, values: make(map[string][]byte)}
		for _, w := range writes {
			if w.Kind != kindAdd || st.inMemory(w.Key) != nil {
				continue
			}
			value, found, err := st.get(nil, w.Key, maxTimestamp)
			if err != nil {
				return err
			}
			if found {
				b.values[string(w.Key)] = value
			}
		}
		return nil
	})
	return b, err
}

// resolve turns additions into puts of their sums. It reports false when a checkpoint has replaced the state since
// the trees were read. REQUIRES: commits.mu.
func (b *counterBase) resolve(st *state, writes []versions.Write) (resolved []versions.Write, ok bool, err error) {
	if st.base != b.st.base || st.topRun() != b.st.topRun() {
		return nil, false, nil
	}
	resolved = slices.Clone(writes)
	for i, w := range writes {
		if w.Kind != kindAdd {
			continue
		}
		value := b.values[string(w.Key)]
		if v := st.inMemory(w.Key); v != nil {
			if value = v.Value; v.Kind == versions.Delete {
				value = nil
			}
		}
		delta, err := DecodeInt64(w.Value)
		if err == nil {
			value, err = sum(value, delta)
		}
		if err != nil {
			return nil, true, err
		}
		resolved[i] = versions.Write{Key: w.Key, Value: value, Kind: versions.Put}
	}
	return resolved, true, nil
}
