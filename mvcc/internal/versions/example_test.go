package versions_test

import (
	"fmt"

	"github.com/sombradb/sombra/mvcc/internal/versions"
)

func put(key, value string) versions.Write {
	return versions.Write{Key: []byte(key), Value: []byte(value), Kind: versions.Put}
}

func remove(key string) versions.Write {
	return versions.Write{Key: []byte(key), Kind: versions.Delete}
}

// Each snapshot sees the commits at or before its timestamp, and no others.
func ExampleTable() {
	table := versions.New([][]byte{[]byte("m")})
	table.Apply(1, []versions.Write{put("ant", "six legs"), put("rook", "two legs")})
	table.Apply(2, []versions.Write{put("ant", "6 legs")})

	fmt.Printf("%s\n", table.Get([]byte("ant"), 1).Value)
	fmt.Printf("%s\n", table.Get([]byte("ant"), 2).Value)
	fmt.Println(table.Get([]byte("ant"), 0) == nil)
	key, found := table.NewerInRange([]byte("a"), []byte("z"), 1)
	fmt.Printf("%s %v\n", key, found)
	// Output:
	// six legs
	// 6 legs
	// true
	// ant true
}

// A cursor shows deletes too: they hide what the base tree has.
func ExampleCursor() {
	table := versions.New(nil)
	table.Apply(1, []versions.Write{put("ant", "A"), put("bee", "B"), put("cat", "C")})
	table.Apply(2, []versions.Write{remove("bee"), put("dog", "D")})

	cursor := table.Cursor(2)
	for ok := cursor.Seek([]byte("b")); ok; ok = cursor.Next() {
		fmt.Printf("%s %v\n", cursor.Key(), cursor.Version().Kind)
	}
	cursor.Reset(table, 1)
	for ok := cursor.SeekLT(nil); ok; ok = cursor.Prev() {
		fmt.Printf("%s %s\n", cursor.Key(), cursor.Version().Value)
	}
	// Output:
	// bee delete
	// cat put
	// dog put
	// cat C
	// bee B
	// ant A
}

// Prune keeps, of the versions at or before the oldest snapshot, only the newest.
func ExampleTable_Prune() {
	table := versions.New(nil)
	for timestamp := uint64(1); timestamp <= 4; timestamp++ {
		table.Apply(timestamp, []versions.Write{put("ant", fmt.Sprint(timestamp))})
	}
	oldestSnapshot := uint64(3)
	fmt.Println(table.Prune(oldestSnapshot) > 0)
	for v := table.Newest([]byte("ant")); v != nil; v = v.Older() {
		fmt.Printf("%s\n", v.Value)
	}
	// Output:
	// true
	// 4
	// 3
}
