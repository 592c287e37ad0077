package vfs

import (
	"strconv"
	"time"
)

// OpKind is a kind of file system operation.
type OpKind uint8

// The operations of FS and File. OpClose stands for closing a file and for
// releasing a lock.
const (
	OpOpen OpKind = iota
	OpRemove
	OpRename
	OpMkdirAll
	OpReadDir
	OpStat
	OpSyncDir
	OpLock
	OpRead
	OpWrite
	OpSize
	OpTruncate
	OpSync
	OpSyncData
	OpClose
)

var opNames = [...]string{
	OpOpen: "open", OpRemove: "remove", OpRename: "rename", OpMkdirAll: "mkdir",
	OpReadDir: "readdir", OpStat: "stat", OpSyncDir: "syncdir", OpLock: "lock",
	OpRead: "read", OpWrite: "write", OpSize: "size", OpTruncate: "truncate",
	OpSync: "sync", OpSyncData: "syncdata", OpClose: "close",
}

// String returns the name of the operation, such as "syncdir".
func (k OpKind) String() string {
	if int(k) < len(opNames) {
		return opNames[k]
	}
	return "op " + strconv.Itoa(int(k))
}

// Op is one operation on a Faulty, shown before it happens.
type Op struct {
	// Index numbers all operations, from 0.
	Index int64
	// Changes says that the operation may change what a crash leaves. Opening
	// does so when it may create or truncate.
	Changes bool
	// Change counts the changing operations before this one: for a changing
	// operation it is its number, from 0.
	Change int64
	// Kind is what is to be done.
	Kind OpKind
	// Name is the file or directory, as given when it was opened.
	Name string
	// NewName is the target of a rename.
	NewName string
	// Offset is that of a read or write in bytes, or the size for OpTruncate.
	Offset int64
	// Length is the number of bytes of a read or write.
	Length int
}

// Fault is what happens to an operation. The zero value lets it pass.
type Fault struct {
	// Err makes the operation fail. It is not carried out, except as far as
	// Short says. A sync that fails loses what it should have written (M6)
	// when the file is a Mem's.
	Err error
	// Short is how many bytes of a read or write are done before it fails,
	// with io.ErrShortWrite or io.ErrUnexpectedEOF when Err is nil.
	Short int
	// Delay holds the operation up first.
	Delay time.Duration
	// Wait holds the operation up until the channel is closed, before Err and
	// Short take effect: a hung fsync.
	Wait <-chan struct{}
	// PowerOff cuts the power before the operation.
	PowerOff bool
}
