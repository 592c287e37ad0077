package pagestore_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/pagestore"
)

// store returns a store with three records.
func store() *pagestore.Store {
	s, err := pagestore.Create("graph.db", pagestore.DatabaseID{1}, pagestore.Options{FS: vfs.NewMem()})
	if err != nil {
		panic(err)
	}
	c, err := s.Begin()
	if err != nil {
		panic(err)
	}
	defer c.Abort()
	edits := []pagestore.Edit{
		{Key: []byte("alice"), Value: []byte("1"), Timestamp: 10},
		{Key: []byte("bob"), Value: []byte("2"), Timestamp: 11},
		{Key: []byte("carol"), Value: []byte("3"), Timestamp: 12},
	}
	if err := c.Merge(context.Background(), pagestore.DataTree, slices.Values(edits), nil); err != nil {
		panic(err)
	}
	if _, err := c.Commit(pagestore.Meta{Timestamp: 12}); err != nil {
		panic(err)
	}
	return s
}

func ExampleStore() {
	s := store()
	defer s.Close()
	rep, err := s.Check(context.Background(), nil)
	fmt.Println(rep.Records, len(rep.Problems), err, s.View().Meta().Timestamp)
	// Output: 3 0 <nil> 12
}

func ExampleView_Get() {
	s := store()
	defer s.Close()
	value, timestamp, found, err := s.View().Get(pagestore.DataTree, []byte("bob"), nil)
	fmt.Println(string(value), timestamp, found, err)
	// Output: 2 11 true <nil>
}

func ExampleCursor() {
	s := store()
	defer s.Close()
	c := s.View().Cursor(pagestore.DataTree)
	defer c.Close()
	for ok := c.Seek([]byte("b")); ok; ok = c.Next() {
		value, err := c.Value()
		fmt.Println(string(c.Key()), string(value), err)
	}
	fmt.Println(c.Err())
	// Output:
	// bob 2 <nil>
	// carol 3 <nil>
	// <nil>
}

func ExampleCheckpoint() {
	s := store()
	defer s.Close()
	old := s.View()
	c, err := s.Begin()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Abort()
	edits := []pagestore.Edit{
		{Key: []byte("alice"), Delete: true},
		{Key: []byte("bob"), Value: []byte("20"), Timestamp: 13},
	}
	err = c.Merge(context.Background(), pagestore.DataTree, slices.Values(edits), func(r pagestore.Record) bool {
		fmt.Printf("superseded %s = %s at %d\n", r.Key, r.Value, r.Timestamp)
		return false
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now, err := c.Commit(pagestore.Meta{Timestamp: 13})
	fmt.Println(old.Count(pagestore.DataTree), now.Count(pagestore.DataTree), err)
	// Output:
	// superseded alice = 1 at 10
	// superseded bob = 2 at 11
	// 3 2 <nil>
}
