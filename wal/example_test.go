package wal_test

import (
	"context"
	"fmt"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/wal"
)

func Example() {
	opts := wal.Options{FS: vfs.NewMem(), Dir: "/wal", DatabaseID: wal.DatabaseID{7}, SegmentSize: 64 << 10}
	log, _, err := wal.Open(opts, 0, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	end, err := log.Append(1, 1000, []byte("hello"))
	if err == nil {
		err = log.Sync(context.Background(), end)
	}
	fmt.Println(end, log.Durable(), err)
	fmt.Println(log.Close())

	log, found, err := wal.Open(opts, 0, func(r wal.Record) error {
		fmt.Printf("%d: kind %d at %d: %s\n", r.LSN, r.Kind, r.Timestamp, r.Payload)
		return nil
	})
	fmt.Println(found.Records, err)
	fmt.Println(log.Close())
	// Output:
	// 56 56 <nil>
	// <nil>
	// 8: kind 1 at 1000: hello
	// 1 <nil>
	// <nil>
}

func ExampleLog_Release() {
	opts := wal.Options{FS: vfs.NewMem(), Dir: "/wal", DatabaseID: wal.DatabaseID{7}, SegmentSize: 64 << 10}
	log, _, err := wal.Open(opts, 0, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var end wal.LSN
	for range 40 {
		if end, err = log.Append(1, 0, make([]byte, 10_000)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(log.Sync(context.Background(), end))
	before := log.Metrics()
	fmt.Println(log.Release(end)) // as after a checkpoint
	after := log.Metrics()
	fmt.Println(after.Segments < before.Segments, after.RecycledSegments > 0)
	fmt.Println(log.Close())
	// Output:
	// <nil>
	// <nil>
	// true true
	// <nil>
}
