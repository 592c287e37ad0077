package bench_test

import (
	"context"
	"fmt"
	"os"

	"github.com/sombradb/sombra/bench"
)

func ExampleCommit() {
	res, err := bench.Commit(context.Background(), bench.CommitConfig{
		Writers: []int{1, 8},
		Limit:   bench.Limit{Ops: 100}, // Duration, to measure
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range res.Rows {
		fmt.Println(row.Writers, "writers:", row.Ops, "commits, checksum", row.Checksum)
	}
	// Output:
	// 1 writers: 100 commits, checksum d29d7013d964cbef
	// 8 writers: 100 commits, checksum f043146f1d2bff04
}

func ExampleCheckpoint() {
	res, err := bench.Checkpoint(context.Background(), bench.CheckpointConfig{Keys: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range res.Rows {
		fmt.Println(row.Change, "-", row.Keys, "keys,", row.PayloadBytes, "bytes")
	}
	// Output:
	// load - 1000 keys, 116000 bytes
	// overwrite 1 % - 14 keys, 1624 bytes
	// overwrite 10 % - 101 keys, 11716 bytes
	// overwrite 100 % - 1000 keys, 116000 bytes
}

func ExampleTransfer() {
	res, err := bench.Transfer(context.Background(), bench.TransferConfig{
		Accounts: 100,
		Thetas:   []float64{0.99},
		Writers:  []int{8},
		Limit:    bench.Limit{Ops: 80},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range res.Rows {
		fmt.Println(row.Kind, "at", row.Isolation, "-", row.Ops, "transfers, checksum", row.Checksum)
	}
	// Output:
	// zipf 0.99 at read committed - 80 transfers, checksum 8b96164347a3a95c
	// zipf 0.99 at snapshot - 80 transfers, checksum 8b96164347a3a95c
	// zipf 0.99 at serializable - 80 transfers, checksum 8b96164347a3a95c
}

func ExampleDemo() {
	dir, err := os.MkdirTemp("", "sombra-example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	res, err := bench.Demo(context.Background(), bench.DemoConfig{Dir: dir, People: 100, Edges: 300, Writers: 4, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Check.Nodes, "people,", res.Check.Edges, "friendships,", res.Check.Problems, "problems")
	fmt.Println(res.Contention.Likes, "likes,", res.Contention.Counted, "counted")
	fmt.Println(res.Questions[3].Question)
	// Output:
	// 100 people, 300 friendships, 0 problems
	// 100 likes, 100 counted
	// How is Zoe Kaya connected to Ana Vogel?
}

func ExampleYCSB() {
	res, err := bench.YCSB(context.Background(), bench.YCSBConfig{
		Records: 1000,
		Workers: 2,
		Mixes:   []string{"C"},
		Limit:   bench.Limit{Ops: 500},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range res.Rows {
		fmt.Println(row.Case, "-", row.Ops, row.Unit+", checksum", row.Checksum)
	}
	// Output:
	// C - 500 operations, checksum 389395c7e2b294b0
}

func ExampleTraverse() {
	res, err := bench.Traverse(context.Background(), bench.TraverseConfig{
		GraphSize: bench.GraphSize{Nodes: 500, Edges: 2000},
		Limit:     bench.Limit{Ops: 50},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range res.Rows {
		fmt.Println(row.Case, "-", row.Ops, row.Unit)
	}
	// Output:
	// 1 hop - 50 questions
	// 2 hops, distinct - 50 questions
	// 3 hops, distinct - 50 questions
	// BFS of all - 50 questions
	// shortest path - 50 questions
	// index range of 100 - 50 questions
}
