package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// DemoContention is what happened when writers were made to fight.
type DemoContention struct {
	// Likes are increments of one person's counter by all writers at once.
	Likes   int64 `json:"likes"`
	Counted int64 `json:"counted"` // by the counter afterwards
	// Conflicts are the attempts that lost and were repeated.
	Conflicts int64 `json:"conflicts"`
	// Rings are groups of transactions that locked people in a circle.
	Rings     int   `json:"rings"`
	Deadlocks int64 `json:"deadlocks"` // resolved
	// Report is the engine's report of the last ring.
	Report string `json:"report"`
}

// likesPerWriter is the number of increments by each writer.
const likesPerWriter = 25

// rings are the sizes of the deadlocks.
var rings = [...]int{2, 2, 2, 2, 3}

// contend makes conflicts, then deadlocks, and sees that neither lost a write.
func (r *demoRun) contend(ctx context.Context) error {
	c := &r.res.Contention
	if err := r.likes(ctx, c); err != nil {
		return err
	}
	before := r.db.Store().Metrics().Deadlocks
	for i, size := range rings {
		r.progress("deadlocks", int64(i), int64(len(rings)))
		report, err := r.ring(ctx, i, size)
		if err != nil {
			return err
		}
		c.Rings++
		c.Report = report
	}
	c.Deadlocks = r.db.Store().Metrics().Deadlocks - before
	return nil
}

// likes has all writers count up one property: read, add one, write.
func (r *demoRun) likes(ctx context.Context, c *DemoContention) error {
	before := r.db.Store().Metrics()
	star := r.ids[0]
	m, err := r.drive(ctx, "conflicts", r.cfg.Writers*likesPerWriter, func(ctx context.Context, _ int) error {
		return r.update(ctx, func(tx *graph.Txn) error { return addLike(tx, star) })
	})
	if err != nil {
		return err
	}
	after := r.db.Store().Metrics()
	c.Likes = m.All()
	c.Conflicts = after.WriteConflicts + after.ReadConflicts - before.WriteConflicts - before.ReadConflicts
	c.Counted, err = r.countLikes(ctx, star)
	if err == nil && c.Counted != c.Likes {
		err = fmt.Errorf("bench: %d increments were acknowledged, the counter says %d: updates were lost", c.Likes, c.Counted)
	}
	return err
}

func addLike(tx *graph.Txn, id graph.NodeID) error {
	n, err := tx.Node(id)
	if err != nil {
		return err
	}
	likes, _ := n.Props["likes"].AsInt()
	return tx.SetProperty(id, "likes", graph.Int(likes+1))
}

func (r *demoRun) countLikes(ctx context.Context, id graph.NodeID) (likes int64, err error) {
	err = r.db.View(ctx, func(tx *graph.Txn) error {
		n, err := tx.Node(id)
		likes, _ = n.Props["likes"].AsInt()
		return err
	})
	return likes, err
}

// ring runs size transactions, of which each locks one person, waits until all
// have, and then wants the next one's. One has to give way and is run again, as
// Update does; in the end all have committed. It returns the engine's report.
func (r *demoRun) ring(ctx context.Context, number, size int) (report string, err error) {
	before := r.db.Store().Metrics().Deadlocks
	var locked, ended sync.WaitGroup
	locked.Add(size)
	errs := make([]error, size)
	for i := range size {
		// People of the ring are apart from those of other rings.
		mine, next := r.ids[1+number*10+i], r.ids[1+number*10+(i+1)%size]
		ended.Go(func() { errs[i] = r.lockBoth(ctx, mine, next, &locked) })
	}
	ended.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	reports := r.db.Store().Deadlocks()
	if r.db.Store().Metrics().Deadlocks == before || len(reports) == 0 {
		return "", fmt.Errorf("bench: %d transactions locked each other out and no deadlock was reported", size)
	}
	return reports[0].Error(), nil
}

// lockBoth writes to mine, waits for the others to have done the same, and writes to next.
func (r *demoRun) lockBoth(ctx context.Context, mine, next graph.NodeID, locked *sync.WaitGroup) error {
	var once sync.Once
	arrive := func() { once.Do(locked.Done) }
	defer arrive() // so that a failure does not leave the others waiting
	label := fmt.Sprintf("rename %d and %d", mine, next)
	opts := &mvcc.TxnOptions{Label: label, Isolation: mvcc.Serializable}
	return r.db.UpdateWith(ctx, opts, func(tx *graph.Txn) error {
		if err := tx.SetProperty(mine, "renamed", graph.String(label)); err != nil {
			return err
		}
		arrive()
		locked.Wait()
		return tx.SetProperty(next, "renamed", graph.String(label))
	})
}
