package mvcc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// repairLog copies the commits that the trees do not have to the log of the new database. Behind a gap it must not take a
// chain of chunks for whole of which a chunk lies in the gap: chunks say their number, and a chain that a gap divides
// goes on only if the number behind it is the next one.
type repairLog struct {
	r       *repair
	out     *wal.Log
	segment int64 // size of the new segments; 0 when there is no log
	chains  map[uint64]*repairChain
	gap     bool // there was one
	lost    []span
	// base says of keys in lost ranges what was found of them: a value, or additions alone.
	base map[string]bool
}

// repairChain is what is known of a chain of chunks.
type repairChain struct {
	next   uint64 // number of the next chunk; 0: chunks without numbers, of an earlier release
	broken bool   // a chunk is missing, or may be
	paused bool   // a gap came: the next record of the chain must be a chunk with the right number
	rest   []byte // of a write that is cut
	keys   []versions.Write
	bad    error
}

// copyLog makes the new log.
func (r *repair) copyLog() (err error) {
	c := &r.log
	c.r, c.chains, c.base = r, map[uint64]*repairChain{}, map[string]bool{}
	for _, l := range r.report.Lost {
		if l.data && (l.Records != 0 || l.Outdated > 0) {
			c.lost = append(c.lost, span{l.low, l.high})
		}
	}
	meta, _ := r.salvage.Meta()
	id, _ := r.salvage.ID()
	in := wal.Options{FS: r.o.FS, Dir: r.src + logSuffix, DatabaseID: wal.DatabaseID(id)}
	if c.out, err = r.newLog(&in); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.out.Close()) }()
	found, err := wal.Salvage(in, wal.LSN(meta.LogLSN), c.record, c.skip)
	if err != nil {
		return r.db.openError(err)
	}
	r.report.LogRecords = found.Records
	for _, g := range found.Gaps {
		r.report.Lost = append(r.report.Lost, RepairLoss{
			File: g.File, LSN: uint64(g.From), Offset: g.Offset, Records: -1,
			What: fmt.Sprintf("%s; the log is lost from position %d to %d", g.Reason, g.From, g.To),
		})
	}
	return nil
}

// newLog makes a log whose records may be as long as those of the old one.
func (r *repair) newLog(in *wal.Options) (*wal.Log, error) {
	s, err := pagestore.Open(r.part, pagestore.Options{FS: r.o.FS, ReadOnly: true, CacheBytes: 1 << 20})
	if err != nil {
		return nil, err
	}
	id := wal.DatabaseID(s.ID())
	if err := s.Close(); err != nil {
		return nil, err
	}
	size, err := wal.LargestSegment(*in)
	if err != nil {
		return nil, r.db.openError(err)
	}
	r.log.segment = max(size, r.o.SegmentSize)
	log, _, err := wal.Open(wal.Options{
		FS: r.o.FS, Dir: r.part + logSuffix, DatabaseID: id, SegmentSize: r.log.segment, Logger: r.o.Logger,
	}, 0, nil)
	return log, err
}

// skip notes a gap. Chains that are open at it go on only with the chunk that comes next.
func (c *repairLog) skip(wal.Gap) error {
	c.gap = true
	for _, ch := range c.chains {
		ch.paused = true
		ch.broken = ch.broken || ch.next == 0
	}
	return nil
}

