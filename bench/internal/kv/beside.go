package kv

import (
	"context"
	"errors"
	"sync"
	"time"
)

// WhileWriting calls fn while one overwriter for each session writes durably, and returns what these committed meanwhile.
// fn's context ends when one fails. Readers must not be used after it that do not expect version 0 (K2).
func WhileWriting(ctx context.Context, writers []Session, d *Dataset, seed uint64, fn func(context.Context) error) (commits int64, took time.Duration, err error) {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	each, failed := make([]int64, len(writers)), make([]error, len(writers)+1)
	var group sync.WaitGroup
	begin := time.Now()
	for w, session := range writers {
		group.Go(func() {
			if each[w], failed[w] = Overwrite(writing, session, d, seed<<8|uint64(w)); failed[w] != nil {
				stop()
			}
		})
	}
	failed[len(writers)] = fn(writing)
	stop()
	group.Wait()
	took = time.Since(begin)
	err = errors.Join(failed...)
	for _, n := range each {
		commits += n
	}
	return commits, took, err
}

// Wait returns when the time is over, or the context ended.
func Wait(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}
