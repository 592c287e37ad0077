package engine

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"
	"strings"

	"github.com/sombradb/sombra/bench/internal/kv"
)

// ErrNotFound is returned by Get for a key that is not there.
var ErrNotFound = kv.ErrNotFound

// Engine is a kind of database.
type Engine struct {
	Name      string
	Module    string // whose version is reported
	Isolation string // in words, for the report
	Settings  string // what differs from the engine's defaults, for the report
	Bulk      string // how it loads, for the report
	Isolated  bool   // E2
	Open      func(dir string, cfg Config) (DB, error)
}

// Config is what all engines get alike.
type Config struct {
	CacheBytes int64 // for copies of data pages
	Workers    int   // that will call Update at a time, at most
}

// DB is an open database with one ordered set of keys. Its methods are safe for concurrent use.
type DB interface {
	// Session returns what one goroutine works with. Close it before the DB.
	Session() (Session, error)
	// Load stores distinct records in an empty database, as fast as it durably can (E3). It may rely on ascending keys if
	// sorted is set. Keys and values are valid until the iteration goes on.
	Load(ctx context.Context, records iter.Seq2[[]byte, []byte], sorted bool) error
	// Settle does what the engine otherwise does in the background: checkpoint, flush or compaction.
	Settle(ctx context.Context) error
	Close() error
}

// Session is for one goroutine at a time.
type Session interface {
	kv.Session
	// Add adds to the counter at key durably, by the engine's best means.
	Add(ctx context.Context, key []byte, delta int64) (attempts int, err error)
	// Counter returns what Add has summed up.
	Counter(ctx context.Context, key []byte) (int64, error)
	Close() error
}

// Tx is a running transaction.
type Tx = kv.Tx

// All returns the engines in the order of the report.
func All() []Engine { return []Engine{Sombra(), Bbolt(), Badger(), Pebble(), SQLite()} }

// ByName returns the named engines of All, all for no names. An unknown name is an error that lists the known ones.
func ByName(names []string) ([]Engine, error) {
	if len(names) == 0 {
		return All(), nil
	}
	var found []Engine
	var known []string
	for _, e := range All() {
		known = append(known, e.Name)
	}
	for _, name := range names {
		before := len(found)
		for _, e := range All() {
			if strings.EqualFold(e.Name, name) {
				found = append(found, e)
			}
		}
		if len(found) == before {
			return nil, errors.New("peers: there is no engine " + name + "; there are " + strings.Join(known, ", "))
		}
	}
	return found, nil
}

// Version returns the engine's version from the running program, "this checkout" for the one beside this module.
func (e Engine) Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == e.Module {
			if m.Replace != nil {
				return "this checkout"
			}
			return m.Version
		}
	}
	return "unknown"
}

// addByUpdate adds in a read-modify-write transaction, for engines that have nothing better.
func addByUpdate(ctx context.Context, s Session, key []byte, delta int64) (int, error) {
	return s.Update(ctx, func(tx Tx) error {
		old, err := tx.GetForUpdate(nil, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		sum, err := decodeCounter(old)
		if err != nil {
			return err
		}
		return tx.Put(key, encodeCounter(sum+delta))
	})
}

// counterByView reads what addByUpdate wrote.
func counterByView(ctx context.Context, s Session, key []byte) (sum int64, err error) {
	err = s.View(ctx, func(tx Tx) error {
		value, err := tx.Get(nil, key)
		if err != nil {
			return err
		}
		sum, err = decodeCounter(value)
		return err
	})
	return sum, err
}
