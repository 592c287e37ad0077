package fuzz

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"strings"

	"github.com/sombradb/sombra/mvcc"
)

// metaVerbs are the operations, with the share that each has in drawn sequences.
var metaVerbs []*metaVerb

func init() { // what the operations do refers to the list again
	metaVerbs = []*metaVerb{
		{"set", []string{"ks", "key", "size", "seed"}, 14, (*metaRun).set},
		{"unset", []string{"ks", "key"}, 6, (*metaRun).unset},
		{"begin", []string{"txn", "level", "mode"}, 20, (*metaRun).begin},
		{"beginpast", []string{"txn", "back"}, 3, (*metaRun).beginPast},
		{"commit", []string{"txn"}, 22, (*metaRun).commit},
		{"rollback", []string{"txn"}, 2, (*metaRun).rollback},
		{"savepoint", []string{"txn", "slot"}, 6, (*metaRun).savepoint},
		{"rollbackto", []string{"txn", "slot"}, 6, (*metaRun).rollbackTo},
		{"put", []string{"txn", "ks", "key", "size", "seed"}, 24, (*metaRun).put},
		{"delete", []string{"txn", "ks", "key"}, 8, (*metaRun).remove},
		{"add", []string{"txn", "ks", "key", "delta"}, 6, (*metaRun).add},
		{"fill", []string{"txn", "ks", "from", "count", "size", "seed"}, 6, (*metaRun).fill},
		{"clear", []string{"txn", "ks", "from", "count"}, 2, (*metaRun).clear},
		{"get", []string{"txn", "ks", "key"}, 12, (*metaRun).get},
		{"has", []string{"txn", "ks", "key"}, 2, (*metaRun).has},
		{"getforupdate", []string{"txn", "ks", "key"}, 4, (*metaRun).getForUpdate},
		{"getforshare", []string{"txn", "ks", "key"}, 4, (*metaRun).getForShare},
		{"scan", []string{"txn", "ks", "lo", "hi", "limit"}, 6, (*metaRun).scan},
		{"reverse", []string{"txn", "ks", "lo", "hi", "limit"}, 6, (*metaRun).reverse},
		{"keys", []string{"txn", "ks", "lo", "hi", "limit"}, 2, (*metaRun).keys},
		{"scanforupdate", []string{"txn", "ks", "lo", "hi", "limit", "skip"}, 2, (*metaRun).scanForUpdate},
		{"scanforshare", []string{"txn", "ks", "lo", "hi", "limit", "skip"}, 2, (*metaRun).scanForShare},
		{"requireexists", []string{"txn", "ks", "key"}, 2, (*metaRun).requireExists},
		{"requireunchanged", []string{"txn", "ks", "lo", "hi"}, 2, (*metaRun).requireUnchanged},
		{"versions", []string{"txn", "ks", "key"}, 5, (*metaRun).versions},
		{"cursor", []string{"txn", "slot", "ks", "lo", "hi"}, 5, (*metaRun).cursor},
		{"first", []string{"txn", "slot"}, 3, (*metaRun).first},
		{"last", []string{"txn", "slot"}, 3, (*metaRun).last},
		{"next", []string{"txn", "slot"}, 8, (*metaRun).next},
		{"prev", []string{"txn", "slot"}, 8, (*metaRun).prev},
		{"seek", []string{"txn", "slot", "key"}, 4, (*metaRun).seek},
		{"seekbefore", []string{"txn", "slot", "key"}, 4, (*metaRun).seekBefore},
		{"closecursor", []string{"txn", "slot"}, 1, (*metaRun).closeCursor},
		{"load", []string{"space", "count", "size", "order", "seed"}, 2, (*metaRun).load},
		{"dump", nil, 2, func(m *metaRun, _ metaArgs) string { return m.dumpNewest() }},
		{"dumppast", []string{"back"}, 3, (*metaRun).dumpPast},
		{"quiet", nil, 3, (*metaRun).quiet},
	}
}

// set is a transaction that puts one key.
func (m *metaRun) set(a metaArgs) string {
	value := metaValue(a["size"], a["seed"])
	return m.alone(a, metaWrite{value: &value}, func(tx *mvcc.Txn, ks *mvcc.Keyspace, key []byte) error {
		return tx.Put(ks, key, []byte(value))
	})
}

