package kv

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// sessions opens a database with the dataset in it.
func sessions(t *testing.T, d *Dataset, n int) []Session {
	t.Helper()
	db, err := mvcc.Open(filepath.Join(t.TempDir(), "kv.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	ks, err := db.Load(t.Context(), "kv", func(l *mvcc.Loader) error {
		for key, value := range d.Records(true) {
			if err := l.Put(key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	list := make([]Session, n)
	for i := range list {
		list[i] = NewSombra(db, ks, nil)
	}
	return list
}

func content(t *testing.T, s Session) (records int, sum gen.Checksum) {
	t.Helper()
	err := s.View(t.Context(), func(tx Tx) error {
		records, sum = 0, 0
		return tx.Scan(nil, 0, func(key, value []byte) {
			records++
			sum.Add(key, value)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, sum
}

func TestADatasetIsInTheOrderOfItsKeys(t *testing.T) {
	d := NewDataset(500, 30)
	var last []byte
	var sum gen.Checksum
	at := 0
	for key, value := range d.Records(true) {
		if bytes.Compare(key, last) <= 0 || !bytes.Equal(key, gen.AppendKey(nil, d.Number(at))) {
			t.Fatalf("record %d has the key %x behind %x", at, key, last)
		}
		last = append(last[:0], key...)
		sum.Add(key, value)
		at++
	}
	if at != 500 || sum != d.Sum {
		t.Errorf("%d records with checksum %v, want 500 with %v", at, sum, d.Sum)
	}
	for range d.Records(false) {
		break // an iteration may end early
	}
}

func TestOverwritersLeaveEveryRecordAsItWas(t *testing.T) {
	d := NewDataset(20, 16) // so few that they meet
	all := sessions(t, d, 4)
	commits, took, err := WhileWriting(t.Context(), all[1:], d, 1, func(ctx context.Context) error {
		_, err := NewReader(all[0], d, 5, true).Read(ctx, 5000)
		return err
	})
	if err != nil || took <= 0 || commits%2 != 0 { // each writer ends with a second version
		t.Errorf("%d commits in %v, %v", commits, took, err)
	}
	if records, sum := content(t, all[0]); records != 20 || sum != d.Sum {
		t.Errorf("%d records with checksum %v, want 20 with %v", records, sum, d.Sum)
	}
}

func TestTheErrorOfAWriterEndsTheOthersAndTheFunction(t *testing.T) {
	d := NewDataset(20, 16)
	all := sessions(t, d, 1)
	broken := errors.New("broken")
	_, _, err := WhileWriting(t.Context(), []Session{all[0], failing{broken}}, d, 1, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

// failing is a session whose updates fail.
type failing struct{ err error }

func (f failing) Update(context.Context, func(Tx) error) (int, error) { return 0, f.err }
func (f failing) View(context.Context, func(Tx) error) error          { return f.err }

func TestARangeHasTheKeysThatFollow(t *testing.T) {
	d := NewDataset(50, 16)
	s := sessions(t, d, 1)[0]
	for n := range uint64(20) {
		var got, want QuickSum
		if err := Range(t.Context(), s, n, 10, &got); err != nil {
			t.Fatal(err)
		}
		from := gen.AppendKey(nil, n)[:8] // a key begins with its number mixed, as a range does
		for key, value := range d.Records(true) {
			if bytes.Compare(key, from) >= 0 && want.Keys < 10 {
				want.Add(key, value)
			}
		}
		if got != want {
			t.Errorf("range %d is %+v, want %+v", n, got, want)
		}
	}
}
