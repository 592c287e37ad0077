package mvcc

import (
	"slices"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// replayChain collects the chunks of a large commit. They are kept as they are until they are many; from then on the
// writes in them, which are in key order, go to a run. A database that is opened read-only has no place for runs.
type replayChain struct {
	db   *DB
	rest []byte // not yet in the run
	w    *runs.Writer
	sums []versions.Write // additions, which come after all else
}

// add takes the next chunk.
func (c *replayChain) add(piece []byte) error {
	c.rest = append(c.rest, piece...)
	if c.db.runs == nil || c.w == nil && int64(len(c.rest)) < c.db.budget().writes/2 {
		return nil
	}
	return c.spill()
}

// spill moves the whole writes at the front of rest to the run.
func (c *replayChain) spill() (err error) {
	if c.w == nil {
		if c.w, err = c.db.runs.Create(c.db.runOptions()); err != nil {
			return err
		}
	}
	b := c.rest
	for {
		w, after, ok, err := cutWrite(b)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		b = after
		if w.Kind == kindAdd {
			c.sums = append(c.sums, versions.Write{Key: slices.Clone(w.Key), Value: slices.Clone(w.Value), Kind: w.Kind})
		} else if err := c.w.Add(w); err != nil {
			return err
		}
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

// finish takes the last piece. It returns what goes to the table, and the run of the rest if there is one.
func (c *replayChain) finish(piece []byte) (writes []versions.Write, large *runs.Run, err error) {
	c.rest = append(c.rest, piece...)
	if c.w == nil {
		writes, err = decodeWrites(c.rest)
		return writes, nil, err
	}
	if err := c.spill(); err != nil {
		return nil, nil, err
	}
	if len(c.rest) > 0 {
		return nil, nil, cerrors.Newf("%d bytes at the end of its chain are not a write", len(c.rest))
	}
	large, err = c.w.Finish()
	return c.sums, large, err
}

// drop gives the chain up; nil has nothing to give up.
func (c *replayChain) drop() {
	if c != nil && c.w != nil {
		c.w.Abort()
	}
}