// unset is a transaction that deletes one key.
func (m *metaRun) unset(a metaArgs) string {
	return m.alone(a, metaWrite{}, (*mvcc.Txn).Delete)
}

// alone runs a transaction with one write.
func (m *metaRun) alone(a metaArgs, w metaWrite, write func(tx *mvcc.Txn, ks *mvcc.Keyspace, key []byte) error) string {
	ks := m.spaces[a["ks"]]
	if ks == nil {
		return "no keyspace"
	}
	tx, err := m.db.Begin(m.ctx, &mvcc.TxnOptions{Isolation: mvcc.ReadCommitted, NoWait: true, Durability: m.o.transaction(m.at)})
	if err != nil {
		return m.outcome(err)
	}
	defer tx.Rollback()
	key := metaKey(a["key"])
	if err = write(tx, ks, []byte(key)); err == nil {
		err = tx.Commit()
	}
	if err == nil {
		m.took(&metaTxn{tx: tx, own: map[string]metaWrite{metaModelKey(a["ks"], key): w}})
	}
	return m.outcome(err)
}

func (m *metaRun) begin(a metaArgs) string {
	if m.txns[a["txn"]] != nil {
		return "busy"
	}
	level := []mvcc.Isolation{mvcc.ReadCommitted, mvcc.Snapshot, mvcc.Serializable}[a["level"]]
	tx, err := m.db.Begin(m.ctx, &mvcc.TxnOptions{
		Isolation: level, ReadOnly: a["mode"] == 1, NoWait: true, Durability: m.o.transaction(m.at),
	})
	if err == nil {
		m.txns[a["txn"]] = &metaTxn{tx: tx, own: map[string]metaWrite{}}
	}
	return m.outcome(err)
}

// beginPast begins a transaction as of a commit, counted back from the newest one.
func (m *metaRun) beginPast(a metaArgs) string {
	if m.txns[a["txn"]] != nil {
		return "busy"
	}
	if len(m.commits) <= a["back"] {
		return "no such commit"
	}
	at := len(m.commits) - a["back"]
	x := &metaTxn{own: map[string]metaWrite{}}
	var err error
	if x.tx, err = m.db.Begin(m.ctx, &mvcc.TxnOptions{AsOf: m.commits[at-1]}); err != nil {
		x.tx = nil
	}
	m.txns[a["txn"]] = x
	if err == nil && m.version(x) != at {
		m.fail("as of commit %d it reads commit %d", at, m.version(x))
	}
	return m.outcome(err)
}

func (m *metaRun) commit(a metaArgs) string {
	x := m.txns[a["txn"]]
	m.txns[a["txn"]] = nil
	switch {
	case x == nil:
		return "no transaction"
	case x.tx == nil:
		return "pruned"
	}
	err := x.tx.Commit()
	if err == nil {
		m.took(x)
	}
	return fmt.Sprintf("%s, %d commits", m.outcome(err), m.model.Version())
}

func (m *metaRun) rollback(a metaArgs) string {
	x := m.txns[a["txn"]]
	m.txns[a["txn"]] = nil
	if x != nil && x.tx != nil {
		x.tx.Rollback()
	}
	return "ok"
}

func (m *metaRun) savepoint(a metaArgs) string {
	return m.within(a, func(x *metaTxn) string {
		sp, err := x.tx.Savepoint()
		x.saved[a["slot"]] = &metaSave{sp, maps.Clone(x.own)}
		return m.outcome(err)
	})
}

func (m *metaRun) rollbackTo(a metaArgs) string {
	return m.within(a, func(x *metaTxn) string {
		s := x.saved[a["slot"]]
		if s == nil {
			return "no savepoint"
		}
		err := x.tx.RollbackTo(s.sp)
		x.own = maps.Clone(s.own)
		return m.outcome(err)
	})
}

// wrote notes a write that succeeded.
func (x *metaTxn) wrote(err error, ks int, key string, w metaWrite) {
	x.changed()
	if err == nil {
		x.own[metaModelKey(ks, key)] = w
	}
}

func (m *metaRun) put(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		key, value := metaKey(a["key"]), metaValue(a["size"], a["seed"])
		err := x.tx.Put(ks, []byte(key), []byte(value))
		x.wrote(err, a["ks"], key, metaWrite{value: &value})
		return m.outcome(err)
	})
}

