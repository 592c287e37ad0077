package main

import (
	"context"
	"os"
	"testing"

	"github.com/sombradb/sombra/graph"
)

func TestCompactShortensTheFile(t *testing.T) {
	path := smallWorld(t)
	db, err := graph.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var filler []graph.NodeID
	for _, fn := range []func(tx *graph.Txn) error{
		func(tx *graph.Txn) error {
			for range 20_000 {
				id, err := tx.CreateNode([]string{"Filler"}, graph.Props{"text": graph.String("something to fill pages with")})
				if err != nil {
					return err
				}
				filler = append(filler, id)
			}
			return nil
		},
		func(tx *graph.Txn) error {
			for _, id := range filler {
				if err := tx.DeleteNode(id); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		if err := db.Update(ctx, fn); err != nil {
			t.Fatal(err)
		}
		if err := db.Store().Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Before int64 `json:"file_bytes_before"`
		After  int64 `json:"file_bytes_after"`
		Steps  int
	}
	mustJSON(t, &r, "compact", path)
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.After > after.Size() || after.Size()*2 > before.Size() || r.Steps == 0 || r.Before == 0 {
		t.Errorf("%+v, the file has %d bytes and had %d", r, after.Size(), before.Size())
	}
	wantLines(t, mustRun(t, "compact", path), "in ", " step")
	wantLines(t, mustRun(t, "check", path), "4 nodes", "No problems.")
	wantLines(t, mustRun(t, "info", path), "for history", "overhead", "free", "of log")
}
