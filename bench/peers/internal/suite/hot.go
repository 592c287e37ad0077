package suite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

func hotkeyWorkload() workload {
	return workload{
		Info: Info{
			Name: "hotkey", Title: "One key that everybody changes",
			About: "Each transaction reads one key for update, adds one and writes it. Afterwards the key is compared with the number " +
				"of acknowledged transactions. The device syncs once for each record.",
		},
		start: func(cfg Config, root string) (contest, error) {
			return newHot(cfg, root, "increments", increment, readIncrements), nil
		},
	}
}

func counterWorkload() workload {
	return workload{
		Info: Info{
			Name: "counter", Title: "One counter that everybody adds to",
			About: "Each transaction adds a small number to one counter: Sombra with Txn.Add, Pebble with a merge operator, SQLite with " +
				"one UPDATE statement, the others by reading and writing. Afterwards the sum is compared. The device syncs once for each record.",
		},
		start: func(cfg Config, root string) (contest, error) {
			return newHot(cfg, root, "additions", addition, engine.Session.Counter), nil
		},
	}
}

// hotKey is the key that all workers want.
var hotKey = []byte("hot")

// hot is the contest of changes of one key.
type hot struct {
	field
	unit string
	// change makes an operation of a worker; amount is what it adds.
	change func(s engine.Session) func(ctx context.Context, amount int64) (int, error)
	read   func(engine.Session, context.Context, []byte) (int64, error)
	want   []int64 // by engine
}

func newHot(cfg Config, root, unit string, change func(engine.Session) func(context.Context, int64) (int, error),
	read func(engine.Session, context.Context, []byte) (int64, error)) *hot {
	return &hot{field: newField(cfg, root), unit: unit, change: change, read: read, want: make([]int64, len(cfg.Engines))}
}

func (h *hot) names() []string { return append(h.field.names(), Device) }

func (h *hot) turn(ctx context.Context, i, _ int, emit func(Sample) error) error {
	if i == len(h.engines) {
		return h.device(ctx, h.unit, emit, 1) // in the same minutes: one change for each sync
	}
	for _, writers := range contendedWriters {
		err := h.with(i, writers, func(a *arena) error {
			s, err := h.measure(ctx, a, &h.want[i])
			if err != nil {
				return err
			}
			s.Workers = writers
			return emit(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *hot) measure(ctx context.Context, a *arena, want *int64) (Sample, error) {
	changes := make([]func(context.Context, int64) (int, error), len(a.sessions))
	for w, session := range a.sessions {
		changes[w] = h.change(session)
	}
	amount := func(w int, seq uint64) int64 { return int64(1 + gen.Mix(uint64(w)<<32|seq)%100) }
	r, err := a.closed(ctx, h.cfg.length(), func(ctx context.Context, w int, seq uint64) (drive.Did, error) {
		return drive.Attempts(changes[w](ctx, amount(w, seq)))
	})
	if err != nil {
		return Sample{}, err
	}
	for w, done := range r.Done {
		for seq := range done {
			*want += amount(w, seq)
		}
	}
	s := figures.SampleOf(r, h.unit)
	got, err := h.read(a.sessions[0], ctx, hotKey)
	if err != nil {
		return s, err
	}
	if s.Lost = *want - got; s.Lost != 0 {
		s.Wrong = 1
		*want = got // the next measurement counts its own losses
		if a.engine.Isolated {
			return s, fmt.Errorf("peers: the key holds %d, %d too little", got, s.Lost)
		}
	}
	return s, nil
}

// increment changes the key by reading and writing it.
func increment(s engine.Session) func(context.Context, int64) (int, error) {
	var amount int64
	var value []byte
	fn := func(tx engine.Tx) (err error) {
		value, err = tx.GetForUpdate(value[:0], hotKey)
		if errors.Is(err, engine.ErrNotFound) {
			value, err = make([]byte, 8), nil
		}
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(value, binary.BigEndian.Uint64(value)+uint64(amount))
		return tx.Put(hotKey, value)
	}
	return func(ctx context.Context, n int64) (int, error) {
		amount = n
		return s.Update(ctx, fn)
	}
}

func readIncrements(s engine.Session, ctx context.Context, key []byte) (sum int64, err error) {
	err = s.View(ctx, func(tx engine.Tx) error {
		value, err := tx.Get(nil, key)
		if err == nil {
			sum = int64(binary.BigEndian.Uint64(value))
		}
		return err
	})
	return sum, err
}

// addition changes the counter by the engine's best means.
func addition(s engine.Session) func(context.Context, int64) (int, error) {
	return func(ctx context.Context, n int64) (int, error) { return s.Add(ctx, hotKey, n) }
}
