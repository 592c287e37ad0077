package mvcc

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/wal"
)

// commitEntry is one commit on its way from the log to visibility.
//
//	linked      ts and place in the log taken, under commits.mu     (append)
//	applied     versions in the table                               (apply)
//	            and all before it applied: its locks are free        (advanceApplied)
//	published   durable, and all before it published                (publish)
type commitEntry struct {
	writes []versions.Write // without those in the runs
	extra  *extraWrites     // nil for most
	table  *versions.Table  // where they go; fixed under commits.mu
	ts     Timestamp
	end    wal.LSN // of its record
	sync   bool    // published only once durable

	applied atomic.Bool
	next    atomic.Pointer[commitEntry] // set under commits.mu
	done    chan struct{}               // closed when published; guarded by commits.publish.Mutex
	one     [1]versions.Write           // backs writes in the usual case
}

// extraWrites is what only some commits have.
type extraWrites struct {
	runs []*runs.Run      // of a large commit: the rest of its writes, newest first; nil otherwise
	sums []versions.Write // those of the writes that append has applied: counters
}

// entry returns the transaction's commit, which does not share memory with the write set: that is used again, while
// others may still validate against the commit.
func (tx *txn) entry() *commitEntry {
	e := &commitEntry{sync: tx.durability == Full}
	e.writes = tx.writes.appendTo(e.one[:0])
	return e
}

// runs returns the runs of a large commit, nil for any other.
func (e *commitEntry) runs() []*runs.Run {
	if e.extra == nil {
		return nil
	}
	return e.extra.runs
}

// sums returns the writes that append has applied.
func (e *commitEntry) sums() []versions.Write {
	if e.extra == nil {
		return nil
	}
	return e.extra.sums
}

// isLarge reports whether the commit has runs.
func (e *commitEntry) isLarge() bool { return e.runs() != nil }

// setSums notes the writes that append applies.
func (e *commitEntry) setSums(sums []versions.Write) {
	if len(sums) > 0 {
		e.extra = &extraWrites{runs: e.runs(), sums: sums}
	}
}

// commits is the list of commits in commit order, and the watermark's place
// in it. Entries before head have been published and are kept alive only by
// validators that started from them.
//
// Lock order: mu, then nothing but the log's append mutex; publish.Mutex alone.
type commits struct {
	mu struct {
		sync.Mutex
		last      Timestamp
		protected *protection        // nil: none
		chains    map[uint64]wal.LSN // chunked commits under way, and where they begin at the earliest
	}
	tail    atomic.Pointer[commitEntry] // the last one linked; set under mu
	applied atomic.Pointer[commitEntry] // the last one up to which all are applied; set under publish.Mutex
	publish struct {
		sync.Mutex
		head *commitEntry // the last one published
	}
}

func (c *commits) init(last Timestamp) {
	first := &commitEntry{ts: last}
	first.applied.Store(true)
	c.mu.last = last
	c.mu.chains = make(map[uint64]wal.LSN)
	c.tail.Store(first)
	c.applied.Store(first)
	c.publish.head = first
}

// commit makes the transaction's writes durable and visible (R1, R2). When it returns an
// error other than *CommitUnknownError, nothing was written.
func (tx *txn) commit() error {
	db := tx.db
	e := tx.entry()
	if err := db.admit(tx.ctx, tx.writes.bytes); err != nil {
		return err
	}
	rec, err := db.stage(tx.ctx, e.writes)
	if err != nil {
		return err
	}
	err = tx.link(e, rec)
	db.unstage(rec)
	if err != nil {
		return err
	}
	db.stamp(e)
	e.table.Apply(uint64(e.ts), e.unapplied())
	e.applied.Store(true)
	tx.commitTS = e.ts
	if db.commits.advanceApplied(); e.ts <= db.commits.applied.Load().ts {
		tx.unlock()
	}
	return tx.await(e)
}

