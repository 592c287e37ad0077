package mvcc

import (
	"bytes"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/wal"
)

// replayBuild turns batches of the log into tables, while the next batch is read.
//
//	log --record--> batch --give--> sorted, sums formed, old versions dropped --> kept for the next batch, if little
//	                                                                          --> frozen, merged into the trees
//	                last batch --finish------------------------------------->    the active table
//
// Nobody reads the database meanwhile. So of a key's versions the newest is enough, unless Options.Retain says otherwise.
type replayBuild struct {
	db      *DB
	in      chan *replayBatch
	stopped chan struct{} // closed when the goroutine has ended; nil before it starts
	err     error         // set before stopped is closed
	// rest is what is left of the batches so far, if that is not in the state. It belongs to the goroutine, and after
	// its end to finish.
	rest *replayBatch
}

// give hands a batch over. The goroutine is started by the first one: most logs fit one batch.
func (p *replayBuild) give(b *replayBatch) error {
	if p.stopped == nil {
		p.in, p.stopped = make(chan *replayBatch), make(chan struct{})
		go p.run()
	}
	select {
	case p.in <- b:
		return nil
	case <-p.stopped:
		return p.err
	}
}

func (p *replayBuild) run() {
	defer close(p.stopped)
	for b := range p.in {
		if p.err = p.take(b); p.err != nil {
			return
		}
	}
}

// stop waits for the goroutine, and returns what went wrong in it.
func (p *replayBuild) stop() error {
	if p.stopped == nil {
		return nil
	}
	close(p.in)
	<-p.stopped
	return p.err
}

// take puts a batch that is not the last one into the state, or keeps what is left of it.
func (p *replayBuild) take(b *replayBatch) error {
	c, err := p.content(b)
	if err != nil {
		return err
	}
	layered := len(p.db.state.Load().frozen) > 0
	if !layered && b.large == nil && c.bytes() < p.db.budget().hard/2 {
		p.rest, err = c.compact()
		return err
	}
	c.freeze()
	if layered || b.large == nil {
		err = p.checkpoint(b.last)
	}
	if err == nil && b.large != nil {
		p.db.pushFrozen(frozen{runs: []*runs.Run{b.large}, ts: b.largeTS})
	}
	return err
}

// finish takes the last batch. What is left is the active table if it is not too large, and nothing was frozen.
func (p *replayBuild) finish(b *replayBatch) error {
	c, err := p.content(b)
	if err != nil {
		return err
	}
	st := *p.db.state.Load()
	if len(st.frozen) > 0 || !p.db.opts.ReadOnly && c.bytes() >= p.db.budget().hard {
		c.freeze()
		return p.checkpoint(b.last)
	}
	if c.count > 0 {
		st.active = c.table()
		p.db.state.Store(&st)
	}
	return nil
}

// checkpoint merges what was replayed so far, so that a long log does not need more memory than a running database. The
// superblock goes on naming the position where this replay began: what was read after it may not be durable yet.
func (p *replayBuild) checkpoint(last Timestamp) error {
	st := p.db.state.Load()
	s := seal{ts: last, keep: wal.LSN(st.base.Meta().LogLSN)}
	return p.db.merge(st.frozen, s, request{awaited: true}).Err
}

// pushFrozen makes a layer the newest one. It is for recovery, when nobody else replaces the state.
func (db *DB) pushFrozen(f frozen) {
	st := *db.state.Load()
	st.frozen = slices.Concat([]frozen{f}, st.frozen)
	db.state.Store(&st)
}

// replayContent is what a batch comes to: writes in order, cut where the partitions of a table are.
type replayContent struct {
	db     *DB
	st     *state
	batch  *replayBatch
	splits [][]byte
	parts  []replayPart
	count  int // of items
}

// replayPart is one partition's share.
type replayPart struct {
	items []replayItem
	keys  int
	sums  []byte // encoded puts of counters; the chunk of their places
	err   error
}

// content sorts a batch, together with what is left of those before, and forms the sums of counters.
func (p *replayBuild) content(b *replayBatch) (*replayContent, error) {
	if p.rest != nil {
		b.prepend(p.rest)
		p.rest = nil
	}
	c := &replayContent{db: p.db, st: p.db.state.Load(), batch: b}
	c.cut(b.sorted())
	first := len(b.chunks)
	b.chunks = append(b.chunks, make([][]byte, len(c.parts))...)
	inParallel(len(c.parts), func(i int) {
		part := &c.parts[i]
		part.resolve(c, place(first+i)<<placeBits)
		b.chunks[first+i] = part.sums
	})
	for i := range c.parts {
		if err := c.parts[i].err; err != nil {
			return nil, err
		}
		c.count += len(c.parts[i].items)
	}
	return c, nil
}

// prepend adds the writes of an older batch. Their places come after those of the batch, but places order only the writes of
// one commit. REQUIRES: both are settled.
func (b *replayBatch) prepend(older *replayBatch) {
	shift := placeOf(len(b.chunks), 0)
	for _, block := range older.items {
		for i := range block {
			block[i].at += shift
		}
	}
	b.chunks, b.items = append(b.chunks, older.chunks...), append(b.items, older.items...)
	b.infos = append(b.infos, older.infos...)
	b.count, b.adds = b.count+older.count, b.adds || older.adds
	b.decoder.bytes.Add(older.bytes())
}

