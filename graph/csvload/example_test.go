package csvload_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/graph"
	"github.com/sombradb/sombra/graph/csvload"
)

func ExampleRun() {
	dir, err := os.MkdirTemp("", "csvload-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	people, knows := filepath.Join(dir, "people.csv"), filepath.Join(dir, "knows.csv")
	for path, content := range map[string]string{
		people: "~id,~label,name,born:int\na,Person,Ann,1990\nb,Person,Bob,19xx\nc,Person,Cid,\n",
		knows:  "~from,~to,~label\na,c,KNOWS\na,b,KNOWS\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	db, err := graph.Open(filepath.Join(dir, "social.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	result, err := csvload.Run(context.Background(), db, csvload.Config{
		Nodes: []string{people}, Edges: []string{knows}, ImportKey: "friends", SkipBad: true,
	})
	fmt.Printf("%+v %+v %v\n", result.Nodes, result.Edges, err)
	for _, bad := range result.Bad {
		fmt.Println(filepath.Base(bad.File), bad.Row, bad.Column, bad.Value, bad.Want)
	}
	// Output:
	// {Created:2 Existing:0 Bad:1} {Created:1 Existing:0 Bad:1} <nil>
	// people.csv 3 born:int 19xx an integer from -2147483648 to 2147483647
	// knows.csv 3 ~to b the id of a node that was imported under the key "friends"
}
