package kit

import (
	"fmt"
	"strings"
)

// Key names a list. Keys are numbers so that ranges of them mean something; the
// driver of a store encodes them in an order that agrees.
type Key uint64

// Value is an element of a list. No two operations of a history append the same
// value to the same key.
type Value uint64

// OpKind says what an operation does.
type OpKind uint8

// The operations.
const (
	OpAppend    OpKind = iota + 1 // Value goes to the end of the list at Key
	OpRead                        // the list at Key was List
	OpReadRange                   // the lists at the keys from Key up to End, without End, were Rows
)

// Op is an operation of a transaction: what was asked and, for reads, what the
// store answered.
type Op struct {
	Kind OpKind
	// Held: nobody may change what was read until the transaction commits, at any
	// level. It stands for reads that lock, and for writing back what was read.
	Held  bool
	Key   Key
	End   Key
	Value Value
	List  []Value
	Rows  []Row // of the keys that were found, in any order
}

// Row is one key that a range read found.
type Row struct {
	Key  Key
	List []Value
}

// Append returns the operation that appends a value.
func Append(key Key, value Value) Op { return Op{Kind: OpAppend, Key: key, Value: value} }

// Read returns the operation that read a list; an absent key has an empty one.
func Read(key Key, list ...Value) Op { return Op{Kind: OpRead, Key: key, List: list} }

// ReadRange returns the operation that read the keys from <= key < end. Keys of
// the history that are in the range and not in rows were absent.
func ReadRange(from, end Key, rows ...Row) Op {
	return Op{Kind: OpReadRange, Key: from, End: end, Rows: rows}
}

// Txn is a transaction as its client saw it.
type Txn struct {
	// Process is whoever ran it. A process runs one transaction after the other.
	Process int
	Level   Level
	Status  Status
	// Invoked and Completed are ticks of one clock of the whole history: taken
	// before the first operation was sent, and after the outcome was known.
	// Zero means that they are not known.
	Invoked, Completed int64
	// Ops are in the order in which they were run.
	Ops []Op
}

// History is what the clients of a store observed. Transaction i of Txns is
// called Ti in reports. Those of one process are in the order in which they ran.
type History struct {
	Txns []Txn
}

// shownElements is how much of a list is printed: its end tells what was seen.
const shownElements = 8

func writeList(b *strings.Builder, list []Value) {
	b.WriteByte('[')
	if skipped := len(list) - shownElements; skipped > 0 {
		fmt.Fprintf(b, "(%d more) ", skipped)
		list = list[skipped:]
	}
	for i, v := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(b, uint64(v))
	}
	b.WriteByte(']')
}

func listString(list []Value) string {
	var b strings.Builder
	writeList(&b, list)
	return b.String()
}

// String returns the operation in short: "append 3 to 1", "read 1=[2 3]",
// "read [1,9) {1=[2 3] 4=[7]}".
func (o Op) String() string {
	var b strings.Builder
	if o.Held {
		b.WriteString("hold and ")
	}
	switch o.Kind {
	case OpAppend:
		fmt.Fprintf(&b, "append %d to %d", o.Value, o.Key)
	case OpRead:
		fmt.Fprintf(&b, "read %d=", o.Key)
		writeList(&b, o.List)
	case OpReadRange:
		fmt.Fprintf(&b, "read [%d,%d) {", o.Key, o.End)
		for i, r := range o.Rows {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%d=", r.Key)
			writeList(&b, r.List)
		}
		b.WriteByte('}')
	default:
		fmt.Fprintf(&b, "operation of kind %d", o.Kind)
	}
	return b.String()
}

// String returns level, status, process and operations on one line.
func (t Txn) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %v, process %d", t.Level, t.Status, t.Process)
	if t.Invoked != 0 {
		fmt.Fprintf(&b, ", from %d", t.Invoked)
	}
	if t.Completed != 0 {
		fmt.Fprintf(&b, " to %d", t.Completed)
	}
	for i, o := range t.Ops {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		b.WriteString(o.String())
	}
	return b.String()
}
