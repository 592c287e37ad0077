package main

import (
	"errors"
	"io"
	"os"
)

// newFile is a file that gets its name when it is whole. It never takes the place of another.
type newFile struct {
	*os.File
	path string
}

func createNew(path string) (*newFile, error) {
	if _, err := os.Stat(path); err == nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: os.ErrExist}
	}
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &newFile{f, path}, nil
}

// finish syncs and names the file, or removes it if writing it has failed with err, which it returns.
func (f *newFile) finish(err error) error {
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		return os.Rename(f.Name(), f.path)
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// writeNew makes a file of what write writes.
func writeNew(path string, write func(io.Writer) error) error {
	f, err := createNew(path)
	if err != nil {
		return err
	}
	return f.finish(write(f))
}
