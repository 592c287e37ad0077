package invariants_test

import (
	"fmt"

	"github.com/sombradb/sombra/internal/invariants"
)

// buffer shows the use of the package: a released buffer is overwritten in
// checked builds, and using it afterwards is found.
type buffer struct {
	closed invariants.CloseChecker
	data   []byte
}

func (b *buffer) release() {
	b.closed.Close("buffer")
	invariants.Poison(b.data)
}

func Example() {
	b := buffer{data: []byte("page")}
	invariants.Assert(len(b.data) == 4, "a buffer of %d bytes", len(b.data))
	b.closed.AssertOpen("buffer")
	fmt.Println(string(b.data))
	b.release()
	// Output: page
}
