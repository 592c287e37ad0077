package mvcc

import (
	"io/fs"
	"path/filepath"

	cerrors "github.com/cockroachdb/errors"

	"github.com/sombradb/sombra/internal/vfs"
)

// draftSuffix ends the names of a new database until it is whole.
const draftSuffix = ".part"

// draft is a database in the making, which gets its name when it is whole; so one of that name is whole or is not there.
type draft struct {
	fs        vfs.FS
	dst, part string // the name, and the one until then
}

func newDraft(fsys vfs.FS, dst string) draft {
	dst = filepath.Clean(dst)
	return draft{fs: fsys, dst: dst, part: dst + draftSuffix}
}

// vacant verifies that there is nothing at the destination, and removes what an interrupted attempt has left: also a log that has its
// name already, beside a data file that does not.
func (d draft) vacant() error {
	taken := func(name string) bool {
		_, err := d.fs.Stat(name)
		return err == nil
	}
	log := d.dst + logSuffix
	switch {
	case taken(d.dst):
		return cerrors.Wrapf(fs.ErrExist, "mvcc: %s: name a new database to save to", d.dst)
	case taken(log) && (!taken(d.part) || taken(d.part+logSuffix)):
		return cerrors.Wrapf(fs.ErrExist, "mvcc: %s: name a new database to save to", log)
	}
	d.removeDir(log)
	d.discard()
	return nil
}

// discard removes the unfinished database as far as it can.
func (d draft) discard() {
	d.removeDir(d.part + logSuffix)
	d.removeDir(d.part + tempSuffix)
	for _, name := range []string{d.part, d.part + ".tmp", d.part + lockSuffix} {
		_ = d.fs.Remove(name)
	}
}

func (d draft) removeDir(dir string) {
	names, err := d.fs.ReadDir(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		_ = d.fs.Remove(filepath.Join(dir, name))
	}
	_ = d.fs.Remove(dir)
}

// name gives the new database its name: the data file last, for without it there is no database.
func (d draft) name() error {
	dir := filepath.Dir(d.dst)
	for _, step := range []func() error{
		func() error { return d.fs.Rename(d.part+logSuffix, d.dst+logSuffix) },
		func() error { return d.fs.SyncDir(dir) },
		func() error { return d.fs.Rename(d.part, d.dst) },
		func() error { return d.fs.SyncDir(dir) },
	} {
		if err := step(); err != nil {
			return cerrors.Wrapf(err, "mvcc: naming the new database %s", d.dst)
		}
	}
	d.discard()
	return nil
}
