package mvcc

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/pagestore"
	"github.com/sombradb/sombra/wal"
)

// Repair makes a new database of what is intact in a damaged one.
//
//	trees    every record that can be read and proven to be current goes to a new data file    pagestore.Salvage
//	history  goes along if all of it can be read; else the past begins anew
//	log      commits that the trees do not have go to a new log, also from behind damage       wal.Salvage, repairlog.go
//	open     the new database replays its log as after a crash; counters whose base is lost
//	         are taken out; keyspaces whose names are lost get new ones; all is checked
//	rename   only now it gets its name
//
// docs/decisions/0019-repair.md argues why no record that it saves can be wrong.

// RepairOptions configures Repair; nil means all defaults.
type RepairOptions struct {
	// Options are those of the new database, which is closed when Repair returns. Its page size is that of the old one.
	Options
	// KeepOutdated also saves records that may have been changed or deleted by something that is lost. They are
	// listed as Outdated.
	KeepOutdated bool
}

// RepairReport says what Repair saved and what is lost. Nothing was damaged when Lost is empty.
type RepairReport struct {
	Records    int64 // saved from the data tree
	History    int64 // versions of the past saved
	Commits    int64 // saved from the log
	LogRecords int64 // read
	Superblock bool  // one was intact
	Lost       []RepairLoss
	Renamed    []string // names of keyspaces whose own ones are lost
	Check      CheckReport
}

// RepairLoss is one place of damage and what it cost.
type RepairLoss struct {
	File string
	Page uint64 // in a data file
	// LSN and Offset are where in the log, and in the file, the damage begins.
	LSN    uint64
	Offset int64
	What   string
	// Keyspace, From and To say which keys may be missing: those in [From, To), To nil is the end of the keyspace. Keyspace is
	// empty if the range spans several or the damage is in the log, where nothing tells the keys; then those that the lost
	// commits changed are as they were before.
	Keyspace string
	From, To []byte
	// Records is how many are lost, -1 is unknown.
	Records int64
	// Outdated is how many were saved although they may have been changed or deleted later.
	Outdated int64

	low, high []byte // internal keys
	data      bool   // in the data tree
}

// String describes the loss in one line.
func (l *RepairLoss) String() string {
	where := fmt.Sprintf("%s, page %d", l.File, l.Page)
	if l.LSN > 0 {
		where = fmt.Sprintf("%s, offset %d, log position %d", l.File, l.Offset, l.LSN)
	}
	cost := "nothing is lost"
	switch {
	case l.Outdated > 0:
		cost = fmt.Sprintf("%d records are saved that may be outdated, and newer ones are lost", l.Outdated)
	case l.Records < 0:
		cost = "an unknown number of records is lost"
	case l.Records > 0:
		cost = fmt.Sprintf("%d records are lost", l.Records)
	}
	if l.Keyspace != "" && (l.Records != 0 || l.Outdated > 0) {
		cost += fmt.Sprintf(" of keyspace %q from %q to %q", l.Keyspace, l.From, l.To)
	}
	return where + ": " + l.What + "; " + cost
}

// Repair saves what is intact of the database at src in a new one at dst. It never writes to src, which no other process may
// have open for writing. The new database appears under its name as a whole or not at all.
//
// A record is saved only if it is proven to be current. Commits that are in the log alone are saved also from behind
// damage there; so they may be there without one before them that is lost.
//
// Errors: ErrNotExist, ErrLocked, ErrNotDatabase when nothing can be found in src, ErrVersion, fs.ErrExist when there is
// something at dst, and those of the context and the file system. Damage is no error: the report lists it.
func Repair(ctx context.Context, src, dst string, opts *RepairOptions) (*RepairReport, error) {
	if opts == nil {
		opts = &RepairOptions{}
	}
	if src == "" || dst == "" {
		return nil, &ArgumentError{"path is empty"}
	}
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	r := &repair{ctx: ctx, src: filepath.Clean(src), opts: opts, o: opts.withDefaults(), ids: map[uint32]bool{}}
	r.draft = newDraft(r.o.FS, dst)
	r.db = &DB{path: r.src, opts: r.o}
	if err := r.run(); err != nil {
		return nil, err
	}
	return &r.report, nil
}

