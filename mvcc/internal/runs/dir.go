package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	crdb "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// Dir is a directory of run files. It is safe for concurrent use.
type Dir struct {
	fs   vfs.FS
	path string
	// bytes is what all files hold together.
	bytes atomic.Int64
	// removals counts the files that are not yet removed, or given up.
	removals sync.WaitGroup

	mu struct {
		sync.Mutex
		closed bool
		last   uint64 // the newest file's number
		files  map[*file]struct{}
		stuck  map[*file]struct{} // closed, but their removal failed
	}
}

// fileSuffix ends the name of each file of ours; before it are digits only.
const fileSuffix = ".run"

// OpenDir takes a directory over, and removes the run files that a crash left there. Other names are left alone. The
// directory is made by the first Create; until then there need not be one. No two Dirs may share a directory at the
// same time: the caller holds the lock of its database.
func OpenDir(fsys vfs.FS, path string) (*Dir, error) {
	d := &Dir{fs: fsys, path: path}
	d.mu.files = make(map[*file]struct{})
	d.mu.stuck = make(map[*file]struct{})
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !isFileName(name) {
			continue
		}
		name = filepath.Join(path, name)
		if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, crdb.Wrapf(err, "runs: cannot remove %s, which an earlier process left", name)
		}
	}
	return d, nil
}

// names lists the directory, which may be missing.
func (d *Dir) names() ([]string, error) {
	names, err := d.fs.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, crdb.Wrapf(err, "runs: cannot list the directory of temporary files %s", d.path)
	}
	return names, nil
}

func fileName(number uint64) string { return fmt.Sprintf("%06d%s", number, fileSuffix) }

func isFileName(name string) bool {
	digits, ours := strings.CutSuffix(name, fileSuffix)
	return ours && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// Bytes returns how much all run files hold at the moment, unfinished ones included.
func (d *Dir) Bytes() int64 { return d.bytes.Load() }

// Create begins a run.
func (d *Dir) Create(opts Options) (*Writer, error) {
	f, err := d.create()
	if err != nil {
		return nil, err
	}
	return newWriter(f, opts), nil
}

func (d *Dir) create() (*file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return nil, ErrClosed
	}
	_ = d.retryLocked() // it reports at Close what still cannot be removed then
	if err := d.fs.MkdirAll(d.path, 0o700); err != nil {
		return nil, crdb.Wrapf(err, "runs: cannot make the directory for temporary files %s", d.path)
	}
	d.mu.last++
	name := filepath.Join(d.path, fileName(d.mu.last))
	inner, err := d.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, crdb.Wrapf(err, "runs: cannot create the temporary file %s", name)
	}
	f := &file{dir: d, inner: inner, name: name, number: d.mu.last}
	d.mu.files[f] = struct{}{}
	d.removals.Add(1)
	return f, nil
}

// remove removes a file that is closed.
func (d *Dir) remove(f *file) {
	err := d.fs.Remove(f.name)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.mu.files, f)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.mu.stuck[f] = struct{}{}
	} else {
		d.bytes.Add(-f.size)
	}
	d.removals.Done()
}

// retryLocked removes what could not be removed before. REQUIRES: d.mu held.
func (d *Dir) retryLocked() error {
	var failed error
	for f := range d.mu.stuck {
		if err := d.fs.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, crdb.Wrapf(err, "runs: cannot remove the temporary file %s", f.name))
			continue
		}
		delete(d.mu.stuck, f)
		d.bytes.Add(-f.size)
	}
	return failed
}

// Close drops all runs, aborts what is being written, waits for the reads and writes under way, and removes the files,
// and the directory if nothing else is in it. It reports what could not be removed; the next OpenDir tries again. A
// second Close does nothing.
func (d *Dir) Close() error {
	d.mu.Lock()
	if d.mu.closed {
		d.mu.Unlock()
		return nil
	}
	d.mu.closed = true
	files := slices.Collect(maps.Keys(d.mu.files))
	d.mu.Unlock()

	for _, f := range files {
		f.drop()
	}
	d.removals.Wait()

	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.retryLocked(); err != nil {
		return err
	}
	return d.removeDirectory()
}

func (d *Dir) removeDirectory() error {
	names, err := d.names()
	if err != nil || len(names) > 0 {
		return err
	}
	if err := d.fs.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return crdb.Wrapf(err, "runs: cannot remove the directory of temporary files %s", d.path)
	}
	return nil
}
