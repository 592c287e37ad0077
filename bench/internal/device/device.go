// Package device is what a disk allows: a file that is as good a log as any. Its blocks exist before, so that a sync
// writes data and no metadata; records are appended, and each append is synced.
package device

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/sombradb/sombra/bench/internal/gen"
)

const fileSize = 16 << 20 // bytes, preallocated

// DefaultRecord is the size of a record in bytes: a key of 16 and a value of 100, and what a log needs besides.
const DefaultRecord = 128

// Device is an open file. Not safe for concurrent use.
type Device struct {
	file   *os.File
	buf    []byte
	record int // bytes
	slots  uint64
}

// Open creates a file for records of a size. REQUIRES: 1 <= record <= 16 MiB.
func Open(path string, record int) (*Device, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(make([]byte, fileSize)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Device{file: file, record: record, slots: uint64(fileSize / record)}, file.Sync()
}

// MaxRecord is the greatest size of a record in bytes.
const MaxRecord = fileSize

// Append writes the record of a number behind the last one, from the start again at the end, and syncs.
func (d *Device) Append(seq uint64) error { return d.appendAll(seq, 1) }

func (d *Device) at(seq uint64) int64 { return int64(seq%d.slots) * int64(d.record) }

// Audit reads the newest records of n back. Records that are not what was written are an error.
func (d *Device) Audit(n uint64) error {
	got := make([]byte, d.record)
	for seq := n - min(n, d.slots); seq < n; seq++ {
		if _, err := d.file.ReadAt(got, d.at(seq)); err != nil {
			return err
		}
		if d.buf = gen.AppendValue(d.buf[:0], seq, 0, d.record); !bytes.Equal(got, d.buf) {
			return fmt.Errorf("bench: record %d of the device is not what was written", seq)
		}
	}
	return nil
}

// Close closes and removes the file.
func (d *Device) Close() error { return errors.Join(d.file.Close(), os.Remove(d.file.Name())) }