// record copies one record of the old log.
func (c *repairLog) record(rec wal.Record) error {
	if c.r.ctx.Err() != nil {
		return c.r.ctx.Err()
	}
	id, n := binary.Uvarint(rec.Payload)
	if n <= 0 || rec.Kind != recordChunk && rec.Kind != recordCommit {
		c.refuse(rec, cerrors.Newf("a record of kind %d with %d bytes makes no sense", rec.Kind, len(rec.Payload)))
		return nil
	}
	piece := rec.Payload[n:]
	if rec.Kind == recordChunk {
		c.chunk(rec, id, piece)
		return c.copy(rec)
	}
	ch := c.chains[id]
	delete(c.chains, id)
	if Timestamp(rec.Timestamp) <= c.r.base {
		return nil
	}
	switch {
	case id == 0:
		ch = &repairChain{}
	case ch == nil && c.gap:
		ch = &repairChain{broken: true} // its chunks may lie in the gap
	case ch == nil:
		ch = &repairChain{} // all of it is in this record
	}
	ch.take(c, piece)
	switch {
	case ch.broken || ch.paused:
		c.refuse(rec, cerrors.New("a commit of several records, of which one may be lost"))
		return nil
	case ch.bad != nil:
		c.refuse(rec, ch.bad)
		return nil
	case len(ch.rest) > 0:
		c.refuse(rec, cerrors.Newf("%d bytes at its end are not a write", len(ch.rest)))
		return nil
	}
	c.commit(ch.keys)
	return c.copy(rec)
}

// chunk takes a piece of a large commit.
func (c *repairLog) chunk(rec wal.Record, id uint64, piece []byte) {
	ch := c.chains[id]
	number := rec.Timestamp
	if ch == nil {
		// The first chunk is the first one if it says so, or if nothing before it is lost. Otherwise the log may begin in the
		// middle of a chain whose commit the trees have: then nobody asks for it.
		ch = &repairChain{next: number, broken: number > 1 || number == 0 && c.gap}
		c.chains[id] = ch
	}
	if ch.next != number {
		ch.broken = true
	}
	ch.paused = false
	if number > 0 {
		ch.next = number + 1
	}
	ch.take(c, piece)
}

// take looks at the writes in a piece.
func (ch *repairChain) take(c *repairLog, piece []byte) {
	if ch.broken || ch.bad != nil {
		ch.rest = nil
		return
	}
	b := append(ch.rest, piece...)
	for {
		w, after, ok, err := cutWrite(b)
		if err != nil {
			ch.bad, ch.rest = err, nil
			return
		}
		if !ok {
			break
		}
		b = after
		if len(w.Key) < prefixSize {
			ch.bad = cerrors.Newf("a key of %d bytes has no keyspace", len(w.Key))
			return
		}
		c.r.ids[binary.BigEndian.Uint32(w.Key)] = true
		if c.isLost(w.Key) {
			ch.keys = append(ch.keys, versions.Write{Key: bytes.Clone(w.Key), Kind: w.Kind})
		}
	}
	ch.rest = slices.Clone(b)
}

func (c *repairLog) isLost(key []byte) bool {
	return slices.ContainsFunc(c.lost, func(s span) bool { return s.contains(key) })
}

// commit notes what a commit does to keys in lost ranges.
func (c *repairLog) commit(writes []versions.Write) {
	for _, w := range writes {
		if w.Kind != kindAdd {
			c.base[string(w.Key)] = true
		} else if _, known := c.base[string(w.Key)]; !known {
			c.base[string(w.Key)] = false
		}
	}
}

// baseless returns the counters in lost ranges of which only additions were found.
func (c *repairLog) baseless() (keys [][]byte) {
	for key, known := range c.base {
		if !known {
			keys = append(keys, []byte(key))
		}
	}
	return keys
}

// copy appends a record to the new log.
func (c *repairLog) copy(rec wal.Record) error {
	if err := c.out.Admit(c.r.ctx, len(rec.Payload)); err != nil {
		return err
	}
	_, err := c.out.Append(rec.Kind, rec.Timestamp, rec.Payload)
	return err
}

// refuse lists a record that cannot be saved.
func (c *repairLog) refuse(rec wal.Record, why error) {
	c.r.report.Lost = append(c.r.report.Lost, RepairLoss{
		File: c.r.src + logSuffix, LSN: uint64(rec.LSN), Records: -1,
		What: fmt.Sprintf("commit %d in the log: %v", rec.Timestamp, why),
	})
}