// repair is a repair in the making.
type repair struct {
	draft
	ctx     context.Context
	src     string
	opts    *RepairOptions
	o       Options
	db      *DB // names the source in errors; never opened
	salvage *pagestore.Salvage
	base    Timestamp // the trees have all that is up to it
	ids     map[uint32]bool
	log     repairLog
	report  RepairReport
}

func (r *repair) run() (err error) {
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.vacant(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			r.discard()
		}
	}()
	for _, step := range []func() error{r.trees, r.copyLog, r.finish, r.name} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lock keeps writers away from the source, if it has its lock file: none is created there.
func (r *repair) lock() (unlock func(), err error) {
	if _, err := r.o.FS.Stat(r.src); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &pathError{ErrNotExist, r.src, "check the path of the damaged database"}
		}
		return nil, r.db.openError(err)
	}
	if _, err := r.o.FS.Stat(r.src + lockSuffix); err != nil {
		return func() {}, nil
	}
	held, err := r.o.FS.Lock(r.src+lockSuffix, true)
	var locked *vfs.LockedError
	switch {
	case errors.As(err, &locked):
		return nil, r.db.openError(err)
	case err != nil: // a medium that cannot be written to: nobody writes there
		return func() {}, nil
	}
	return func() { _ = held.Close() }, nil
}

