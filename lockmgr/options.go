package lockmgr

import (
	"strconv"
	"time"

	"github.com/sombradb/sombra/deadlock"
)

// Defaults of Options.
const (
	DefaultGrace = 2 * time.Millisecond
	DefaultSweep = 100 * time.Millisecond
)

// Options configures a table; the zero value is fine.
type Options struct {
	// Grace is the waiting time before a waiter asks for deadlock detection unless it
	// sees a circle itself, and the pause between two detections. 0 or less means 2 ms. Shorter finds
	// deadlocks sooner and spends more on waits that would have ended by themselves.
	Grace time.Duration
	// Sweep is the period of the backstop detection while anybody waits. 0 or
	// less means 100 ms.
	Sweep time.Duration
	// Describe renders a key for reports and errors; nil prints it quoted. It is
	// called without locks, from any goroutine, and must not call the table.
	Describe func(key []byte) string
	// OnDeadlock is called once for each resolved deadlock, after the victim was
	// chosen and woken. The detector calls it without locks and waits for it, so it
	// must neither block nor call Close.
	OnDeadlock func(*deadlock.Error)
}

func (o Options) withDefaults() Options {
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Sweep <= 0 {
		o.Sweep = DefaultSweep
	}
	if o.Describe == nil {
		o.Describe = quoted
	}
	return o
}

// maxQuotedKey bounds how much of a key is printed, in bytes.
const maxQuotedKey = 64

func quoted(key []byte) string {
	if len(key) > maxQuotedKey {
		return strconv.Quote(string(key[:maxQuotedKey])) + "..."
	}
	return strconv.Quote(string(key))
}

// OwnerInfo describes a lock owner (a transaction). Reports show it; the choice
// of a deadlock's victim looks at Priority, Retries, Work and Began.
type OwnerInfo struct {
	ID        uint64
	Label     string
	Isolation string
	Began     time.Time // zero means now
	Priority  int       // the lowest of a cycle is ended
	Retries   int       // how often it was ended before; the fewest of a cycle is ended
	// Work returns the bytes written so far; may be nil. It is called from other
	// goroutines while the owner waits, and must not call the table.
	Work func() int64
}
