package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // registers the driver
)

// SQLite returns the engine of modernc.org/sqlite.
func SQLite() Engine {
	return Engine{
		Name: "SQLite", Module: "modernc.org/sqlite", Isolation: "serializable (one writer)", Isolated: true,
		Settings: "WAL, synchronous=FULL, writers take turns on one connection, prepared statements, a WITHOUT ROWID table, the cache of the common size for each connection",
		Bulk:     "one transaction with journal and syncs off, then a sync of the file",
		Open:     openSQLite,
	}
}

type sqliteDB struct {
	pool   *sql.DB
	path   string
	writer struct {
		sync.Mutex // writers queue here, which is fairer and cheaper than SQLite's busy handler
		*sqliteConn
	}
}

// SQLitePool opens a database with the settings of this comparison.
func SQLitePool(path string, cacheBytes int64) (*sql.DB, error) {
	escaped := (&url.URL{Path: path}).EscapedPath() // a name may have a '#' or '?' in it
	dsn := fmt.Sprintf("file:%s?_txlock=immediate&_pragma=busy_timeout(60000)&_pragma=journal_mode(WAL)&"+
		"_pragma=synchronous(FULL)&_pragma=cache_size(-%d)", escaped, cacheBytes>>10)
	return sql.Open("sqlite", dsn)
}

func openSQLite(dir string, cfg Config) (DB, error) {
	path := filepath.Join(dir, "data.sqlite")
	pool, err := SQLitePool(path, cfg.CacheBytes)
	if err != nil {
		return nil, err
	}
	s := &sqliteDB{pool: pool, path: path}
	pool.SetMaxIdleConns(1024)
	if _, err := pool.Exec("CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID"); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	if s.writer.sqliteConn, err = s.connect(context.Background()); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return s, nil
}

// sqliteConn is a connection with its prepared statements.
type sqliteConn struct {
	conn                                *sql.Conn
	begin, commit, rollback             *sql.Stmt
	get, put, scan, scanAll, add, total *sql.Stmt
}

func (s *sqliteDB) connect(ctx context.Context) (*sqliteConn, error) {
	conn, err := s.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &sqliteConn{conn: conn}
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&c.begin, "BEGIN IMMEDIATE"}, {&c.commit, "COMMIT"}, {&c.rollback, "ROLLBACK"},
		{&c.get, "SELECT v FROM kv WHERE k = ?"},
		{&c.put, "INSERT INTO kv VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"},
		{&c.scan, "SELECT k, v FROM kv WHERE k >= ? ORDER BY k LIMIT ?"},
		{&c.scanAll, "SELECT k, v FROM kv WHERE k >= ? ORDER BY k"},
		{&c.add, "INSERT INTO kv VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = v + excluded.v"},
		{&c.total, "SELECT CAST(v AS INTEGER) FROM kv WHERE k = ?"},
	} {
		if *p.stmt, err = conn.PrepareContext(ctx, p.text); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return c, nil
}

func (s *sqliteDB) Session() (Session, error) { return &sqliteSession{db: s}, nil }

func (s *sqliteDB) Settle(ctx context.Context) error {
	_, err := s.pool.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (s *sqliteDB) Close() error { return errors.Join(s.writer.conn.Close(), s.pool.Close()) }

func (s *sqliteDB) Load(ctx context.Context, records iter.Seq2[[]byte, []byte], _ bool) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	for _, pragma := range []string{"journal_mode=OFF", "synchronous=OFF"} {
		if _, err := s.writer.conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	err := s.writer.transact(ctx, s.writer.begin, func() error {
		for key, value := range records {
			if _, err := s.writer.put.ExecContext(ctx, key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := syncFile(s.path); err != nil {
		return err
	}
	for _, pragma := range []string{"journal_mode=WAL", "synchronous=FULL"} {
		if _, err := s.writer.conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// transact runs fn between BEGIN and COMMIT.
func (c *sqliteConn) transact(ctx context.Context, begin *sql.Stmt, fn func() error) error {
	if _, err := begin.ExecContext(ctx); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		_, err = c.commit.ExecContext(ctx)
	}
	if err != nil {
		_, undo := c.rollback.ExecContext(context.WithoutCancel(ctx))
		return errors.Join(err, undo)
	}
	return nil
}

// sqliteSession reads on a connection of its own, which it opens when it first reads.
type sqliteSession struct {
	db     *sqliteDB
	reader *sqliteConn
}

func (s *sqliteSession) Update(ctx context.Context, fn func(Tx) error) (int, error) {
	w := &s.db.writer
	w.Lock()
	defer w.Unlock()
	return 1, w.transact(ctx, w.begin, func() error { return fn(&sqliteTx{ctx, w.sqliteConn}) })
}

// View leaves out BEGIN and COMMIT: a single statement is a transaction, and for more View promises nothing.
func (s *sqliteSession) View(ctx context.Context, fn func(Tx) error) (err error) {
	if s.reader == nil {
		if s.reader, err = s.db.connect(ctx); err != nil {
			return err
		}
	}
	return fn(&sqliteTx{ctx, s.reader})
}

func (s *sqliteSession) Add(ctx context.Context, key []byte, delta int64) (int, error) {
	w := &s.db.writer
	w.Lock()
	defer w.Unlock()
	_, err := w.add.ExecContext(ctx, key, delta) // a statement outside of a transaction is one
	return 1, err
}

func (s *sqliteSession) Counter(ctx context.Context, key []byte) (sum int64, err error) {
	w := &s.db.writer
	w.Lock()
	defer w.Unlock()
	return sum, w.total.QueryRowContext(ctx, key).Scan(&sum)
}

func (s *sqliteSession) Close() error {
	if s.reader == nil {
		return nil
	}
	return s.reader.conn.Close()
}

type sqliteTx struct {
	ctx context.Context
	c   *sqliteConn
}

func (t *sqliteTx) Get(dst, key []byte) ([]byte, error) {
	rows, err := t.c.get.QueryContext(t.ctx, key)
	if err != nil {
		return dst, err
	}
	if !rows.Next() {
		return dst, errors.Join(ErrNotFound, rows.Close(), rows.Err())
	}
	var value sql.RawBytes
	if err := rows.Scan(&value); err != nil {
		return dst, errors.Join(err, rows.Close())
	}
	dst = append(dst, value...)
	return dst, rows.Close()
}

func (t *sqliteTx) GetForUpdate(dst, key []byte) ([]byte, error) { return t.Get(dst, key) }

func (t *sqliteTx) Put(key, value []byte) error {
	_, err := t.c.put.ExecContext(t.ctx, key, value)
	return err
}

func (t *sqliteTx) Scan(from []byte, limit int, fn func(key, value []byte)) error {
	if from == nil {
		from = []byte{} // NULL would select nothing
	}
	stmt, args := t.c.scanAll, []any{from}
	if limit > 0 {
		stmt, args = t.c.scan, []any{from, limit}
	}
	rows, err := stmt.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	var key, value sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&key, &value); err != nil {
			return errors.Join(err, rows.Close())
		}
		fn(key, value)
	}
	return errors.Join(rows.Err(), rows.Close())
}