func (m *metaRun) remove(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		key := metaKey(a["key"])
		err := x.tx.Delete(ks, []byte(key))
		x.wrote(err, a["ks"], key, metaWrite{})
		return m.outcome(err)
	})
}

func (m *metaRun) add(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		key, delta := metaKey(a["key"]), int64(a["delta"])
		err := x.tx.Add(ks, []byte(key), delta)
		w, mine := x.own[metaModelKey(a["ks"], key)]
		switch {
		case mine && w.add || !mine:
			w = metaWrite{add: true, delta: w.delta + delta}
		case w.value == nil:
			value := metaSum("", false, delta)
			w.value = &value
		default:
			value := metaSum(*w.value, true, delta)
			w.value = &value
		}
		x.wrote(err, a["ks"], key, w)
		return m.outcome(err)
	})
}

// fill puts keys in a row, until one is refused. Large ones do not fit into small budgets.
func (m *metaRun) fill(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		for i := range a["count"] {
			key, value := metaKey(a["from"]+i), metaValue(a["size"], a["seed"]+i)
			err := x.tx.Put(ks, []byte(key), []byte(value))
			x.wrote(err, a["ks"], key, metaWrite{value: &value})
			if err != nil {
				return fmt.Sprintf("%s after %d", m.outcome(err), i)
			}
		}
		return "ok"
	})
}

func (m *metaRun) clear(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		for i := range a["count"] {
			key := metaKey(a["from"] + i)
			err := x.tx.Delete(ks, []byte(key))
			x.wrote(err, a["ks"], key, metaWrite{})
			if err != nil {
				return fmt.Sprintf("%s after %d", m.outcome(err), i)
			}
		}
		return "ok"
	})
}

func (m *metaRun) get(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		value, err := x.tx.Get(ks, []byte(metaKey(a["key"])))
		return m.read(x, a, value, err)
	})
}

func (m *metaRun) has(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		has, err := x.tx.Has(ks, []byte(metaKey(a["key"])))
		if _, found := m.expect(x, a["ks"], metaKey(a["key"])); err == nil && has != found {
			m.fail("has key %d: %v, the model says %v", a["key"], has, found)
		}
		return fmt.Sprint(m.outcome(err), has)
	})
}

func (m *metaRun) getForUpdate(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		value, err := x.tx.GetForUpdate(ks, []byte(metaKey(a["key"])))
		return m.read(x, a, value, err)
	})
}

func (m *metaRun) getForShare(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		value, err := x.tx.GetForShare(ks, []byte(metaKey(a["key"])))
		return m.read(x, a, value, err)
	})
}

func (m *metaRun) requireExists(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		return m.outcome(x.tx.RequireExists(ks, []byte(metaKey(a["key"]))))
	})
}

func (m *metaRun) requireUnchanged(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		return m.outcome(x.tx.RequireUnchanged(ks, metaRange(a)))
	})
}

// walk shows what an iteration yields, and compares it with the model. Iterations that lock may leave keys out.
func (m *metaRun) walk(x *metaTxn, a metaArgs, locking bool, items iter.Seq2[mvcc.Item, error]) string {
	var parts []string
	for item, err := range items {
		if err != nil {
			parts = append(parts, m.outcome(err))
			break
		}
		key, value := string(item.Key), string(item.Value)
		if want, found := m.expect(x, a["ks"], key); !found || want != value {
			m.fail("%.40q is %s in a scan, the model has %s, found %v", key, metaShow(value), metaShow(want), found)
		}
		parts = append(parts, fmt.Sprintf("%.20q=%s", key, metaShow(value)))
		if len(parts) == a["limit"] {
			break
		}
	}
	if !locking && m.err == nil && len(parts) < a["limit"] {
		if want := m.countInRange(x, a); len(parts) != want {
			m.fail("a scan finds %d keys, the model has %d", len(parts), want)
		}
	}
	if len(parts) > 6 {
		parts = append(parts[:3], fmt.Sprintf("... %d, %s", len(parts), metaShow(strings.Join(parts, ","))))
	}
	return strings.Join(parts, " ")
}

