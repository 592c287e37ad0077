package kit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/sombradb/sombra/fuzz/kit"
	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/mvcc"
)

// Accounts is a service as somebody might write it: each account holds the numbers of its bookings.
type Accounts struct {
	db       *mvcc.DB
	bookings *mvcc.Keyspace
}

func OpenAccounts(ctx context.Context, db *mvcc.DB) (*Accounts, error) {
	ks, err := db.Keyspace(ctx, "bookings")
	return &Accounts{db, ks}, err
}

// Book enters a booking into two accounts. It returns what was in them before.
func (a *Accounts) Book(ctx context.Context, from, to uint64, number uint64) (before [2][]uint64, err error) {
	err = a.db.UpdateWith(ctx, &mvcc.TxnOptions{Isolation: mvcc.Serializable}, func(tx *mvcc.Txn) error {
		for i, account := range []uint64{from, to} {
			if before[i], err = a.list(tx, account); err != nil {
				return err
			}
			all := append(before[i][:len(before[i]):len(before[i])], number)
			if err := tx.Put(a.bookings, binary.BigEndian.AppendUint64(nil, account), encode(all)); err != nil {
				return err
			}
		}
		return nil
	})
	return before, err
}

// Statement returns the bookings of two accounts at one moment.
func (a *Accounts) Statement(ctx context.Context, one, two uint64) (lists [2][]uint64, err error) {
	err = a.db.View(ctx, func(tx *mvcc.Txn) error {
		for i, account := range []uint64{one, two} {
			if lists[i], err = a.list(tx, account); err != nil {
				return err
			}
		}
		return nil
	})
	return lists, err
}

func (a *Accounts) list(tx *mvcc.Txn, account uint64) (all []uint64, err error) {
	b, err := tx.Get(a.bookings, binary.BigEndian.AppendUint64(nil, account))
	if errors.Is(err, mvcc.ErrNotFound) {
		return nil, nil
	}
	for ; len(b) >= 8; b = b[8:] {
		all = append(all, binary.BigEndian.Uint64(b))
	}
	return all, err
}

func encode(numbers []uint64) (b []byte) {
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// client books and reads, and records what it did and saw.
func client(ctx context.Context, a *Accounts, p *kit.Process) error {
	random := rand.New(rand.NewPCG(1, uint64(p.Number())))
	for i := range 100 {
		one := random.Uint64N(5)
		two := (one + 1 + random.Uint64N(4)) % 5
		p.Begin(kit.Serializable)
		var seen [2][]uint64
		var err error
		if number := uint64(p.Number()*1000 + i); i%3 > 0 {
			seen, err = a.Book(ctx, one, two, number)
			p.Read(kit.Key(one), values(seen[0]))
			p.Append(kit.Key(one), kit.Value(number))
			p.Read(kit.Key(two), values(seen[1]))
			p.Append(kit.Key(two), kit.Value(number))
		} else {
			seen, err = a.Statement(ctx, one, two)
			p.Read(kit.Key(one), values(seen[0]))
			p.Read(kit.Key(two), values(seen[1]))
		}
		if err != nil {
			p.End(kit.Aborted)
			return err
		}
		p.End(kit.Committed)
	}
	return nil
}

func values(list []uint64) (all []kit.Value) {
	for _, n := range list {
		all = append(all, kit.Value(n))
	}
	return all
}

// Is a service serializable for those who use it? Four clients use it at the same time and record what they see; the checker
// looks for a serial order that explains it, in which also everybody sees what had ended before.
func Example_accounts() {
	db, done := open()
	defer done()
	ctx := context.Background()
	accounts, err := OpenAccounts(ctx, db)
	if err != nil {
		log.Fatal(err)
	}

	recorder := kit.NewRecorder()
	var clients sync.WaitGroup
	for range 4 {
		p := recorder.Process()
		clients.Go(func() {
			if err := client(ctx, accounts, p); err != nil {
				log.Print(err)
			}
		})
	}
	clients.Wait()

	history, err := recorder.History()
	if err != nil {
		log.Fatal(err)
	}
	report := kit.Check(history, kit.Options{RealTime: true, Sessions: true})
	fmt.Println(report.Committed, "transactions, serializable:", report.OK())

	// What the checker says when two bookings did not see each other:
	report = kit.Check(kit.History{Txns: []kit.Txn{
		{Process: 0, Level: kit.Serializable, Status: kit.Committed, Ops: []kit.Op{kit.Read(1), kit.Append(2, 10)}},
		{Process: 1, Level: kit.Serializable, Status: kit.Committed, Ops: []kit.Op{kit.Read(2), kit.Append(1, 11)}},
		{Process: 2, Level: kit.Serializable, Status: kit.Committed, Ops: []kit.Op{kit.Read(1, 11), kit.Read(2, 10)}},
	}}, kit.Options{})
	fmt.Println(report.Anomalies[0].Text)

	// Output:
	// 400 transactions, serializable: true
	// T0 read key 1 as [] before T1 appended 11 to it; T1 read key 2 as [] before T0 appended 10 to it; so T0 would come before itself
}

// Map adapts a keyspace to kit.Store. A service adapts its own methods in the same way.
type Map struct {
	db *mvcc.DB
	ks *mvcc.Keyspace
}

var isolations = map[kit.Level]mvcc.Isolation{
	kit.MonotonicView: mvcc.ReadCommitted, kit.Snapshot: mvcc.Snapshot, kit.Serializable: mvcc.Serializable,
}

func (m Map) Begin(level kit.Level) (kit.StoreTxn, error) {
	tx, err := m.db.Begin(context.Background(), &mvcc.TxnOptions{Isolation: isolations[level], NoWait: true})
	return mapTxn{m, tx}, err
}

type mapTxn struct {
	m  Map
	tx *mvcc.Txn
}

func (t mapTxn) Get(key string) (string, bool, error) {
	value, err := t.tx.Get(t.m.ks, []byte(key))
	if errors.Is(err, mvcc.ErrNotFound) {
		return "", false, nil
	}
	return string(value), err == nil, err
}

func (t mapTxn) Scan(from, to string) (pairs []kit.Pair, err error) {
	r := mvcc.Range{Lo: []byte(from)}
	if to != "" {
		r.Hi = []byte(max(to, from))
	}
	for item, err := range t.tx.Scan(t.m.ks, r) {
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, kit.Pair{Key: string(item.Key), Value: string(item.Value)})
	}
	return pairs, nil
}

