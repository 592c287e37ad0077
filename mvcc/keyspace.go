package mvcc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	cerrors "github.com/cockroachdb/errors"
)

// Keyspace is a named, ordered set of keys. Safe for concurrent use.
type Keyspace struct {
	db     *DB
	id     uint32
	name   string
	prefix [prefixSize]byte
}

// end returns the prefix behind all keys of the keyspace. The greatest id is not given out.
func (ks *Keyspace) end() [prefixSize]byte { return makePrefix(ks.id + 1) }

// Name returns the keyspace's name.
func (ks *Keyspace) Name() string { return ks.name }

// The catalog maps names to ids:
//
//	"name/" + name -> id, 4 bytes big-endian
//	"next"         -> the next free id, 4 bytes big-endian
//	"loading/" + id -> the name of a keyspace that is being loaded (load.go)
const catalogNames = "name/"

var catalogNext = []byte("next")

// maxKeyspaceName is the longest name in bytes.
const maxKeyspaceName = 255

// keyspaces caches the catalog.
type keyspaces struct {
	// naming is held for reading from looking a name up until it is cached, and for writing by who changes
	// names. Lock order: before everything, also before transactions.
	naming sync.RWMutex
	mu     struct {
		sync.RWMutex
		byName map[string]*Keyspace
		byID   map[uint32]*Keyspace
	}
	catalog *Keyspace
}

func (k *keyspaces) init(db *DB) {
	k.mu.byName = make(map[string]*Keyspace)
	k.mu.byID = make(map[uint32]*Keyspace)
	k.catalog = &Keyspace{db: db, id: catalogID, name: "catalog", prefix: makePrefix(catalogID)}
	k.mu.byID[catalogID] = k.catalog
	k.mu.byID[protectionID] = &Keyspace{db: db, id: protectionID, name: "protection of a transaction that lost too often", prefix: protectionPrefix}
	k.mu.byID[largeID] = &Keyspace{db: db, id: largeID, name: "keys of large transaction", prefix: largePrefix}
}

// add caches a keyspace, or returns the one that is cached already.
func (k *keyspaces) add(ks *Keyspace) *Keyspace {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known, ok := k.mu.byName[ks.name]; ok {
		return known
	}
	k.mu.byName[ks.name], k.mu.byID[ks.id] = ks, ks
	return ks
}

// Keyspace returns the named keyspace and creates it, in a transaction of its
// own, when it is missing. In a read-only database a missing one is
// ErrNotFound. Names have 1 to 255 bytes.
func (db *DB) Keyspace(ctx context.Context, name string) (*Keyspace, error) {
	if err := checkKeyspaceName(name); err != nil {
		return nil, err
	}
	db.keyspaces.mu.RLock()
	ks, ok := db.keyspaces.mu.byName[name]
	db.keyspaces.mu.RUnlock()
	if ok {
		return ks, nil
	}
	db.keyspaces.naming.RLock()
	defer db.keyspaces.naming.RUnlock()
	id, err := db.findKeyspace(ctx, name)
	if errors.Is(err, ErrNotFound) && !db.opts.ReadOnly {
		id, err = db.createKeyspace(ctx, name)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, cerrors.Wrapf(err, "mvcc: keyspace %q", name)
	}
	if err != nil {
		return nil, err
	}
	return db.keyspaces.add(&Keyspace{db: db, id: id, name: name, prefix: makePrefix(id)}), nil
}

func checkKeyspaceName(name string) error {
	if name == "" || len(name) > maxKeyspaceName {
		return &ArgumentError{fmt.Sprintf("keyspace name of %d bytes, want 1 to %d", len(name), maxKeyspaceName)}
	}
	return nil
}

func (db *DB) findKeyspace(ctx context.Context, name string) (id uint32, err error) {
	err = db.View(ctx, func(tx *Txn) error {
		id, err = tx.catalogID([]byte(catalogNames + name))
		return err
	})
	return id, err
}

// catalogID reads an id from the catalog.
func (tx *Txn) catalogID(key []byte) (uint32, error) {
	value, err := tx.Get(tx.db.keyspaces.catalog, key)
	if err != nil {
		return 0, err
	}
	if len(value) != 4 {
		return 0, corrupt("catalog entry %q has %d bytes, want 4", key, len(value))
	}
	return binary.BigEndian.Uint32(value), nil
}

