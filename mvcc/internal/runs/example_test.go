package runs_test

import (
	"fmt"
	"log"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc/internal/runs"
	"github.com/sombradb/sombra/mvcc/internal/versions"
)

// write makes a run of keys with one value, in ascending order.
func write(dir *runs.Dir, value string, keys ...string) *runs.Run {
	w, err := dir.Create(runs.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort() // does nothing after Finish
	for _, key := range keys {
		if err := w.Add(versions.Write{Key: []byte(key), Value: []byte(value), Kind: versions.Put}); err != nil {
			log.Fatal(err)
		}
	}
	run, err := w.Finish()
	if err != nil {
		log.Fatal(err)
	}
	return run
}

func ExampleRun() {
	dir, err := runs.OpenDir(vfs.NewMem(), "runs")
	if err != nil {
		log.Fatal(err)
	}
	run := write(dir, "six legs", "ant", "bee", "fly")

	got, found, err := run.Get(nil, []byte("bee"))
	fmt.Printf("%s %v %v\n", got.Value, found, err)
	found, err = run.Has([]byte("cow"))
	fmt.Println(found, err)
	run.Drop()
	_, err = run.Has([]byte("bee"))
	fmt.Println(err)
	fmt.Println(dir.Close())
	// Output:
	// six legs true <nil>
	// false <nil>
	// runs: the run was dropped; read what replaced it
	// <nil>
}

// Of a key in several runs the newest run's write is shown.
func ExampleMerge() {
	dir, err := runs.OpenDir(vfs.NewMem(), "runs")
	if err != nil {
		log.Fatal(err)
	}
	older := write(dir, "old", "ant", "bee", "fly")
	newer := write(dir, "new", "bee", "cow")

	merged := runs.Merge(newer, older)
	for ok := merged.SeekFirst(); ok; ok = merged.Next() {
		value, err := merged.Value()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s is %s\n", merged.Key(), value)
	}
	fmt.Println(merged.Err())
	merged.Close()
	fmt.Println(dir.Close())
	// Output:
	// ant is old
	// bee is new
	// cow is new
	// fly is old
	// <nil>
	// <nil>
}