// link validates and appends; again when a checkpoint came between, for what was
// read of the trees for counters is then out of date, or when a protected transaction had to end first, or a large
// commit came between.
func (tx *txn) link(e *commitEntry, rec stagedRecord) error {
	if rec.chain != 0 {
		defer tx.db.dropChain(rec.chain)
	}
	for {
		if e.isLarge() {
			if err := tx.db.awaitMerged(tx.ctx); err != nil {
				return err
			}
		}
		mark, err := tx.validate()
		if err != nil {
			return err
		}
		bases, err := tx.db.counterBases(e.writes)
		if err != nil {
			return err
		}
		linked, held, err := tx.append(e, rec, mark, bases)
		if held {
			err = tx.awaitProtection()
		}
		if linked || err != nil {
			return err
		}
	}
}

// unapplied returns the writes that append has not put into the table.
func (e *commitEntry) unapplied() []versions.Write {
	sums := e.sums()
	if len(sums) == 0 {
		return e.writes
	}
	return slices.DeleteFunc(slices.Clone(e.writes), func(w versions.Write) bool {
		_, isSum := findWrite(sums, w.Key)
		return isSum
	})
}

// advanceApplied moves applied over every commit whose predecessors are applied.
func (c *commits) advanceApplied() {
	c.publish.Lock()
	defer c.publish.Unlock()
	at := c.applied.Load()
	last := at
	for n := at.next.Load(); n != nil && n.applied.Load(); n = n.next.Load() {
		last = n
	}
	if last != at {
		c.applied.Store(last)
	}
}

// unlock releases the transaction's locks. After a commit that is as early as
// this: when it and all before it are applied. The next owner of a lock finds
// its version (S2), may see it before it is durable (sees), and cannot be acknowledged before it.
func (tx *txn) unlock() {
	tx.unprotect() // before the lock that stands for it
	tx.forget()
	if owner := tx.owner.Swap(nil); owner != nil {
		tx.db.locks.ReleaseAll(owner)
		tx.idleOwner = owner
	}
}

// depends returns what must hold at commit.
func (tx *txn) depends() []*readSet {
	if tx.isolation == Serializable {
		return []*readSet{&tx.guards, &tx.reads}
	}
	return []*readSet{&tx.guards}
}

// validate checks what the transaction read against all commits that are
// linked by now, and returns the last one that it looked at.
//
// A commit is either applied, then the store has it, or it is not, then its
// entry is still between head and tail: entries are looked at first, and
// skipped only if they were applied before the store is looked at. So none is missed.
func (tx *txn) validate() (mark *commitEntry, err error) {
	db := tx.db
	if tx.guards.empty() && (tx.isolation != Serializable || tx.reads.empty()) {
		return nil, nil
	}
	sets := tx.depends()
	db.commits.publish.Lock()
	e := db.commits.publish.head
	db.commits.publish.Unlock()
	mark = db.commits.tail.Load()
	for e != mark {
		e = e.next.Load()
		if e.applied.Load() {
			continue
		}
		if c := againstWrites(sets, e.writes); c.reason != 0 {
			return nil, tx.conflict(c)
		}
	}
	var found conflict
	err = db.withState(func(st *state) (err error) {
		found, err = againstState(sets, st, tx)
		return err
	})
	if err == nil && found.reason != 0 {
		err = tx.conflict(found)
	}
	return mark, err
}