func (t mapTxn) Put(key, value string) error {
	return kitError(t.tx.Put(t.m.ks, []byte(key), []byte(value)))
}
func (t mapTxn) Delete(key string) error { return kitError(t.tx.Delete(t.m.ks, []byte(key))) }
func (t mapTxn) Commit() error           { return kitError(t.tx.Commit()) }
func (t mapTxn) Rollback()               { t.tx.Rollback() }

// kitError says in the words of kit how an operation has ended.
func kitError(err error) error {
	switch {
	case errors.Is(err, mvcc.ErrConflict):
		return kit.ErrConflict
	case errors.Is(err, mvcc.ErrLockNotAvailable):
		return kit.ErrLocked
	}
	return err
}

// Does a store of strings do what a map does, whatever interleaves? In a test the steps are drawn inside of rapid.Check,
// which makes those that fail smaller.
func ExampleRunSteps() {
	db, done := open()
	defer done()
	ks, err := db.Keyspace(context.Background(), "model")
	if err != nil {
		log.Fatal(err)
	}
	steps := []kit.Step{
		{Txn: 0, Kind: kit.StepBegin, Level: kit.Snapshot},
		{Txn: 1, Kind: kit.StepBegin, Level: kit.Serializable},
		{Txn: 0, Kind: kit.StepPut, Key: "x", Value: "1"},
		{Txn: 1, Kind: kit.StepPut, Key: "x", Value: "2"}, // refused: the first has the lock
		{Txn: 0, Kind: kit.StepCommit},
		{Txn: 1, Kind: kit.StepGet, Key: "x"},
		{Txn: 1, Kind: kit.StepCommit},
	}
	fmt.Println(kit.RunSteps(Map{db, ks}, steps))

	drawn := kit.Interleavings(3, 60).Example(7)
	ks, err = db.Keyspace(context.Background(), "another model")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kit.RunSteps(Map{db, ks}, drawn))
	// Output:
	// <nil>
	// <nil>
}

// Does code on a graph leave the graph that it should? The model is changed as the graph should be, and compared.
func ExampleGraph() {
	dir, err := os.MkdirTemp("", "sombra")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := graph.Open(filepath.Join(dir, "social.sombra"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()

	want := kit.NewGraph()
	err = db.Update(ctx, func(tx *graph.Txn) error {
		ann, err := tx.CreateNode([]string{"Person"}, graph.Props{"name": graph.String("ann")})
		if err != nil {
			return err
		}
		bob, err := tx.CreateNode([]string{"Person"}, nil)
		if err != nil {
			return err
		}
		knows, err := tx.CreateEdge(ann, bob, "KNOWS", nil)
		want.Nodes[ann] = graph.Node{ID: ann, Labels: []string{"Person"}, Props: graph.Props{"name": graph.String("ann")}}
		want.Nodes[bob] = graph.Node{ID: bob, Labels: []string{"Person"}}
		want.Edges[knows] = graph.Edge{ID: knows, Src: ann, Dst: bob, Type: "KNOWS"}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *graph.Txn) error {
		got, err := kit.ReadGraph(tx)
		if err == nil {
			fmt.Printf("as it is: %q\n", want.Diff(got))
		}
		want.Detach(2)
		fmt.Printf("without bob: %q\n", want.Diff(got))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// as it is: ""
	// without bob: "node 2 should not be there"
}

// open opens a database that goes away with the example.
func open() (db *mvcc.DB, done func()) {
	dir, err := os.MkdirTemp("", "sombra")
	if err != nil {
		log.Fatal(err)
	}
	if db, err = mvcc.Open(filepath.Join(dir, "app.sombra"), nil); err != nil {
		log.Fatal(err)
	}
	return db, func() {
		if err := errors.Join(db.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}
