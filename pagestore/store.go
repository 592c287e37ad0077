package pagestore

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/internal/vfs"
)

// Store is an open file. All methods are safe for concurrent use.
//
// Lock order: every lock here, and that of a checkpoint's allocator, is taken alone. None is held across I/O, except
// growing, which is for making the file longer.
type Store struct {
	name     string
	file     vfs.File
	log      *slog.Logger
	id       DatabaseID
	pageSize int
	seed     uint32 // of checksums
	readOnly bool

	// deltaLimit is the size in bytes up to which the edits of a leaf are kept as its delta; 0: no deltas are made.
	// deltaMemory is about how many bytes of deltas a merge holds before it builds leaves instead.
	deltaLimit, deltaMemory int
	mergers                 int // workers of MergeRanges; 0: as many as there are processors, up to maxMergers

	cache     *cache
	current   atomic.Pointer[View]
	closed    atomic.Bool
	fileBytes atomic.Int64
	growing   sync.Mutex // makes fileBytes and the file longer
	stats     ioStats

	// vacuumKey is where the search for overflow values at the end of the file goes on, per tree; rooms are made
	// for them. All of this belongs to the open checkpoint.
	vacuumKey [NumTrees][]byte
	rooms     []room
	hard      []keptRow

	vacuumMetDamage bool

	mu struct {
		sync.Mutex
		durable  *version // the one that current shows
		older    *version // the one in the other superblock; nil when that is unreadable
		olderLSN uint64
		lastSeq  uint64      // highest sequence given to a checkpoint
		open     *Checkpoint // or nil
		failed   error
		held     map[*version]int // versions that Check reads
	}
}

// version is a durable version with what allocation needs to know about it. It is never changed.
type version struct {
	view   *View
	sb     *superblock
	slot   int        // 0 or 1: the page of the superblock
	live   bitmap     // nil when the store is read-only
	chunks []childRef // the bitmap's pages
}

type ioStats struct {
	pageReads, pageWrites, syncs, readBytes, writtenBytes atomic.Int64
}

// ID returns the database id.
func (s *Store) ID() DatabaseID { return s.id }

// View returns the newest durable version of the trees. Views are immutable, cheap and need no release. A view stays
// readable while at most one newer checkpoint has been committed; after that its methods may return ErrStale, and the
// caller takes the current view and seeks again.
func (s *Store) View() *View { return s.current.Load() }

// OlderLogLSN returns the LogLSN of the older of the two superblocks: the log must be kept from there.
func (s *Store) OlderLogLSN() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.olderLSN
}

// protected reports whether the pages of v cannot have been reused.
func (s *Store) protected(v *View) bool {
	if s.current.Load().generation-v.generation < 2 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for held := range s.mu.held {
		if held.view == v {
			return true
		}
	}
	return false
}

// hold keeps the pages of the newest version from being reused until release is called.
func (s *Store) hold() (v *version, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v = s.mu.durable
	if s.mu.held == nil {
		s.mu.held = map[*version]int{}
	}
	s.mu.held[v]++
	return v, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.mu.held[v]--; s.mu.held[v] == 0 {
			delete(s.mu.held, v)
		}
	}
}

// Close releases the file and the cache. It waits for nobody: operations that are under way may fail with ErrClosed,
// later ones do. Views and cursors must not be used afterwards; if they are, they fail too. A second Close returns
// ErrClosed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	s.cache.close()
	return s.file.Close()
}

// Metrics are counters since Open and current readings.
type Metrics struct {
	CacheHits, CacheMisses, Evictions int64 // pages
	CacheBytes, CacheBudget           int64
	PageReads, PageWrites, Syncs      int64 // calls
	ReadBytes, WrittenBytes           int64
	FileBytes, FreeBytes, LiveBytes   int64
	PageSize                          int
	Sequence                          uint64
}

// Metrics returns counters and readings.
func (s *Store) Metrics() Metrics {
	sb := s.current.Load().sb
	file, live := s.fileBytes.Load(), sb.live*int64(s.pageSize)
	misses := s.cache.misses.Load()
	return Metrics{
		CacheHits: max(0, s.cache.uses()-misses), CacheMisses: misses, Evictions: s.cache.evictions.Load(),
		CacheBytes: s.cache.bytes.Load() + s.cache.large.bytes(), CacheBudget: s.cache.budget,
		PageReads: s.stats.pageReads.Load(), PageWrites: s.stats.pageWrites.Load(), Syncs: s.stats.syncs.Load(),
		ReadBytes: s.stats.readBytes.Load(), WrittenBytes: s.stats.writtenBytes.Load(),
		FileBytes: file, FreeBytes: max(0, file-live), LiveBytes: live,
		PageSize: s.pageSize, Sequence: sb.sequence,
	}
}
