package pagestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sombradb/sombra/internal/vfs"
)

const fileMode = 0o600

// Create makes a new file with empty trees, atomically: under a temporary name, synced, renamed, the directory synced.
// A file of that name makes it fail with an error that matches fs.ErrExist. Other errors: *OptionError, or what the
// file system says. Two Creates of one name must not run at once.
func Create(name string, id DatabaseID, opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if opts.ReadOnly {
		return nil, &OptionError{"ReadOnly", "is set, but creating a file writes; use Open"}
	}
	if _, err := opts.FS.Stat(name); err == nil {
		return nil, wrapIO(fs.ErrExist, name, "create")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, wrapIO(err, name, "create")
	}
	if err := writeEmpty(name, id, opts); err != nil {
		return nil, err
	}
	return Open(name, opts)
}

func writeEmpty(name string, id DatabaseID, opts Options) error {
	tmp := name + ".tmp"
	f, err := opts.FS.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return wrapIO(err, tmp, "create")
	}
	err = writeSupers(f, id, opts.PageSize)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = opts.FS.Rename(tmp, name)
	}
	if err == nil {
		err = opts.FS.SyncDir(filepath.Dir(name))
	}
	if err != nil {
		_ = opts.FS.Remove(tmp)
		return wrapIO(err, name, "create")
	}
	return nil
}

