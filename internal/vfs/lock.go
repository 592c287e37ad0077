package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// lockFileMode lets every user who can open the database see who holds it.
const lockFileMode = 0o644

func (osFS) Lock(name string, shared bool) (io.Closer, error) {
	f, writable, err := openLockFile(name, shared)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return noLock{}, nil
	}
	if err := flockFile(f, shared); err != nil {
		err = lockFailure(f, err)
		_ = f.Close() // nothing was written and no lock is held
		return nil, err
	}
	if writable {
		writePID(f)
	}
	return &osLock{file: f, clear: writable && !shared}, nil
}

// openLockFile opens the file for writing, or, for a shared lock on a medium
// that refuses writing, for reading. The file is nil when such a medium has no
// lock file: nobody can write there, so there is nothing to exclude.
func openLockFile(name string, shared bool) (f *os.File, writable bool, err error) {
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, lockFileMode)
	if err == nil {
		return f, true, nil
	}
	if !shared || !refusesWriting(err) {
		return nil, false, err
	}
	f, err = os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return f, false, err
}

func lockFailure(f *os.File, err error) error {
	if errors.Is(err, errWouldBlock) {
		return &LockedError{Path: f.Name(), PID: readPID(f)}
	}
	return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
}

// osLock holds a lock through one open file.
type osLock struct {
	file  *os.File
	clear bool // the holder is alone and empties the file when it leaves
}

// Close releases the lock. The file stays: removing it would let a third
// process lock a new file while a second one still waits for the old.
func (l *osLock) Close() error {
	if l.clear {
		// A stale id would only mislead a reader of the file, so a failure
		// here is no reason to fail.
		_ = l.file.Truncate(0)
	}
	// The explicit unlock comes first, because a child process between fork
	// and exec may hold the open file a moment longer than we do.
	unlockErr := unlockFile(l.file)
	if err := l.file.Close(); err != nil {
		return err
	}
	return unlockErr
}

// noLock stands for a shared lock where no lock file can exist.
type noLock struct{}

func (noLock) Close() error { return nil }

func pidText(pid int) []byte { return fmt.Appendf(nil, "pid %d\n", pid) }

// writePID stores the holder's id. It is a hint for people, so a full disk must
// not keep a database from being opened.
func writePID(f *os.File) {
	text := pidText(os.Getpid())
	if _, err := f.WriteAt(text, 0); err == nil {
		_ = f.Truncate(int64(len(text)))
	}
}

// readPID returns the id in the file's first line, or 0.
func readPID(r io.ReaderAt) int {
	var buf [32]byte
	n, _ := r.ReadAt(buf[:], 0)
	return parsePID(buf[:n])
}

// parsePID reads "pid 123\n". What follows the line may be the rest of a longer
// one, left by shared holders that wrote at the same time.
func parsePID(text []byte) int {
	line, _, found := bytes.Cut(text, []byte("\n"))
	digits, hasPrefix := bytes.CutPrefix(line, []byte("pid "))
	pid, err := strconv.Atoi(string(digits))
	if !found || !hasPrefix || err != nil || pid < 0 {
		return 0
	}
	return pid
}