// createKeyspace gives the name an id. The lock on the counter serialises creators.
func (db *DB) createKeyspace(ctx context.Context, name string) (id uint32, err error) {
	catalog := db.keyspaces.catalog
	opts := &TxnOptions{Label: "create keyspace " + name, Isolation: ReadCommitted}
	err = db.UpdateWith(ctx, opts, func(tx *Txn) error {
		if _, err := tx.GetForUpdate(catalog, catalogNext); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if id, err = tx.catalogID([]byte(catalogNames + name)); !errors.Is(err, ErrNotFound) {
			return err
		}
		if id, err = tx.nextKeyspaceID(); err != nil {
			return err
		}
		return tx.Put(catalog, []byte(catalogNames+name), binary.BigEndian.AppendUint32(nil, id))
	})
	return id, err
}

// RenameKeyspace gives a keyspace another name, in a transaction of its own. Handles of it stay valid and go on saying the old
// one. It is meant for keyspaces that Repair could only call recovered-ID. Errors: ErrNotFound; *KeyspaceExistsError when the new name is in use.
func (db *DB) RenameKeyspace(ctx context.Context, from, to string) error {
	if err := errors.Join(checkKeyspaceName(from), checkKeyspaceName(to)); err != nil {
		return err
	}
	k := &db.keyspaces
	k.naming.Lock()
	defer k.naming.Unlock()
	var id uint32
	err := db.UpdateWith(ctx, &TxnOptions{Label: "rename keyspace " + from}, func(tx *Txn) (err error) {
		if id, err = tx.catalogID([]byte(catalogNames + from)); err != nil {
			return cerrors.Wrapf(err, "mvcc: keyspace %q", from)
		}
		if _, err := tx.catalogID([]byte(catalogNames + to)); !errors.Is(err, ErrNotFound) {
			if err == nil {
				err = &KeyspaceExistsError{Name: to}
			}
			return err
		}
		if err := tx.Delete(k.catalog, []byte(catalogNames+from)); err != nil {
			return err
		}
		return tx.Put(k.catalog, []byte(catalogNames+to), binary.BigEndian.AppendUint32(nil, id))
	})
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.mu.byName, from)
	ks := &Keyspace{db: db, id: id, name: to, prefix: makePrefix(id)}
	k.mu.byName[to], k.mu.byID[id] = ks, ks
	return nil
}

// nextKeyspaceID takes an id. REQUIRES: the transaction has locked the counter.
func (tx *Txn) nextKeyspaceID() (uint32, error) {
	catalog := tx.db.keyspaces.catalog
	id, err := tx.catalogID(catalogNext)
	switch {
	case errors.Is(err, ErrNotFound):
		id = firstUserID
	case err != nil:
		return 0, err
	case id == ^uint32(0)-1:
		return 0, &ArgumentError{"no keyspace ids left"}
	}
	return id, tx.Put(catalog, catalogNext, binary.BigEndian.AppendUint32(nil, id+1))
}

// Keyspaces lists the names of all keyspaces in order.
func (db *DB) Keyspaces(ctx context.Context) (names []string, err error) {
	err = db.View(ctx, func(tx *Txn) error {
		names = nil
		for key, err := range tx.Keys(db.keyspaces.catalog, Prefix([]byte(catalogNames))) {
			if err != nil {
				return err
			}
			names = append(names, string(key[len(catalogNames):]))
		}
		return nil
	})
	return names, err
}

// keyspaceName returns the name of an id for reports.
func (db *DB) keyspaceName(id uint32) string {
	db.keyspaces.mu.RLock()
	defer db.keyspaces.mu.RUnlock()
	if ks, ok := db.keyspaces.mu.byID[id]; ok {
		return ks.name
	}
	return fmt.Sprintf("keyspace %d", id)
}

// keyspaceOf returns the name of the keyspace of an internal key.
func (db *DB) keyspaceOf(ikey []byte) string {
	return db.keyspaceName(binary.BigEndian.Uint32(ikey))
}
