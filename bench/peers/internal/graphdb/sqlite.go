package graphdb

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

// SQLite returns a graph of two tables.
func SQLite() Kind {
	return Kind{
		Name: "SQLite", Open: openSQLite,
		About: "a table of nodes and one of edges, WITHOUT ROWID, both directions indexed; a hop is a nested SELECT, so a question is one statement",
	}
}

const sqliteSchema = `
CREATE TABLE IF NOT EXISTS node (id INTEGER PRIMARY KEY, label TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS edge (src INTEGER NOT NULL, type INTEGER NOT NULL, dst INTEGER NOT NULL,
	PRIMARY KEY (src, type, dst)) WITHOUT ROWID;`

// sqliteIndexes are made after the tables have been filled, as SQLite's documentation advises.
const sqliteIndexes = `
CREATE INDEX IF NOT EXISTS node_number ON node (number, label);
CREATE INDEX IF NOT EXISTS node_name ON node (name, label) WHERE label = 'Person';
CREATE INDEX IF NOT EXISTS edge_in ON edge (dst, type, src);`

// sqliteHops are the questions by depth. Type 1 is KNOWS; an id is a number plus one.
var sqliteHops = [...]string{
	1: `SELECT count(*), coalesce(sum(dst - 1), 0) FROM edge WHERE src = ?1 AND type = 1`,
	2: `WITH one AS MATERIALIZED (SELECT dst FROM edge WHERE src = ?1 AND type = 1),
		two AS (SELECT dst FROM edge WHERE type = 1 AND src IN one)
		SELECT count(*), coalesce(sum(dst - 1), 0) FROM (SELECT dst FROM one UNION SELECT dst FROM two) WHERE dst <> ?1`,
	3: `WITH one AS MATERIALIZED (SELECT dst FROM edge WHERE src = ?1 AND type = 1),
		two AS MATERIALIZED (SELECT DISTINCT dst FROM edge WHERE type = 1 AND src IN one),
		three AS (SELECT dst FROM edge WHERE type = 1 AND src IN two)
		SELECT count(*), coalesce(sum(dst - 1), 0) FROM
			(SELECT dst FROM one UNION SELECT dst FROM two UNION SELECT dst FROM three) WHERE dst <> ?1`,
}

type sqliteGraph struct {
	db, writer *sql.DB // db is for reading, and connects when it is first used
	path       string
	hops       [len(sqliteHops)]*sql.Stmt
	insert     *sql.Stmt
	mu         sync.Mutex // writers queue here
}

func openSQLite(dir string, cfg Config) (Graph, error) {
	path := filepath.Join(dir, "graph.sqlite")
	db, err := engine.SQLitePool(path, cfg.CacheBytes)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(256)
	writer, err := engine.SQLitePool(path, cfg.CacheBytes)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	writer.SetMaxOpenConns(1)
	s := &sqliteGraph{db: db, writer: writer, path: path}
	if _, err := writer.Exec(sqliteSchema); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.insert, err = writer.Prepare("INSERT INTO node (label, number, name) VALUES ('" + item + "', ?, ?)")
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepareHops opens connections for reading. An import cannot change the journal beside them.
func (s *sqliteGraph) prepareHops() (err error) {
	for depth, text := range sqliteHops {
		if text == "" {
			continue
		}
		if s.hops[depth], err = s.db.Prepare(text); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteGraph) Import(ctx context.Context, g *rmat.Graph) error {
	if err := s.pragmas(ctx, "journal_mode=OFF", "synchronous=OFF"); err != nil {
		return err
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(fillTables(ctx, tx, g), tx.Commit()); err != nil {
		return err
	}
	if _, err := s.writer.ExecContext(ctx, sqliteIndexes+"ANALYZE;"); err != nil {
		return err
	}
	file, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := s.pragmas(ctx, "journal_mode=WAL", "synchronous=FULL"); err != nil {
		return err
	}
	return s.prepareHops()
}

func (s *sqliteGraph) pragmas(ctx context.Context, list ...string) error {
	for _, p := range list {
		if _, err := s.writer.ExecContext(ctx, "PRAGMA "+p); err != nil {
			return err
		}
	}
	return nil
}

func fillTables(ctx context.Context, tx *sql.Tx, g *rmat.Graph) error {
	node, err := tx.PrepareContext(ctx, "INSERT INTO node VALUES (?, '"+person+"', ?, ?)")
	if err != nil {
		return err
	}
	edge, err := tx.PrepareContext(ctx, "INSERT INTO edge VALUES (?, 1, ?)")
	if err != nil {
		return errors.Join(err, node.Close())
	}
	defer func() { _, _ = node.Close(), edge.Close() }()
	for n := range g.Nodes {
		if _, err := node.ExecContext(ctx, n+1, n, nameOf(int64(n))); err != nil {
			return err
		}
	}
	for _, e := range g.Edges {
		if _, err := edge.ExecContext(ctx, int64(e.Src)+1, int64(e.Dst)+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteGraph) Hops(ctx context.Context, start uint32, depth int) (r Reach, err error) {
	var sum int64
	err = s.hops[depth].QueryRowContext(ctx, int64(start)+1).Scan(&r.Nodes, &sum)
	r.Sum = uint64(sum)
	return r, err
}

func (s *sqliteGraph) Insert(ctx context.Context, number int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.insert.ExecContext(ctx, number, nameOf(number)) // a statement outside of a transaction is one
	return err
}

func (s *sqliteGraph) Inserted(ctx context.Context) (r Reach, err error) {
	var sum int64
	err = s.db.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(number), 0) FROM node INDEXED BY node_number
		WHERE number >= 0 AND label = '`+item+`'`).Scan(&r.Nodes, &sum)
	r.Sum = uint64(sum)
	return r, err
}

func (s *sqliteGraph) Close() error { return errors.Join(s.writer.Close(), s.db.Close()) }
