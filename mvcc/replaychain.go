package mvcc

import (
	"errors"
	"slices"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// replayChain collects the chunks of a large commit. They are kept as they are until they are many; from then on the
// writes in them, which are in key order, go to a run. A database that is opened read-only has no place for runs.
//
// The log may begin in the middle of a chain whose commit the trees have already. So that the chunks make no sense is
// an error only if a commit asks for them.
type replayChain struct {
	db   *DB
	rest []byte // not yet in the run
	w    *runs.Writer
	sums []versions.Write // additions, which come after all else
	err  error            // why the chunks cannot be used
	bad  bool             // because they make no sense
}

// add takes the next chunk.
func (c *replayChain) add(piece []byte) {
	if c.err != nil {
		return
	}
	c.rest = append(c.rest, piece...)
	if c.db.runs == nil || c.w == nil && int64(len(c.rest)) < c.db.budget().writes/2 {
		return
	}
	if c.err = c.spill(); c.err != nil {
		c.rest = nil
	}
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
			c.bad = true
			return err
		}
		if !ok {
			break
		}
		b = after
		if w.Kind == kindAdd {
			c.sums = append(c.sums, versions.Write{Key: slices.Clone(w.Key), Value: slices.Clone(w.Value), Kind: w.Kind})
		} else if err := c.w.Add(w); err != nil {
			c.bad = errors.Is(err, runs.ErrOrder)
			return err
		}
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

// finish takes the last piece. It returns the encoded writes, or the run of them and the additions that it has no place for.
func (c *replayChain) finish(piece []byte) (writes []byte, sums []versions.Write, large *runs.Run, err error) {
	if c.err != nil {
		return nil, nil, nil, c.err
	}
	c.rest = append(c.rest, piece...)
	if c.w == nil {
		return c.rest, nil, nil, nil
	}
	if err := c.spill(); err != nil {
		return nil, nil, nil, err
	}
	if len(c.rest) > 0 {
		c.bad = true
		return nil, nil, nil, cerrors.Newf("%d bytes at the end of its chain are not a write", len(c.rest))
	}
	large, err = c.w.Finish()
	return nil, c.sums, large, err
}

// drop gives the chain up; nil has nothing to give up.
func (c *replayChain) drop() {
	if c != nil && c.w != nil {
		c.w.Abort()
	}
}
