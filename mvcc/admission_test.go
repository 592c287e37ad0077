package mvcc

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// While a checkpoint goes on, commits may use as much of the room as it has done of its work; none of them waits for
// its end.
func TestCommitsKeepPaceWithTheCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		set(t, db, ks, "a", "1")
		c := &db.checkpoints
		c.run.Lock() // this test is the checkpoint
		db.freeze()
		c.pace.begin(100)
		hard := db.budget().hard
		done := make(chan int, 1)
		go func() {
			for i := 0; db.state.Load().active.Bytes() < hard*6/10; i++ {
				set(t, db, ks, fmt.Sprint("fill", i), string(make([]byte, 4000)))
			}
			done <- 1
		}()
		for merged := int64(0); merged <= 70; merged += 10 {
			c.pace.merged.Store(merged)
			time.Sleep(time.Second)
			synctest.Wait()
			used, room := db.state.Load().active.Bytes(), db.room(db.budget())
			if used > room+5000 || used < room-10_000 { // one commit more or less
				t.Errorf("with %d %% merged, %d of %d bytes are used", merged, used, room)
			}
		}
		c.pace.merged.Store(80)
		<-done
		c.run.Unlock()
		if d := db.Metrics().AdmissionDelay; d < 6*time.Second {
			t.Errorf("the delay was %v", d)
		}
	})
}

// The part after the merge is told by the clock; a checkpoint that fails holds nobody back below the hard limit.
func TestPaceAfterTheMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		p.lastTail.Store(int64(time.Second))
		p.begin(10)
		p.merged.Store(10)
		if got := p.done(); got != mergePart {
			t.Errorf("at the end of the merge: %v", got)
		}
		p.endMerge()
		time.Sleep(500 * time.Millisecond)
		if got := p.done(); got != 0.9 {
			t.Errorf("half a second behind the merge: %v", got)
		}
		time.Sleep(2 * time.Second)
		if got := p.done(); got != 1 {
			t.Errorf("late: %v", got)
		}
		p.end()
		if got := time.Duration(p.lastTail.Load()); got != 2500*time.Millisecond {
			t.Errorf("the tail took %v", got)
		}
	})
}

// Who has seen a frozen table and then waits does not miss the checkpoint that ended in between.
func TestAWaitForACheckpointDoesNotMissOneThatHasJustEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openOn(t, newMem(t))
		defer db.Close()
		ks := keyspace(t, db, "k")
		set(t, db, ks, "a", "1")
		ticket := db.checkpoints.ticket()
		checkpoint(t, db)
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		must(t, db.awaitCheckpoint(ctx, ticket))
	})
}
