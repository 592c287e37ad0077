package pagestore

import (
	"log/slog"
	"math/bits"

	"github.com/sombradb/sombra/internal/vfs"
)

// DatabaseID identifies a database for life. It is in every superblock and seeds the checksum of every page, so that
// a page of another database is recognised.
type DatabaseID [16]byte

// TreeID names one of the trees that every store has.
type TreeID uint8

// The trees. Their keys are opaque, ordered by bytes.Compare.
const (
	DataTree    TreeID = 0
	HistoryTree TreeID = 1
	NumTrees           = 2
)

// Limits of a record.
const (
	MaxKeySize   = 64 << 10 // bytes; nodes with long keys take several contiguous pages
	MaxValueSize = 1 << 30  // bytes
)

// Limits of options.
const (
	MinPageSize     = 4 << 10  // bytes
	MaxPageSize     = 64 << 10 // bytes
	defaultPageSize = 8 << 10
	defaultCache    = 32 << 20
	minCache        = 1 << 20
)

// PageID numbers a page; its offset in the file is PageID x page size.
type PageID uint64

// maxPageID keeps page x page size far from overflowing an int64.
const maxPageID PageID = 1 << 44

// Options configures a store. FS is required.
type Options struct {
	// FS is where the file lies.
	FS vfs.FS
	// PageSize is used at creation only: a power of two from 4 KiB to 64 KiB; 0 means 8 KiB.
	PageSize int
	// CacheBytes is the memory for cached pages; 0 means 32 MiB, at least 1 MiB.
	CacheBytes int64
	// ReadOnly opens without writing anything; Begin fails with ErrReadOnly.
	ReadOnly bool
	// Logger receives warnings about survivable damage; nil is silent.
	Logger *slog.Logger
}

// withDefaults fills in zero values and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		return o, &OptionError{"FS", "is nil; pass the file system that holds the file"}
	}
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	if !validPageSize(o.PageSize) {
		return o, &OptionError{"PageSize", "must be a power of two from 4096 to 65536"}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.CacheBytes < minCache {
		return o, &OptionError{"CacheBytes", "must be at least 1 MiB (1048576)"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func validPageSize(n int) bool {
	return n >= MinPageSize && n <= MaxPageSize && bits.OnesCount(uint(n)) == 1
}

// Meta is what a checkpoint records for the store's owner.
type Meta struct {
	// Timestamp is the newest timestamp in the trees.
	Timestamp uint64
	// LogLSN is where the log continues what the trees hold.
	LogLSN uint64
	// Owner is opaque to the store.
	Owner [256]byte
}

// Record is one key's entry as stored.
type Record struct {
	Key       []byte
	Value     []byte // nil when the value lies in overflow pages and was not asked for
	Timestamp uint64
	Ref       OverflowRef // set when the value lies in overflow pages
}

// OverflowRef says where a large value lies. The zero value means that there is none. It is valid in the store and
// checkpoint that gave it only.
type OverflowRef struct {
	Page PageID
	Size int64

	birth uint64 // the checkpoint that wrote the value
}

// Edit is one change: a put, or a delete when Delete is set.
type Edit struct {
	Key       []byte
	Value     []byte
	Timestamp uint64
	Delete    bool
	Ref       OverflowRef // when set, the put takes over this value instead of Value
}