// append takes the commit's timestamp and place in the log, in one short critical
// section (R1). Commits that were linked since validate looked are
// validated here, so that of two that validate at once the second one in
// commit order sees the first (S3). Sums of counters are formed and stored here, too. It
// reports whether the commit is linked; if not, without an error, bases are out of date, or it is
// held off by a protected transaction.
func (tx *txn) append(e *commitEntry, rec stagedRecord, mark *commitEntry, bases *counterBase) (linked, held bool, err error) {
	db := tx.db
	c := &db.commits
	var fresh *versions.Table
	if e.isLarge() {
		fresh = versions.New(db.splits(db.state.Load().base))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.mu.protected; p != nil && p.tx != tx && (e.isLarge() || p.touchedBy(e.writes)) {
		return false, true, nil
	}
	if mark != nil {
		sets := tx.depends()
		for n := mark.next.Load(); n != nil; n = n.next.Load() {
			if n.isLarge() {
				return false, false, nil // to look into a run is I/O: validate it outside
			}
			if found := againstWrites(sets, n.writes); found.reason != 0 {
				return false, false, tx.conflict(found)
			}
		}
	}
	st := db.state.Load()
	if e.isLarge() && len(st.frozen) > 0 {
		return false, false, nil
	}
	writes := e.writes
	if bases != nil {
		var current bool
		if writes, current, err = bases.resolve(st, e.writes); err != nil || !current {
			return false, false, err
		}
	}
	ts := nextTimestamp(c.mu.last, time.Now())
	end, err := db.log.Append(recordCommit, uint64(ts), rec.payload)
	if err != nil {
		return false, false, db.logError(err)
	}
	c.mu.last = ts
	e.ts, e.end, e.table = ts, end, st.active // of a large commit too: its sums belong below its seal, like its runs
	if bases != nil {
		e.setSums(sumsOf(e.writes, writes))
		if !e.isLarge() {
			e.table.Apply(uint64(ts), e.sums())
		}
		e.writes = writes
	}
	if e.isLarge() {
		db.stamp(e)
		db.layerLocked(e, fresh, rec.chain)
		e.applied.Store(true) // the runs are in the state, and all other writes are sums
	}
	c.tail.Load().next.Store(e)
	c.tail.Store(e)
	return true, false, nil
}

// sumsOf returns those of the resolved writes that were additions.
func sumsOf(writes, resolved []versions.Write) (sums []versions.Write) {
	for i, w := range writes {
		if w.Kind == kindAdd {
			sums = append(sums, resolved[i])
		}
	}
	return sums
}

// stagedRecord is a commit record ready for the log.
type stagedRecord struct {
	payload []byte
	chain   uint64
	pooled  *[]byte // payload, to be given back; nil in a chain
}

// maxPooledPayload is the largest record buffer that is kept for reuse, in bytes.
const maxPooledPayload = 1 << 20

// unstage gives the record's buffer back once the log has copied it.
func (db *DB) unstage(rec stagedRecord) {
	if rec.pooled != nil && cap(*rec.pooled) <= maxPooledPayload {
		db.payloads.Put(rec.pooled)
	}
}

// stage encodes the writes, and logs all but the last piece if they do not fit one record.
func (db *DB) stage(ctx context.Context, writes []versions.Write) (stagedRecord, error) {
	limit := db.log.MaxPayload()
	if size := encodedSize(writes); size <= limit {
		buf, _ := db.payloads.Get().(*[]byte)
		if buf == nil {
			buf = new([]byte)
		}
		payload := binary.AppendUvarint(slices.Grow((*buf)[:0], size), 0)
		for _, w := range writes {
			payload = append(appendWriteHead(payload, w), w.Value...)
		}
		*buf = payload
		return stagedRecord{payload: payload, pooled: buf}, db.admitLog(ctx, len(payload))
	}
	ch := db.startChain(min(limit, chunkSize))
	for _, w := range writes {
		ch.buf = appendWriteHead(ch.buf, w)
		if err := ch.write(ctx, w.Value); err != nil {
			db.dropChain(ch.id)
			return stagedRecord{}, err
		}
	}
	return stagedRecord{payload: ch.buf, chain: ch.id}, nil
}

// chunkSize is the payload of one chunk record in bytes.
const chunkSize = 1 << 20

// chain writes the chunks of one large commit.
type chain struct {
	db    *DB
	id    uint64
	limit int
	buf   []byte // begins with the chain number
	head  int    // its length
	count uint64 // of chunks that were logged
}

// startChain registers a chain: from now until its commit record is linked or
// the chain is dropped, checkpoints keep the log from here.
func (db *DB) startChain(limit int) *chain {
	ch := &chain{db: db, id: rand.Uint64() | 1, limit: limit}
	ch.buf = binary.AppendUvarint(make([]byte, 0, limit+MaxKeySize+64), ch.id)
	ch.head = len(ch.buf)
	db.commits.mu.Lock()
	db.commits.mu.chains[ch.id] = db.log.End()
	db.commits.mu.Unlock()
	return ch
}

func (db *DB) dropChain(id uint64) {
	db.commits.mu.Lock()
	delete(db.commits.mu.chains, id)
	db.commits.mu.Unlock()
}

// write appends value to the chain, logging full chunks.
func (ch *chain) write(ctx context.Context, value []byte) error {
	for {
		if len(ch.buf)+len(value) <= ch.limit {
			ch.buf = append(ch.buf, value...)
			return nil
		}
		room := max(ch.limit-len(ch.buf), 0)
		ch.buf = append(ch.buf, value[:room]...)
		value = value[room:]
		if err := ch.flush(ctx); err != nil {
			return err
		}
	}
}

// flush logs the buffer, which may be a little longer than limit because heads are not split.
func (ch *chain) flush(ctx context.Context) error {
	rest := ch.buf[ch.head:]
	for len(rest) > 0 {
		piece := ch.buf[:ch.head+min(len(rest), ch.limit-ch.head)]
		if err := ch.db.admitLog(ctx, len(piece)); err != nil {
			return err
		}
		ch.count++
		if _, err := ch.db.log.Append(recordChunk, ch.count, piece); err != nil {
			return ch.db.logError(err)
		}
		rest = rest[len(piece)-ch.head:]
		copy(ch.buf[ch.head:], rest)
		rest = ch.buf[ch.head : ch.head+len(rest)]
	}
	ch.buf = ch.buf[:ch.head]
	return nil
}

// await waits until the commit is published.
func (tx *txn) await(e *commitEntry) error {
	db := tx.db
	if e.sync {
		if err := db.log.Sync(tx.ctx, e.end); err != nil {
			return tx.unknown(e, err)
		}
	}
	if err := db.publish(tx.ctx, e); err != nil {
		return tx.unknown(e, err)
	}
	return nil
}

// unknown ends a commit whose wait failed. Unless the log has failed, the
// commit goes on without its caller, and so do its locks if it still has them.
func (tx *txn) unknown(e *commitEntry, cause error) error {
	tx.unprotect()
	tx.reusable = false
	db, owner := tx.db, tx.owner.Swap(nil)
	db.background.Go(func() {
		if err := db.log.Sync(context.Background(), e.end); err == nil {
			_ = db.publish(context.Background(), e) // fails only with the log, which has its own report
		}
		if owner != nil {
			db.locks.ReleaseAll(owner)
		}
	})
	return &CommitUnknownError{Timestamp: e.ts, Cause: db.logError(cause)}
}

// seen says which commit it was, without keeping its entry, from which all later ones can be reached: a transaction that
// stays open would keep in memory whatever is committed meanwhile.
type seen struct {
	ts   Timestamp
	end  wal.LSN
	sync bool
}

// awaitFloor waits until everything that a transaction without writes has seen is durable.
func (tx *txn) awaitFloor() error {
	s := tx.floor
	if s == nil || s.ts <= Timestamp(tx.db.watermark.Load()) {
		return nil
	}
	if s.sync {
		if err := tx.db.log.Sync(tx.ctx, s.end); err != nil {
			return tx.db.logError(err)
		}
	}
	return tx.db.publish(tx.ctx, tx.db.commits.find(s.ts))
}

// find returns the linked commit of the timestamp, or a later one that has been published.
func (c *commits) find(ts Timestamp) *commitEntry {
	c.publish.Lock()
	defer c.publish.Unlock()
	e := c.publish.head
	for e.ts < ts {
		e = e.next.Load()
	}
	return e
}

// publish moves the watermark over every commit that may become visible, and
// waits until e has become so.
func (db *DB) publish(ctx context.Context, e *commitEntry) error {
	if Timestamp(db.watermark.Load()) >= e.ts {
		return nil // whoever woke first has done it for all of the round
	}
	p := &db.commits.publish
	p.Lock()
	durable := db.log.Durable()
	for n := p.head.next.Load(); n != nil && n.applied.Load() && (!n.sync || n.end <= durable); n = p.head.next.Load() {
		db.watermark.Store(uint64(n.ts))
		if n.done != nil {
			close(n.done)
		}
		p.head = n
	}
	if e.ts <= p.head.ts {
		p.Unlock()
		return nil
	}
	if e.done == nil {
		e.done = make(chan struct{})
	}
	p.Unlock()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-db.failed.ch:
		return db.failed.get()
	}
}
