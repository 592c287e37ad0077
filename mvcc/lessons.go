package mvcc

import (
	"bytes"
	"slices"

	"github.com/sombradb/sombra/lockmgr"
)

// What an attempt of Update lost on, the next one locks before it does anything
// else: exclusively a key that somebody had changed before it was written, or that was waited for in a
// deadlock, together with those that the attempt had written by then; shared a key that changed after it was read. So a key that everybody reads and then
// writes is queued for from the second attempt on, and what is not contended is never locked beforehand.
//
// The locks are taken in key order, so that those who have learned do not wait for each other in a
// circle, and before the snapshot, which then shows what the last holder wrote. That is also what makes
// the second attempt succeed: a plain read shows what is durable, and on a hot key the newest commit never is yet.

// maxLessons bounds the keys that are remembered; the latest stay.
const maxLessons = 16

// lesson is a key to be locked, and how.
type lesson struct {
	key  []byte // internal
	mode lockmgr.Mode
}

// lessons are what the earlier attempts of one Update have taught. They belong to the goroutine that runs it.
type lessons struct{ all []lesson }

// learn remembers that the key was lost on. Without lessons (nil) it does nothing.
func (l *lessons) learn(ikey []byte, mode lockmgr.Mode) {
	if l == nil {
		return
	}
	if i := slices.IndexFunc(l.all, func(x lesson) bool { return bytes.Equal(x.key, ikey) }); i >= 0 {
		mode = max(mode, l.all[i].mode)
		l.all = slices.Delete(l.all, i, i+1)
	}
	if len(l.all) == maxLessons {
		l.all = slices.Delete(l.all, 0, 1)
	}
	l.all = append(l.all, lesson{bytes.Clone(ikey), mode})
}

// learnWrites remembers the keys of a small write set: the order in which they were locked has led into a deadlock.
func (l *lessons) learnWrites(w *writeSet) {
	if l == nil || w.len() > maxLessons/2 {
		return
	}
	for _, x := range w.list() {
		if x.Kind != kindAdd {
			l.learn(x.Key, lockmgr.X)
		}
	}
}

// apply locks what was learned.
func (l *lessons) apply(tx *txn) error {
	if len(l.all) == 0 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(l.all), func(a, b lesson) int { return bytes.Compare(a.key, b.key) })
	for _, x := range sorted {
		if err := tx.lock(x.key, x.mode, tx.policy); err != nil {
			return err
		}
	}
	return nil
}
