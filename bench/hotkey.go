package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// HotkeyConfig configures the hotkey and the counter workload: all writers change one key, durably.
type HotkeyConfig struct {
	Common
	Writers []int `json:"writers"` // concurrent writers, one row for each; default 1, 8, 32, 128
	// Limit ends each row; default 2 s.
	Limit Limit `json:"limit"`
}

func (c HotkeyConfig) withDefaults() HotkeyConfig {
	if len(c.Writers) == 0 {
		c.Writers = defaultWriters
	}
	c.Limit = orDuration(c.Limit, 2*time.Second)
	return c
}

func (c *HotkeyConfig) validate() error { return allPositive("Writers", c.Writers) }

// hotKind is a way to change one key.
type hotKind struct {
	name string
	body func(s *store, tx *mvcc.Txn, c *contender, op uint64) (Checksum, error)
	// audit compares the key's value with what was acknowledged.
	audit func(value []byte, row ContentionRow) error
}

// Hotkey measures reading, changing and writing one key: locked when it is
// read, and, to compare, locked when it is written, so that who loses begins anew. Both run at snapshot isolation.
func Hotkey(ctx context.Context, cfg HotkeyConfig) (*ContentionResult, error) {
	return hot(ctx, cfg, "hotkey", hotKind{"GetForUpdate + Put", (*store).incrementLocked, auditTally}, hotKind{"Get + Put", (*store).incrementPlain, auditTally})
}

// Counter measures additions to one counter, which do not exclude each other.
func Counter(ctx context.Context, cfg HotkeyConfig) (*ContentionResult, error) {
	return hot(ctx, cfg, "counter", hotKind{"Add", (*store).addOne, auditSum})
}

func hot(ctx context.Context, cfg HotkeyConfig, name string, kinds ...hotKind) (*ContentionResult, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &ContentionResult{Workload: name, Environment: NewEnvironment(cfg.Dir), Config: cfg}
	for _, kind := range kinds {
		for _, writers := range cfg.Writers {
			cfg.note("%s: %s, %d writers", name, kind.name, writers)
			err := cfg.inScratch(name, func(dir string) error {
				return withStore(ctx, dir, cfg.options(), func(s *store) error {
					row, err := s.hotRow(ctx, cfg, kind, writers)
					res.Rows = append(res.Rows, row)
					return err
				})
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

// hotKey is the key that all writers want.
var hotKey = []byte("hot")

func (s *store) hotRow(ctx context.Context, cfg HotkeyConfig, kind hotKind, writers int) (ContentionRow, error) {
	c := &contest[*mvcc.Txn]{
		kind: kind.name, writers: writers, limit: cfg.Limit,
		opts: &mvcc.TxnOptions{Label: "bench hot key"},
		db:   s.db, update: s.db.UpdateWith,
		body: func(tx *mvcc.Txn, c *contender, _ int, op uint64) (Checksum, error) {
			return kind.body(s, tx, c, op)
		},
	}
	row, err := c.run(ctx)
	if err != nil {
		return row, err
	}
	return row, s.db.View(ctx, func(tx *mvcc.Txn) error {
		value, err := tx.Get(s.ks, hotKey)
		if errors.Is(err, mvcc.ErrNotFound) && row.Done == 0 {
			return nil // the time was over before the first operation
		}
		if err != nil {
			return err
		}
		return kind.audit(value, row)
	})
}

// tally is the hot key's value: how many operations changed it, and the sum of their checksums.
type tally struct {
	count int64
	sum   Checksum
}

// tallySize is the length of an encoded tally in bytes.
const tallySize = 16

func (t tally) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, tallySize), uint64(t.count))
	return binary.BigEndian.AppendUint64(b, uint64(t.sum))
}

// decodeTally reads what encode wrote; nothing at all is a tally of nothing.
func decodeTally(b []byte) (tally, error) {
	switch len(b) {
	case 0:
		return tally{}, nil
	case tallySize:
		return tally{int64(binary.BigEndian.Uint64(b)), Checksum(binary.BigEndian.Uint64(b[8:]))}, nil
	}
	return tally{}, fmt.Errorf("bench: a tally of %d bytes was read back, want %d", len(b), tallySize)
}

func (s *store) incrementLocked(tx *mvcc.Txn, c *contender, op uint64) (Checksum, error) {
	return s.increment(tx, c, op, c.readLocked(tx))
}

func (s *store) incrementPlain(tx *mvcc.Txn, c *contender, op uint64) (Checksum, error) {
	return s.increment(tx, c, op, tx.Get)
}

func (s *store) increment(tx *mvcc.Txn, c *contender, op uint64, read func(*mvcc.Keyspace, []byte) ([]byte, error)) (Checksum, error) {
	value, err := read(s.ks, hotKey)
	if err != nil && !errors.Is(err, mvcc.ErrNotFound) {
		return 0, err
	}
	t, err := decodeTally(value)
	if err != nil {
		return 0, err
	}
	done := Checksum(gen.Mix(op))
	return done, c.put(tx, s.ks, hotKey, tally{t.count + 1, t.sum + done}.encode())
}

func auditTally(value []byte, row ContentionRow) error {
	t, err := decodeTally(value)
	if err != nil {
		return err
	}
	if t.count != row.Done || t.sum != row.Checksum {
		return &AuditError{Keys: t.count, WantKeys: row.Done, Sum: t.sum, WantSum: row.Checksum}
	}
	return nil
}

// addOne adds an amount that depends on the operation; the checksum is the sum of the amounts.
func (s *store) addOne(tx *mvcc.Txn, c *contender, op uint64) (Checksum, error) {
	amount := 1 + gen.Mix(op)%1000
	defer c.since(time.Now())
	return Checksum(amount), tx.Add(s.ks, hotKey, int64(amount))
}

func auditSum(value []byte, row ContentionRow) error {
	got, err := mvcc.DecodeInt64(value)
	if err != nil {
		return err
	}
	return auditCount("sum of the counter", got, int64(row.Checksum))
}
