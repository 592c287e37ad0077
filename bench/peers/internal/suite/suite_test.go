package suite

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

// lossy is an engine that acknowledges every 20th write without doing it.
func lossy() engine.Engine {
	e := engine.Sombra()
	e.Name = "lossy"
	open := e.Open
	e.Open = func(dir string, cfg engine.Config) (engine.DB, error) {
		db, err := open(dir, cfg)
		return &lossyDB{DB: db}, err
	}
	return e
}

type lossyDB struct {
	engine.DB
	writes atomic.Int64
}

func (db *lossyDB) Session() (engine.Session, error) {
	s, err := db.DB.Session()
	return lossySession{s, db}, err
}

type lossySession struct {
	engine.Session
	db *lossyDB
}

func (s lossySession) Update(ctx context.Context, fn func(engine.Tx) error) (int, error) {
	return s.Session.Update(ctx, func(tx engine.Tx) error { return fn(lossyTx{tx, s.db}) })
}

func (s lossySession) Add(ctx context.Context, key []byte, delta int64) (int, error) {
	if s.db.writes.Add(1)%20 == 0 {
		return 1, nil
	}
	return s.Session.Add(ctx, key, delta)
}

type lossyTx struct {
	engine.Tx
	db *lossyDB
}

func (tx lossyTx) Put(key, value []byte) error {
	if tx.db.writes.Add(1)%20 == 0 {
		return nil
	}
	return tx.Tx.Put(key, value)
}

func config(t *testing.T, engines []engine.Engine, only ...string) Config {
	return Config{
		Dir: t.TempDir(), Scale: 0.1, Rounds: 1, Only: only, Engines: engines,
		Emit: func(Sample) error { return nil },
	}
}

func TestLostWritesAreNoticed(t *testing.T) {
	for _, only := range []string{"commit", "arrival", "transfer", "hotkey", "counter", "ycsb"} {
		t.Run(only, func(t *testing.T) {
			err := Run(t.Context(), config(t, []engine.Engine{lossy()}, only))
			if err == nil || !strings.Contains(err.Error(), "lossy") {
				t.Errorf("the error is %v, want one that names the engine", err)
			}
		})
	}
}

func TestWithoutIsolationLossesAreAResult(t *testing.T) {
	e := lossy()
	e.Isolated = false
	cfg := config(t, []engine.Engine{e}, "transfer")
	var wrong int64
	cfg.Emit = func(s Sample) error {
		wrong += s.Wrong
		return nil
	}
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if wrong == 0 {
		t.Error("no balance is wrong")
	}
}

func TestDifferentAnswersAreNoticed(t *testing.T) {
	r := &runner{answers: map[string]Sample{}, cfg: Config{Emit: func(Sample) error { return nil }}}
	for _, c := range []struct {
		sample Sample
		fine   bool
	}{
		{Sample{Workload: "w", Engine: "a", Answer: "1"}, true},
		{Sample{Workload: "w", Engine: "b", Answer: "1"}, true},
		{Sample{Workload: "w", Engine: "b", Case: "other", Answer: "2"}, true},
		{Sample{Workload: "w", Engine: "c", Answer: "2"}, false},
	} {
		if err := r.emit(c.sample); (err == nil) != c.fine {
			t.Errorf("%+v: %v", c.sample, err)
		}
	}
}

func TestNothingIsLeftOnTheDisk(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, ctx := range []context.Context{t.Context(), ended} {
		cfg := config(t, []engine.Engine{engine.Bbolt()}, "hotkey")
		cfg.Scale = 0.01
		err := Run(ctx, cfg)
		if (err == nil) != (ctx.Err() == nil) {
			t.Errorf("the error is %v", err)
		}
		left, err := os.ReadDir(cfg.Dir)
		if err != nil || len(left) > 0 {
			t.Errorf("%v were left, %v", left, err)
		}
	}
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"scale": func(c *Config) { c.Scale = 0 }, "rounds": func(c *Config) { c.Rounds = 0 },
		"engines": func(c *Config) { c.Engines = nil }, "workload": func(c *Config) { c.Only = []string{"commits"} },
	} {
		cfg := config(t, engine.All())
		change(&cfg)
		if err := Run(t.Context(), cfg); err == nil {
			t.Errorf("a wrong %s was accepted", name)
		}
	}
}

func TestRoundsRotate(t *testing.T) {
	cfg := config(t, []engine.Engine{engine.Bbolt(), engine.Pebble()}, "hotkey")
	cfg.Scale, cfg.Rounds = 0.01, 2
	var order []string
	cfg.Progress = func(_, _ int, what string) { order = append(order, what[strings.LastIndex(what, " ")+1:]) }
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "bbolt Pebble device Pebble device bbolt"; got != want {
		t.Errorf("the turns are %s, want %s", got, want)
	}
}