// cut divides the items as the new table is to be: along the data tree, if that has something, or evenly.
func (c *replayContent) cut(all []replayItem) {
	const parts = 64
	c.splits = c.db.splits(c.st.base)
	if len(c.splits) < parts/4 && len(all) > 1<<12 {
		c.splits = nil
		for i := 1; i < parts; i++ {
			c.splits = append(c.splits, c.batch.write(all[i*len(all)/parts].at).Key)
		}
	}
	// Open reads the catalog: that shall not make the index of other keys.
	if users := makePrefix(firstUserID); len(all) > 1<<12 {
		c.splits = append(c.splits, users[:])
		slices.SortFunc(c.splits, bytes.Compare)
	}
	c.splits = slices.CompactFunc(c.splits, bytes.Equal)
	c.splits = slices.DeleteFunc(c.splits, func(key []byte) bool { return len(key) == 0 })
	for _, key := range c.splits {
		n := sort.Search(len(all), func(i int) bool { return bytes.Compare(c.batch.write(all[i].at).Key, key) >= 0 })
		c.parts = append(c.parts, replayPart{items: all[:n:n]})
		all = all[n:]
	}
	c.parts = append(c.parts, replayPart{items: all})
}

// resolve drops versions that nobody needs, and makes puts of additions. sums is the place of the first of these.
func (p *replayPart) resolve(c *replayContent, sums place) {
	history := c.db.opts.Retain.Duration != 0
	kept := p.items[:0]
	for all := p.items; len(all) > 0; {
		n := 1
		for n < len(all) && c.batch.sameKey(all[0], all[n]) {
			n++
		}
		if c.batch.adds {
			if p.err = p.sum(c, all[:n], sums); p.err != nil {
				return
			}
		}
		p.keys++
		if history {
			kept = append(kept, all[:n]...)
		} else {
			kept = append(kept, all[n-1])
		}
		all = all[n:]
	}
	p.items = kept
}

// sum turns the additions among the writes of one key into puts: the first one adds to what the state has, unless
// something comes before it.
func (p *replayPart) sum(c *replayContent, group []replayItem, sums place) error {
	var value []byte
	known := false
	for i := range group {
		w := c.batch.write(group[i].at)
		switch w.Kind {
		case versions.Delete:
			value, known = nil, true
			continue
		case versions.Put:
			value, known = w.Value, true
			continue
		}
		if !known {
			found := false
			var err error
			if value, found, err = c.st.get(nil, w.Key, maxTimestamp); err != nil {
				return c.db.pageError(err)
			}
			if !found {
				value = nil
			}
			known = true
		}
		delta, err := DecodeInt64(w.Value)
		if err == nil {
			value, err = sum(value, delta)
		}
		if err != nil {
			return &CorruptionError{cerrors.Wrapf(err, "log record of commit %d does not decode", group[i].ts)}
		}
		group[i].at = sums + place(len(p.sums))
		p.sums = append(appendWriteHead(p.sums, versions.Write{Key: w.Key, Value: value, Kind: versions.Put}), value...)
	}
	return nil
}

// bytes returns about what a table of the content needs.
func (c *replayContent) bytes() int64 {
	return int64(float64(c.batch.bytes()) * float64(c.count) / float64(max(c.batch.count, 1)))
}

// compact copies the content to a batch without anything else.
func (c *replayContent) compact() (*replayBatch, error) {
	b := newReplayBatch(c.batch.last, c.db.budget().hard)
	for i := range c.parts {
		for _, x := range c.parts[i].items {
			b.addWrite(c.batch.write(x.at), x.ts)
		}
	}
	return b, b.settle()
}

// freeze makes a layer of the content, if there is any.
func (c *replayContent) freeze() {
	if c.count > 0 {
		c.db.pushFrozen(frozen{table: c.table()})
	}
}

// table makes a table of the content.
func (c *replayContent) table() *versions.Table {
	parts := make([]versions.Part, len(c.parts))
	for i := range c.parts {
		p := &c.parts[i]
		parts[i] = versions.Part{Keys: p.keys, Versions: len(p.items), Each: func(yield func(versions.Write, uint64)) {
			for items := p.items; len(items) > 0; {
				n := min(len(items), writesAhead)
				c.batch.touch(items[:n])
				for _, x := range items[:n] {
					yield(c.batch.write(x.at), uint64(x.ts))
				}
				items = items[n:]
			}
			p.items = nil
		}}
	}
	return versions.Load(c.splits, parts, replayGoroutines())
}

// maxReplayGoroutines bounds the goroutines that sort and build.
const maxReplayGoroutines = 8

func replayGoroutines() int { return min(runtime.GOMAXPROCS(0), maxReplayGoroutines) }

// inParallel calls f for each number below n.
func inParallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(replayGoroutines(), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
