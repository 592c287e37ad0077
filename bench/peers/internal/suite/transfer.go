package suite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

const (
	openingBalance = 1000
	transferTheta  = 0.99
)

var contendedWriters = []int{8, 32, 128}

func transferWorkload() workload {
	return workload{
		Info: Info{
			Name: "transfer", Title: "Transfers between accounts",
			About: "Each transaction reads two of 100,000 accounts, in the order of their keys and for update, and moves money from one to the other. " +
				"Accounts are drawn uniformly, or by zipf 0.99, which makes the most wanted one a party of every sixth transfer. " +
				"Afterwards every balance is compared with what the acknowledged transfers make of it.",
		},
		start: func(cfg Config, root string) (contest, error) { return newBank(cfg, root), nil },
	}
}

// bank is the contest of transfers.
type bank struct {
	field
	accounts int
	choices  []*gen.Zipf
	balances [][]int64 // by engine, what they must be; nil before the accounts were opened
}

func newBank(cfg Config, root string) *bank {
	n := cfg.size(100_000, 200)
	return &bank{
		field: newField(cfg, root), accounts: n, balances: make([][]int64, len(cfg.Engines)),
		choices: []*gen.Zipf{gen.NewZipf(int64(n), 0), gen.NewZipf(int64(n), transferTheta)},
	}
}

func (b *bank) turn(ctx context.Context, i, round int, emit func(Sample) error) error {
	if b.balances[i] == nil {
		if err := b.openAccounts(ctx, i); err != nil {
			return err
		}
	}
	for n, choice := range b.choices {
		for k, writers := range contendedWriters {
			series := (round*len(b.choices)+n)*len(contendedWriters) + k
			err := b.with(i, writers, func(a *arena) error {
				s, err := b.measure(ctx, a, b.balances[i], choice, series)
				if err != nil {
					return err
				}
				s.Case, s.Workers = choice.String(), writers
				return emit(s)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bank) openAccounts(ctx context.Context, i int) error {
	b.balances[i] = make([]int64, b.accounts)
	for n := range b.balances[i] {
		b.balances[i][n] = openingBalance
	}
	return b.with(i, 1, func(a *arena) error { return a.db.Load(ctx, records(b.balances[i]), false) })
}

func records(balances []int64) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		var key, value []byte
		for n, balance := range balances {
			key = gen.AppendKey(key[:0], uint64(n))
			value = binary.BigEndian.AppendUint64(value[:0], uint64(balance))
			if !yield(key, value) {
				return
			}
		}
	}
}

func (b *bank) measure(ctx context.Context, a *arena, balances []int64, choice *gen.Zipf, series int) (Sample, error) {
	tellers := make([]teller, len(a.sessions))
	for w := range tellers {
		tellers[w] = teller{session: a.sessions[w], choice: choice, accounts: uint64(b.accounts), base: (uint64(series)<<8 | uint64(w)) << 32}
		tellers[w].fn = tellers[w].transfer
	}
	r, err := a.closed(ctx, b.cfg.length(), func(ctx context.Context, w int, seq uint64) (drive.Did, error) {
		tellers[w].draw(seq)
		return drive.Attempts(tellers[w].session.Update(ctx, tellers[w].fn))
	})
	if err != nil {
		return Sample{}, err
	}
	s := figures.SampleOf(r, "transfers")
	for w, done := range r.Done {
		for seq := range done {
			t := &tellers[w]
			t.draw(seq)
			balances[t.from] -= t.amount
			balances[t.to] += t.amount
		}
	}
	s.Wrong, s.Lost, err = b.audit(ctx, a, balances)
	return s, err
}

// audit compares all balances. Those of an engine without isolation become what is expected from then on, so that the
// next measurement counts its own losses.
func (b *bank) audit(ctx context.Context, a *arena, balances []int64) (wrong, lost int64, err error) {
	seen := 0
	scanErr := a.scan(ctx, func(key, value []byte) {
		n := binary.BigEndian.Uint64(key[8:])
		got := int64(binary.BigEndian.Uint64(value))
		if got != balances[n] {
			wrong++
			lost += balances[n] - got
			balances[n] = got
		}
		seen++
	})
	switch {
	case scanErr != nil:
		return 0, 0, scanErr
	case seen != b.accounts:
		return 0, 0, fmt.Errorf("peers: %d accounts were read back, want %d", seen, b.accounts)
	case a.engine.Isolated && wrong > 0:
		return 0, 0, fmt.Errorf("peers: %d balances are not what the transfers make of them; %d is missing in their sum", wrong, lost)
	}
	return wrong, lost, nil
}

// teller makes one worker's transfers.
type teller struct {
	session  engine.Session
	choice   *gen.Zipf
	accounts uint64
	base     uint64
	from, to uint64
	amount   int64
	keys     [2][]byte
	values   [2][]byte
	fn       func(engine.Tx) error
}

// draw chooses the seq-th transfer.
func (t *teller) draw(seq uint64) {
	h1 := gen.Mix(t.base | seq)
	h2 := gen.Mix(h1)
	t.from, t.to = t.choice.Rank(gen.Unit(h1)), t.choice.Rank(gen.Unit(h2))
	if t.to == t.from {
		t.to = (t.from + 1) % t.accounts
	}
	t.amount = int64(1 + gen.Mix(h2)%100)
}

func (t *teller) transfer(tx engine.Tx) error {
	accounts, amounts := [2]uint64{t.from, t.to}, [2]int64{-t.amount, t.amount}
	for i, n := range accounts {
		t.keys[i] = gen.AppendKey(t.keys[i][:0], n)
	}
	if bytes.Compare(t.keys[0], t.keys[1]) > 0 {
		t.keys[0], t.keys[1] = t.keys[1], t.keys[0]
		amounts[0], amounts[1] = amounts[1], amounts[0]
	}
	for i, key := range t.keys {
		var err error
		if t.values[i], err = tx.GetForUpdate(t.values[i][:0], key); err != nil {
			return err
		}
		balance := int64(binary.BigEndian.Uint64(t.values[i])) + amounts[i]
		binary.BigEndian.PutUint64(t.values[i], uint64(balance))
	}
	for i, key := range t.keys {
		if err := tx.Put(key, t.values[i]); err != nil {
			return err
		}
	}
	return nil
}
