package mvcc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/mvcc"
)

// openExample opens a database that goes away with the example.
func openExample() (db *mvcc.DB, done func()) {
	dir, err := os.MkdirTemp("", "sombra")
	if err != nil {
		log.Fatal(err)
	}
	db, err = mvcc.Open(filepath.Join(dir, "app.sombra"), nil)
	if err != nil {
		log.Fatal(err)
	}
	return db, func() {
		if err := errors.Join(db.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	db, done := openExample()
	defer done()
	ctx := context.Background()

	users, err := db.Keyspace(ctx, "users")
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *mvcc.Txn) error {
		return tx.Put(users, []byte("ada"), []byte("born 1815"))
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *mvcc.Txn) error {
		value, err := tx.Get(users, []byte("ada"))
		fmt.Printf("%s\n", value)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: born 1815
}

func ExampleTxn_Scan() {
	db, done := openExample()
	defer done()
	ctx := context.Background()
	ks, err := db.Keyspace(ctx, "events")
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *mvcc.Txn) error {
		for _, day := range []string{"2026-01-30", "2026-02-01", "2026-02-14", "2026-03-01"} {
			if err := tx.Put(ks, []byte(day), nil); err != nil {
				return err
			}
		}
		for item, err := range tx.Scan(ks, mvcc.Prefix([]byte("2026-02"))) {
			if err != nil {
				return err
			}
			fmt.Printf("%s\n", item.Key)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 2026-02-01
	// 2026-02-14
}

func ExampleTxn_Cursor() {
	db, done := openExample()
	defer done()
	ctx := context.Background()
	ks, err := db.Keyspace(ctx, "letters")
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *mvcc.Txn) error {
		for _, key := range []string{"a", "c", "e"} {
			if err := tx.Put(ks, []byte(key), nil); err != nil {
				return err
			}
		}
		c, err := tx.Cursor(ks, mvcc.Range{})
		if err != nil {
			return err
		}
		defer c.Close()
		if c.Seek([]byte("b")) {
			fmt.Printf("at or after b: %s\n", c.Key())
		}
		if c.Prev() {
			fmt.Printf("before that: %s\n", c.Key())
		}
		return c.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// at or after b: c
	// before that: a
}

// Two transactions that decide on what the other one changes: at Serializable one of them runs again.
func ExampleDB_UpdateWith() {
	db, done := openExample()
	defer done()
	ctx := context.Background()
	duty, err := db.Keyspace(ctx, "on duty")
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *mvcc.Txn) error {
		return errors.Join(tx.Put(duty, []byte("ada"), nil), tx.Put(duty, []byte("grace"), nil))
	})
	if err != nil {
		log.Fatal(err)
	}
	leave := func(name string) error {
		opts := &mvcc.TxnOptions{Isolation: mvcc.Serializable, Label: name + " leaves"}
		return db.UpdateWith(ctx, opts, func(tx *mvcc.Txn) error {
			left := 0
			for _, err := range tx.Keys(duty, mvcc.Range{}) {
				if err != nil {
					return err
				}
				left++
			}
			if left < 2 {
				return errors.New("somebody has to stay")
			}
			return tx.Delete(duty, []byte(name))
		})
	}
	fmt.Println(leave("ada"))
	fmt.Println(leave("grace"))
	// Output:
	// <nil>
	// somebody has to stay
}

func ExampleTxn_RollbackTo() {
	db, done := openExample()
	defer done()
	ctx := context.Background()
	ks, err := db.Keyspace(ctx, "k")
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *mvcc.Txn) error {
		if err := tx.Put(ks, []byte("kept"), nil); err != nil {
			return err
		}
		sp, err := tx.Savepoint()
		if err != nil {
			return err
		}
		if err := tx.Put(ks, []byte("undone"), nil); err != nil {
			return err
		}
		if err := tx.RollbackTo(sp); err != nil {
			return err
		}
		for key, err := range tx.Keys(ks, mvcc.Range{}) {
			if err != nil {
				return err
			}
			fmt.Printf("%s\n", key)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: kept
}

func ExampleTxn_GetForUpdate() {
	db, done := openExample()
	defer done()
	ctx := context.Background()
	ks, err := db.Keyspace(ctx, "counters")
	if err != nil {
		log.Fatal(err)
	}
	// The lock makes concurrent increments wait for each other instead of conflicting.
	increment := func(tx *mvcc.Txn) error {
		value, err := tx.GetForUpdate(ks, []byte("visits"))
		if err != nil && !errors.Is(err, mvcc.ErrNotFound) {
			return err
		}
		return tx.Put(ks, []byte("visits"), append(value, '|'))
	}
	for range 3 {
		if err := db.Update(ctx, increment); err != nil {
			log.Fatal(err)
		}
	}
	err = db.View(ctx, func(tx *mvcc.Txn) error {
		value, err := tx.Get(ks, []byte("visits"))
		fmt.Printf("%s\n", value)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: |||
}

func ExampleDB_Backup() {
	db, done := openExample()
	defer done()
	ctx := context.Background()
	ks, err := db.Keyspace(ctx, "notes")
	if err != nil {
		log.Fatal(err)
	}
	write := func(value string) {
		err := db.Update(ctx, func(tx *mvcc.Txn) error { return tx.Put(ks, []byte("today"), []byte(value)) })
		if err != nil {
			log.Fatal(err)
		}
	}
	write("sunny")
	var backup bytes.Buffer // or a file, a pipe, an upload
	if _, err := db.Backup(ctx, &backup); err != nil {
		log.Fatal(err)
	}
	write("rain")

	dir, err := os.MkdirTemp("", "sombra")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "copy.sombra")
	report, err := mvcc.Restore(ctx, &backup, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Keyspaces, "keyspace,", report.Pairs, "pair")
	copied, err := mvcc.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer copied.Close()
	if ks, err = copied.Keyspace(ctx, "notes"); err != nil {
		log.Fatal(err)
	}
	err = copied.View(ctx, func(tx *mvcc.Txn) error {
		value, err := tx.Get(ks, []byte("today"))
		fmt.Printf("%s\n", value)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 keyspace, 1 pair
	// sunny
}
