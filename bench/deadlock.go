package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// DeadlockConfig configures the deadlock workload: rings of transactions, each
// of which holds a key and asks for the next one's.
type DeadlockConfig struct {
	Common
	Sizes []int `json:"sizes"` // transactions in a ring, one row for each; default 2, 3
	Rings int64 `json:"rings"` // in each row; default 500
}

func (c DeadlockConfig) withDefaults() DeadlockConfig {
	if len(c.Sizes) == 0 {
		c.Sizes = []int{2, 3}
	}
	setDefault(&c.Rings, 500)
	return c
}

func (c *DeadlockConfig) validate() error {
	err := atLeast("Rings", c.Rings, 1)
	for _, size := range c.Sizes {
		err = errors.Join(err, atLeast("Sizes", size, 2))
	}
	return err
}

// DeadlockResult is the outcome of the deadlock workload.
type DeadlockResult struct {
	Workload    string         `json:"workload"`
	Environment Environment    `json:"environment"`
	Config      DeadlockConfig `json:"config"`
	Rows        []DeadlockRow  `json:"rows"`
}

// DeadlockRow is what happened to rings of one size.
type DeadlockRow struct {
	Size    int           `json:"size"` // transactions in a ring
	Rings   int64         `json:"rings"`
	Victims int64         `json:"victims"` // one in each ring
	Elapsed time.Duration `json:"elapsed_ns"`
	// Detection is the time from the request that closed a ring to the victim's error.
	Detection Latency `json:"detection"`
	// Checksum is the sum of what the others committed.
	Checksum Checksum `json:"checksum"`
}

// WriteText writes the result as a table.
func (r *DeadlockResult) WriteText(w io.Writer) error {
	t := newTable(w, "deadlock: from the request that closes the ring to the victim's error", r.Environment,
		"ring of", "rings", "victims", "s", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "checksum")
	for _, row := range r.Rows {
		d := row.Detection
		t.row(row.Size, Count(row.Rings), Count(row.Victims), seconds(row.Elapsed),
			micros(d.P50), micros(d.P99), micros(d.P999), micros(d.Max), row.Checksum)
	}
	return t.flush()
}

// Deadlock measures how long a deadlock lasts.
func Deadlock(ctx context.Context, cfg DeadlockConfig) (*DeadlockResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &DeadlockResult{Workload: "deadlock", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, size := range cfg.Sizes {
		cfg.note("deadlock: rings of %d", size)
		err := cfg.inScratch("deadlock", func(dir string) error {
			return withStore(ctx, dir, cfg.options(), func(s *store) error {
				row, err := s.deadlockRow(ctx, size, cfg.Rings)
				res.Rows = append(res.Rows, row)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

func (s *store) deadlockRow(ctx context.Context, size int, rings int64) (DeadlockRow, error) {
	row := DeadlockRow{Size: size, Rings: rings}
	before := s.db.Metrics().Deadlocks
	hist := drive.NewHistogram()
	start := time.Now()
	for n := range rings {
		victims, err := s.deadlockRing(ctx, size, hist)
		if err == nil {
			err = auditCount(fmt.Sprintf("victims of ring %d", n), victims, 1)
		}
		if err != nil {
			return row, err
		}
		row.Victims += victims
	}
	row.Elapsed = time.Since(start)
	row.Detection = hist.Latency()
	if err := auditCount("deadlocks that the database counted", s.db.Metrics().Deadlocks-before, rings); err != nil {
		return row, err
	}
	// Each member but the victim has counted up two keys.
	var err error
	row.Checksum, err = s.auditRingKeys(ctx, rings*int64(size-1)*2)
	return row, err
}

// ringMember is a transaction that holds a key of the ring and is about to ask for the next.
type ringMember struct {
	tx   *mvcc.Txn
	next []byte
}

// ringOutcome is a member's end: it committed, or has failed at a time.
type ringOutcome struct {
	at  time.Time
	err error
}

// deadlockRing builds a ring and lets it resolve. It returns the number of victims, and
// records how long the victim waited for its fate since the ring was closed.
func (s *store) deadlockRing(ctx context.Context, size int, hist *drive.Histogram) (victims int64, err error) {
	members := make([]ringMember, 0, size)
	defer func() {
		for _, m := range members {
			m.tx.Rollback()
		}
	}()
	for i := range size {
		tx, err := s.db.Begin(ctx, &mvcc.TxnOptions{Label: fmt.Sprintf("ring member %d", i)})
		if err != nil {
			return 0, err
		}
		members = append(members, ringMember{tx, ringKey((i + 1) % size)})
		if err := s.countUp(tx, ringKey(i)); err != nil {
			return 0, err
		}
	}
	outcomes := make(chan ringOutcome, size)
	for _, m := range members[1:] {
		go func() { outcomes <- s.finish(m) }()
	}
	s.awaitWaiters(size-1, outcomes)
	closed := time.Now()
	outcomes <- s.finish(members[0])
	return judge(outcomes, size, closed, hist)
}

// finish asks for the next key and commits. A transaction that lost makes room at once.
func (s *store) finish(m ringMember) ringOutcome {
	if err := s.countUp(m.tx, m.next); err != nil {
		at := time.Now()
		m.tx.Rollback()
		return ringOutcome{at, err}
	}
	return ringOutcome{err: m.tx.Commit()}
}

// judge waits for all members, and counts those that were ended to resolve the deadlock.
func judge(outcomes <-chan ringOutcome, size int, closed time.Time, hist *drive.Histogram) (victims int64, err error) {
	for range size {
		switch o := <-outcomes; {
		case errors.Is(o.err, mvcc.ErrDeadlock):
			victims++
			hist.Add(o.at.Sub(closed))
		default:
			err = errors.Join(err, o.err)
		}
	}
	return victims, err
}

// ringPoll is the time between two looks at the lock table.
const ringPoll = 20 * time.Microsecond

// awaitWaiters returns when n members wait for their locks, or one did not need to.
func (s *store) awaitWaiters(n int, outcomes <-chan ringOutcome) {
	for s.db.Metrics().Locks.Waiters < int64(n) && len(outcomes) == 0 {
		time.Sleep(ringPoll)
	}
}

func ringKey(i int) []byte { return gen.AppendKey(nil, uint64(i)) }

// countUp locks a key, and adds one to the number in it.
func (s *store) countUp(tx *mvcc.Txn, key []byte) error {
	value, err := tx.GetForUpdate(s.ks, key)
	switch {
	case errors.Is(err, mvcc.ErrNotFound):
		value = make([]byte, 8)
	case err != nil:
		return err
	}
	n, err := mvcc.DecodeInt64(value)
	if err != nil {
		return err
	}
	return tx.Put(s.ks, key, mvcc.EncodeInt64(n+1))
}

// auditRingKeys compares the sum of the numbers in all keys with what was acknowledged (B2).
func (s *store) auditRingKeys(ctx context.Context, want int64) (Checksum, error) {
	var total int64
	err := s.db.View(ctx, func(tx *mvcc.Txn) error {
		for item, err := range tx.Scan(s.ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			n, err := mvcc.DecodeInt64(item.Value)
			if err != nil {
				return err
			}
			total += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return Checksum(total), auditCount("increments by members that committed", total, want)
}
