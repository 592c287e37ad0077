package bench

import (
	"sync"
	"time"
)

// beside is work that goes on beside something else until it is stopped, or until some of it fails.
type beside struct {
	quit   chan struct{}
	failed chan struct{} // closed at the first error
	loops  sync.WaitGroup
	once   sync.Once
	err    error // written before failed is closed
}

func newBeside() *beside {
	return &beside{quit: make(chan struct{}), failed: make(chan struct{})}
}

// loop repeats a step in a goroutine, once in each period, or without a pause when every is 0.
func (b *beside) loop(every time.Duration, step func() error) {
	b.loops.Go(func() {
		var tick <-chan time.Time
		if every > 0 {
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			tick = ticker.C
		}
		for b.goesOn(tick) {
			if err := step(); err != nil {
				b.fail(err)
				return
			}
		}
	})
}

// goesOn waits for the next step, and reports whether there is one.
func (b *beside) goesOn(tick <-chan time.Time) bool {
	if tick != nil {
		select {
		case <-tick:
		case <-b.quit:
		case <-b.failed:
		}
	}
	select {
	case <-b.quit:
		return false
	case <-b.failed:
		return false
	default:
		return true
	}
}

func (b *beside) fail(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.failed)
	})
}

// stop ends the loops after their present step and returns the first error. Call it once.
func (b *beside) stop() error {
	close(b.quit)
	b.loops.Wait()
	return b.err
}