// countInRange counts the keys that the transaction should see in a range.
func (m *metaRun) countInRange(x *metaTxn, a metaArgs) (n int) {
	r := metaRange(a)
	from, to := metaModelKey(a["ks"], string(r.Lo)), metaModelKey(a["ks"]+1, "")
	if r.Hi != nil {
		to = metaModelKey(a["ks"], string(r.Hi))
	}
	for k := range m.model.Scan(from, to, m.version(x)) {
		if _, mine := x.own[k]; !mine {
			n++
		}
	}
	for k, w := range x.own {
		if k >= from && k < to && (w.add || w.value != nil) {
			n++
		}
	}
	return n
}

func (m *metaRun) scan(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		return m.walk(x, a, false, x.tx.Scan(ks, metaRange(a)))
	})
}

func (m *metaRun) reverse(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		return m.walk(x, a, false, x.tx.Reverse(ks, metaRange(a)))
	})
}

func (m *metaRun) keys(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		n, last := 0, ""
		for key, err := range x.tx.Keys(ks, metaRange(a)) {
			if err != nil {
				return m.outcome(err)
			}
			last = string(key)
			if n++; n == a["limit"] {
				break
			}
		}
		return fmt.Sprintf("%d keys up to %.20q", n, last)
	})
}

func metaWait(a metaArgs) mvcc.LockWait {
	if a["skip"] == 1 {
		return mvcc.SkipLocked
	}
	return mvcc.NoWait
}

func (m *metaRun) scanForUpdate(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		return m.walk(x, a, true, x.tx.ScanForUpdate(ks, metaRange(a), metaWait(a)))
	})
}

func (m *metaRun) scanForShare(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		return m.walk(x, a, true, x.tx.ScanForShare(ks, metaRange(a), metaWait(a)))
	})
}

// versions lists the versions of a key by the number of their commit. A run that does not retain the past may know fewer.
func (m *metaRun) versions(a metaArgs) string {
	return m.inSpace(a, func(x *metaTxn, ks *mvcc.Keyspace) string {
		text := "versions"
		for v, err := range x.tx.Versions(ks, []byte(metaKey(a["key"]))) {
			if err != nil {
				return m.outcome(err)
			}
			at := m.versionOf(v.Timestamp)
			if at == 0 || m.commits[at-1] != v.Timestamp {
				at++ // a load, whose timestamp is before what commits has
			}
			if v.Deleted {
				text += fmt.Sprintf(" %d:deleted", at)
				continue
			}
			if want, found := m.model.Get(metaModelKey(a["ks"], metaKey(a["key"])), at); !found || want != string(v.Value) {
				m.fail("version %d of key %d is %s, the model has %s, found %v", at, a["key"], metaShow(string(v.Value)), metaShow(want), found)
			}
			text += fmt.Sprintf(" %d:%s", at, metaShow(string(v.Value)))
		}
		return text
	})
}

// load makes a keyspace with its content.
func (m *metaRun) load(a metaArgs) string {
	n, i := a["count"], a["space"]
	writes := map[string]*string{}
	order := rand.New(rand.NewPCG(1, uint64(n))).Perm(n)
	ks, err := m.db.Load(m.ctx, metaSpaceName(i), func(l *mvcc.Loader) error {
		for at := range n {
			at = []int{at, n - 1 - at, order[at]}[a["order"]]
			key, value := metaKey(metaFillFrom+at), metaValue(a["size"], a["seed"]+at)
			if err := l.Put([]byte(key), []byte(value)); err != nil {
				return err
			}
			writes[metaModelKey(i, key)] = &value
		}
		return nil
	})
	if err == nil {
		m.spaces[i] = ks
		m.model.Apply(writes)
		err = m.db.View(m.ctx, func(tx *mvcc.Txn) error {
			at, err := tx.Snapshot() // after the commit that named the keyspace
			m.commits = append(m.commits, at)
			return err
		})
	}
	return m.outcome(err)
}

func (m *metaRun) dumpPast(a metaArgs) (line string) {
	at := len(m.commits) - a["back"]
	if at <= 0 {
		return "no such commit"
	}
	err := m.db.ViewAsOf(m.ctx, m.commits[at-1], func(tx *mvcc.Txn) error {
		line = m.dump(tx, at)
		return nil
	})
	if err != nil {
		return m.outcome(err)
	}
	return line
}