// trees makes the new data file.
func (r *repair) trees() (err error) {
	r.salvage, err = pagestore.OpenSalvage(r.ctx, r.src, pagestore.SalvageOptions{
		Options: pagestore.Options{FS: r.o.FS, Logger: r.o.Logger}, KeepOutdated: r.opts.KeepOutdated,
	})
	if err != nil {
		return r.db.openError(err)
	}
	defer r.salvage.Close()
	var id pagestore.DatabaseID
	if _, err := rand.Read(id[:]); err != nil {
		return cerrors.Wrap(err, "mvcc: making a database id")
	}
	s, err := pagestore.Create(r.part, id, pagestore.Options{FS: r.o.FS, PageSize: r.salvage.PageSize(), Logger: r.o.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, known := r.salvage.Meta()
	r.report.Superblock = known
	if r.report.Records, err = r.copyTree(s, pagestore.DataTree, nil); err != nil {
		return err
	}
	if !known {
		r.losses(len(r.salvage.Losses()))
		return nil
	}
	before := len(r.salvage.Losses())
	r.report.History, err = r.copyTree(s, pagestore.HistoryTree, func() bool { return len(r.salvage.Losses()) == before })
	if len(r.salvage.Losses()) > before {
		r.report.History = 0
	}
	r.losses(before)
	return err
}

// copyTree saves a tree, unless whole says afterwards that it is worth nothing.
func (r *repair) copyTree(s *pagestore.Store, tree pagestore.TreeID, whole func() bool) (saved int64, err error) {
	cp, err := s.Begin()
	if err != nil {
		return 0, err
	}
	defer cp.Abort()
	var failed error
	err = cp.Merge(r.ctx, tree, func(yield func(pagestore.Edit) bool) {
		stopped := errors.New("stopped")
		failed = r.salvage.Records(r.ctx, tree, func(rec pagestore.Record) error {
			if tree == pagestore.DataTree && len(rec.Key) >= prefixSize {
				r.ids[binary.BigEndian.Uint32(rec.Key)] = true
			}
			saved++
			if !yield(pagestore.Edit{Key: rec.Key, Value: rec.Value, Timestamp: rec.Timestamp}) {
				return stopped
			}
			return nil
		})
		if errors.Is(failed, stopped) {
			failed = nil
		}
	}, nil)
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	if whole != nil && !whole() {
		return 0, nil
	}
	meta, known := r.salvage.Meta()
	r.base = Timestamp(r.salvage.Newest())
	if known {
		r.base = Timestamp(meta.Timestamp)
	}
	m := pagestore.Meta{Timestamp: uint64(r.base), LogLSN: uint64(wal.FirstLSN), Owner: ownerMeta(0, r.base)}
	if tree == pagestore.HistoryTree {
		m.Owner = meta.Owner
	}
	_, err = cp.Commit(m)
	return saved, err
}

// losses takes over what the salvage of the trees met; from history on it concerns the past only.
func (r *repair) losses(history int) {
	for i, l := range r.salvage.Losses() {
		r.report.Lost = append(r.report.Lost, RepairLoss{
			File: r.src, Page: uint64(l.Page), What: l.What, Records: l.Records, Outdated: l.Outdated,
			low: l.From, high: l.To, data: l.From != nil && l.Tree == pagestore.DataTree,
		})
		if i >= history {
			lost := &r.report.Lost[len(r.report.Lost)-1]
			lost.What = "history: " + lost.What + ", so that the past before the last checkpoint is given up"
		}
	}
}

// finish lets the new database replay its log, and verifies it.
func (r *repair) finish() (err error) {
	o := r.o
	o.MustExist, o.ReadOnly = true, false
	if n := r.log.segment; n > 0 {
		o.SegmentSize = n
	}
	db, err := Open(r.part, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r.report.Commits = db.recovered.Commits
	for _, step := range []func(*DB) error{r.dropBaseless, r.nameKeyspaces, r.describeLosses} {
		if err := step(db); err != nil {
			return err
		}
	}
	if err := db.Checkpoint(r.ctx); err != nil {
		return err
	}
	r.report.Check, err = db.Check(r.ctx, nil)
	return err
}

// dropBaseless removes counters of which nothing but additions was found: what they were added to is lost.
func (r *repair) dropBaseless(db *DB) error {
	for _, key := range r.log.baseless() {
		hidden := &Keyspace{db: db, id: binary.BigEndian.Uint32(key), name: "repair", prefix: makePrefix(binary.BigEndian.Uint32(key))}
		err := db.UpdateWith(r.ctx, &TxnOptions{Label: "repair"}, func(tx *Txn) error { return tx.Delete(hidden, key[prefixSize:]) })
		if err != nil {
			return err
		}
		r.report.Lost = append(r.report.Lost, RepairLoss{
			File: r.src + logSuffix, What: "additions to a counter whose value is lost", Records: 1,
			low: key, high: successor(nil, key), data: true,
		})
	}
	return nil
}

// nameKeyspaces gives names to keyspaces that have lost theirs.
func (r *repair) nameKeyspaces(db *DB) error {
	catalog := db.keyspaces.catalog
	return db.UpdateWith(r.ctx, &TxnOptions{Label: "repair"}, func(tx *Txn) error {
		r.report.Renamed = nil
		known := map[uint32]bool{}
		next := uint32(firstUserID)
		for item, err := range tx.Scan(catalog, Prefix([]byte(catalogNames))) {
			if err != nil {
				return err
			}
			if len(item.Value) == 4 {
				known[binary.BigEndian.Uint32(item.Value)] = true
			}
		}
		for item, err := range tx.Keys(catalog, Prefix([]byte(catalogLoading))) {
			if err != nil {
				return err
			}
			if len(item) == len(catalogLoading)+4 {
				known[binary.BigEndian.Uint32(item[len(catalogLoading):])] = true
			}
		}
		for id := range known {
			next = max(next, id+1)
		}
		for id := range r.ids {
			next = max(next, id+1)
			if id < firstUserID || known[id] {
				continue
			}
			name := fmt.Sprintf("recovered-%d", id)
			r.report.Renamed = append(r.report.Renamed, name)
			if err := tx.Put(catalog, []byte(catalogNames+name), appendID32("", id)); err != nil {
				return err
			}
		}
		slices.Sort(r.report.Renamed)
		if have, err := tx.catalogID(catalogNext); err == nil && have >= next {
			return nil
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		return tx.Put(catalog, catalogNext, appendID32("", next))
	})
}

// describeLosses says what the lost ranges are in terms of keyspaces.
func (r *repair) describeLosses(db *DB) error {
	names, err := db.Keyspaces(r.ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := db.Keyspace(r.ctx, name); err != nil {
			return err
		}
	}
	for i := range r.report.Lost {
		l := &r.report.Lost[i]
		if !l.data || len(l.low) < prefixSize {
			continue
		}
		id := l.low[:prefixSize]
		switch {
		case bytes.HasPrefix(l.high, id):
			l.To = l.high[prefixSize:]
		case l.high == nil || !bytes.Equal(l.high, prefixEnd(id)):
			continue // several keyspaces
		}
		l.Keyspace, l.From = db.keyspaceName(binary.BigEndian.Uint32(id)), l.low[prefixSize:]
	}
	return nil
}
