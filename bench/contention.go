package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/mvcc"
)

// ContentionResult is the outcome of the workloads whose writers meet: transfer, hotkey, counter and hub.
type ContentionResult struct {
	Workload    string          `json:"workload"`
	Environment Environment     `json:"environment"`
	Config      any             `json:"config"`
	Rows        []ContentionRow `json:"rows"`
}

// ContentionRow is what a number of writers achieved against each other.
type ContentionRow struct {
	Kind      string        `json:"kind"` // how they meet
	Isolation string        `json:"isolation"`
	Writers   int           `json:"writers"`
	Ops       int64         `json:"ops"`      // committed and durable in the measured time
	Done      int64         `json:"done"`     // the same with the warm-up, as all but the rate and the latency
	Attempts  int64         `json:"attempts"` // of which Done succeeded
	Elapsed   time.Duration `json:"elapsed_ns"`
	// PerSecond is goodput: commits, not attempts.
	PerSecond float64 `json:"per_second"`
	AbortRate float64 `json:"abort_rate"` // share of the attempts that lost
	// MostAttempts is how often the least lucky transaction was run.
	MostAttempts int64 `json:"most_attempts"`
	// Latency is of a transaction: all of its attempts and the pauses between them.
	Latency Latency `json:"latency"`
	// Wait is the time of a transaction in calls that lock keys, all of its attempts together,
	// also when the locks were free.
	Wait Latency `json:"wait"`
	// GroupSize is the mean number of log records made durable by one sync.
	GroupSize float64 `json:"group_size"`
	Conflicts int64   `json:"conflicts"` // failed validations and first-updater checks
	Deadlocks int64   `json:"deadlocks"`
	Refreshes int64   `json:"refreshes"` // snapshots that moved forward instead of a conflict
	Protected int64   `json:"protected"` // attempts that others had to wait for, after three that lost
	// Checksum of what was committed.
	Checksum Checksum `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *ContentionResult) WriteText(w io.Writer) error {
	t := newTable(w, r.Workload, r.Environment,
		"kind", "isolation", "writers", "commits", "commits/s", "attempts", "aborted %", "most attempts", "p50 µs", "p99 µs",
		"wait p99 µs", "ops/sync", "deadlocks", "moved", "protected", "checksum")
	for _, row := range r.Rows {
		t.row(row.Kind, row.Isolation, row.Writers, Count(row.Done), rate(row.PerSecond), Count(row.Attempts),
			fmt.Sprintf("%.1f", 100*row.AbortRate), row.MostAttempts, micros(row.Latency.P50), micros(row.Latency.P99),
			micros(row.Wait.P99), fmt.Sprintf("%.1f", row.GroupSize), row.Deadlocks, Count(row.Refreshes), Count(row.Protected), row.Checksum)
	}
	return t.flush()
}

// isolationLevels in the order of strength.
var isolationLevels = [...]mvcc.Isolation{mvcc.ReadCommitted, mvcc.Snapshot, mvcc.Serializable}

// contendedWriters are the numbers of writers of workloads in which one writer meets nobody.
var contendedWriters = []int{8, 32, 128}

// contender is one of the writers, and what it did beside committing.
type contender struct {
	ops, attempts, most int64
	waited              time.Duration // of the present transaction, in calls that lock
	waits               *drive.Histogram
}

// since adds a call that locks to the present transaction's waiting time.
func (c *contender) since(start time.Time) { c.waited += time.Since(start) }

// ended counts a transaction that committed.
func (c *contender) ended(attempts int64) {
	c.ops++
	c.attempts += attempts
	c.most = max(c.most, attempts)
	c.waits.Add(c.waited)
}

// opNumber numbers the operations of all workers: everything that an operation does follows from it (B4).
func opNumber(worker int, seq uint64) uint64 { return uint64(worker)<<40 | seq }

// contest is a row's measurement. T is the transaction's type, mvcc's or graph's.
type contest[T any] struct {
	kind    string
	writers int
	limit   Limit
	opts    *mvcc.TxnOptions
	db      *mvcc.DB
	update  func(context.Context, *mvcc.TxnOptions, func(T) error) error
	// body is one attempt of an operation; it returns the operation's checksum.
	body func(tx T, c *contender, worker int, op uint64) (Checksum, error)

	contenders []contender
}

// run measures. Afterwards contenders tell what each writer did.
func (c *contest[T]) run(ctx context.Context) (ContentionRow, error) {
	c.contenders = make([]contender, c.writers)
	for i := range c.contenders {
		c.contenders[i].waits = drive.NewHistogram()
	}
	before := c.db.Metrics()
	m, err := closed(ctx, c.writers, c.limit, c.work)
	if err != nil {
		return ContentionRow{}, err
	}
	return c.row(m, before, c.db.Metrics()), nil
}

func (c *contest[T]) work(ctx context.Context, worker int, seq uint64) (sum Checksum, err error) {
	me := &c.contenders[worker]
	me.waited = 0
	attempts := int64(0)
	err = c.update(ctx, c.opts, func(tx T) (err error) {
		attempts++
		sum, err = c.body(tx, me, worker, opNumber(worker, seq))
		return err
	})
	if err == nil {
		me.ended(attempts)
	}
	return sum, err
}

func (c *contest[T]) row(m drive.Result, before, after mvcc.Metrics) ContentionRow {
	row := ContentionRow{
		Kind: c.kind, Isolation: c.opts.Isolation.String(), Writers: c.writers,
		Ops: m.Ops, Done: m.All(), Elapsed: m.Elapsed, PerSecond: m.PerSecond(), Latency: m.Latency(),
		GroupSize: per(float64(after.Log.SyncedRecords-before.Log.SyncedRecords), float64(after.Log.Syncs-before.Log.Syncs)),
		Conflicts: after.WriteConflicts + after.ReadConflicts - before.WriteConflicts - before.ReadConflicts,
		Deadlocks: after.Deadlocks - before.Deadlocks,
		Refreshes: after.Refreshes - before.Refreshes,
		Protected: after.Protected - before.Protected,
		Checksum:  m.Sum,
	}
	waits := drive.NewHistogram()
	for i := range c.contenders {
		row.Attempts += c.contenders[i].attempts
		row.MostAttempts = max(row.MostAttempts, c.contenders[i].most)
		waits.Merge(c.contenders[i].waits)
	}
	row.Wait = waits.Latency()
	row.AbortRate = per(float64(row.Attempts-row.Done), float64(row.Attempts))
	return row
}

// CountError reports that something was not as often there as it must be: the
// figures mean nothing, and the engine has a fault.
type CountError struct {
	What      string
	Got, Want int64
}

func (e *CountError) Error() string {
	return fmt.Sprintf("bench: audit failed: %s: %d, want %d", e.What, e.Got, e.Want)
}

// auditCount compares a number that was found with what was acknowledged (B2).
func auditCount(what string, got, want int64) error {
	if got != want {
		return &CountError{What: what, Got: got, Want: want}
	}
	return nil
}