// writeSupers writes both superblocks, so that neither is ever missing, only damaged.
func writeSupers(f vfs.File, id DatabaseID, pageSize int) error {
	if err := f.Truncate(int64(2 * pageSize)); err != nil {
		return err
	}
	for slot := range 2 {
		sb := superblock{pageSize: pageSize, id: id, sequence: uint64(slot + 1), end: 2, live: 2}
		if _, err := f.WriteAt(sb.encode(), int64(slot*pageSize)); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Open opens an existing file at its newest valid superblock. Unless Options.ReadOnly is set, it writes that
// superblock again and syncs: after a failed sync the system may show what the disk does not have, and the next
// checkpoint builds on it. A damaged superblock is replaced by the other one. Errors: *NotDatabaseError, *VersionError, *TruncatedError, *CorruptionError, *OptionError,
// or what the file system says (fs.ErrNotExist when there is no file). After an error nothing was changed.
func Open(name string, opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	info, err := opts.FS.Stat(name)
	if err != nil {
		return nil, wrapIO(err, name, "open")
	}
	if info.IsDir() {
		return nil, &NotDatabaseError{File: name, Found: "a directory"}
	}
	flag := os.O_RDWR
	if opts.ReadOnly {
		flag = os.O_RDONLY
	}
	f, err := opts.FS.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, wrapIO(err, name, "open")
	}
	s := &Store{name: name, file: f, log: opts.Logger, readOnly: opts.ReadOnly}
	if err := s.load(opts); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// load finds the newest version and prepares the store for it.
func (s *Store) load(opts Options) error {
	size, err := s.file.Size()
	if err != nil {
		return s.ioError(err, "find the size")
	}
	s.fileBytes.Store(size)
	supers, err := s.readSupers(size)
	if err != nil {
		return err
	}
	slot := 0
	if supers[0] == nil || supers[1] != nil && supers[1].sequence > supers[0].sequence {
		slot = 1
	}
	sb := supers[slot]
	s.id, s.pageSize, s.seed = sb.id, sb.pageSize, checksumSeed(sb.id)
	s.deltaLimit, s.deltaMemory = s.pageSize*deltaShare/100, maxDeltaMemory
	if need := int64(sb.end) * int64(s.pageSize); size < need {
		return &TruncatedError{File: s.name, Size: size, Need: need}
	}
	if err := s.loadVersions(sb, supers[1-slot], slot); err != nil {
		return err
	}
	if s.cache, err = newCache(opts.CacheBytes, s.pageSize); err != nil {
		return s.ioError(err, "take %d bytes for the page cache", opts.CacheBytes)
	}
	if s.readOnly {
		return nil
	}
	if err := s.rewriteSuper(sb, slot); err != nil || supers[1-slot] != nil {
		return err
	}
	return s.rewriteSuper(sb, 1-slot) // the damaged one: there must be two again
}

// loadVersions reads the bitmaps of both superblocks, so that neither's pages are taken.
func (s *Store) loadVersions(sb, other *superblock, slot int) error {
	cur := &version{slot: slot, sb: sb, view: &View{s: s, sb: sb, generation: 1}}
	s.mu.durable, s.mu.olderLSN = cur, sb.meta.LogLSN
	s.mu.lastSeq = sb.sequence
	s.current.Store(cur.view)
	if other != nil {
		s.mu.olderLSN = min(sb.meta.LogLSN, other.meta.LogLSN)
	}
	if s.readOnly {
		if other != nil {
			s.mu.older = &version{slot: 1 - slot, sb: other, view: &View{s: s, sb: other}}
		}
		return nil
	}
	var err error
	if cur.live, cur.chunks, err = s.readMap(sb); err != nil {
		return err
	}
	if other == nil {
		return nil
	}
	older := &version{slot: 1 - slot, sb: other, view: &View{s: s, sb: other}}
	if older.live, older.chunks, err = s.readMap(other); err != nil {
		// The older version could not be opened anyway; it is nothing that must be protected.
		s.log.Warn("pagestore: the older version of the file is damaged", "file", s.name, "error", err)
		return nil
	}
	s.mu.older = older
	return nil
}

func (s *Store) rewriteSuper(sb *superblock, slot int) error {
	if _, err := s.file.WriteAt(sb.encode(), int64(slot*s.pageSize)); err != nil {
		return s.ioError(err, "write superblock %d", slot)
	}
	return s.sync()
}

// readSupers returns the two superblocks; one of them may be nil.
func (s *Store) readSupers(size int64) (supers [2]*superblock, err error) {
	if size == 0 {
		return supers, &NotDatabaseError{File: s.name, Found: "an empty file"}
	}
	b := make([]byte, superSize)
	n, err := s.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return supers, s.ioError(err, "read superblock 0")
	}
	magic := n >= len(superMagic) && string(b[:len(superMagic)]) == superMagic
	if magic && size < 2*MinPageSize {
		return supers, &TruncatedError{File: s.name, Size: size, Need: 2 * MinPageSize}
	}
	first, what0, err := s.parseSuper(b[:n], 0)
	if err != nil {
		return supers, err
	}
	second, what1, err := s.findSecond(first, size)
	if err != nil {
		return supers, err
	}
	return s.chooseSupers(first, second, what0, what1, magic)
}

func (s *Store) chooseSupers(first, second *superblock, what0, what1 string, magic bool) (supers [2]*superblock, err error) {
	switch {
	case first == nil && second == nil && !magic:
		return supers, &NotDatabaseError{File: s.name, Found: "a file of another kind"}
	case first == nil && second == nil:
		return supers, s.corrupt(0, "both superblocks are damaged: the first: "+what0+"; the second: "+what1)
	case first != nil && second != nil && first.id != second.id:
		return supers, s.corrupt(0, "its superblocks belong to two databases")
	case first == nil:
		s.log.Warn("pagestore: superblock is damaged, using the other one", "file", s.name, "page", 0, "what", what0)
	case second == nil:
		s.log.Warn("pagestore: superblock is damaged, using the other one", "file", s.name, "page", 1, "what", what1)
	}
	return [2]*superblock{first, second}, nil
}

// findSecond reads the superblock in page 1. When the first one is damaged, the page size is not known, and every
// possible place is tried.
func (s *Store) findSecond(first *superblock, size int64) (sb *superblock, what string, err error) {
	for ps := MinPageSize; ps <= MaxPageSize; ps *= 2 {
		if first != nil && first.pageSize != ps || int64(2*ps) > size {
			continue
		}
		b := make([]byte, superSize)
		n, err := s.file.ReadAt(b, int64(ps))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, "", s.ioError(err, "read superblock 1")
		}
		sb, what, err = s.parseSuper(b[:n], ps)
		if sb != nil || err != nil {
			return sb, what, err
		}
	}
	if first != nil && int64(2*first.pageSize) > size {
		return nil, "", &TruncatedError{File: s.name, Size: size, Need: int64(2 * first.pageSize)}
	}
	return nil, what, nil
}

// parseSuper decodes a superblock read at off, which says its page size if it is not 0. A newer version is an error;
// damage is only described.
func (s *Store) parseSuper(b []byte, off int) (*superblock, string, error) {
	if len(b) < superSize {
		return nil, fmt.Sprintf("only %d of its %d bytes are there", len(b), superSize), nil
	}
	version, what := superVersion(b)
	if what != "" {
		return nil, what, nil
	}
	if version == 0 || version > formatVersion {
		return nil, "", &VersionError{File: s.name, Found: version, Know: formatVersion}
	}
	sb, what := decodeSuperblock(b)
	if what != "" {
		return nil, what, nil
	}
	if off != 0 && sb.pageSize != off {
		return nil, fmt.Sprintf("it says that pages have %d bytes and lies at %d", sb.pageSize, off), nil
	}
	return sb, "", nil
}
