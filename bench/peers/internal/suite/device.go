package suite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

const (
	deviceSize   = 16 << 20 // bytes, preallocated
	deviceRecord = 128      // bytes of a record: key, value and what a log needs besides
	deviceSlots  = deviceSize / deviceRecord
)

// device is a file that is as good a log as any: its blocks exist, so that a sync writes data and no metadata.
type device struct {
	file *os.File
	buf  []byte
}

func openDevice(path string) (*device, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(make([]byte, deviceSize)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &device{file: file}, file.Sync()
}

// append writes the record of a number behind the last one, from the start again at the end, and syncs.
func (d *device) append(seq uint64) error {
	d.buf = gen.AppendValue(d.buf[:0], seq, 0, deviceRecord)
	if _, err := d.file.WriteAt(d.buf, int64(seq%deviceSlots)*deviceRecord); err != nil {
		return err
	}
	return syncData(d.file)
}

// audit reads the newest records of n back.
func (d *device) audit(n uint64) error {
	got := make([]byte, deviceRecord)
	for seq := n - min(n, deviceSlots); seq < n; seq++ {
		if _, err := d.file.ReadAt(got, int64(seq%deviceSlots)*deviceRecord); err != nil {
			return err
		}
		if d.buf = gen.AppendValue(d.buf[:0], seq, 0, deviceRecord); !bytes.Equal(got, d.buf) {
			return fmt.Errorf("peers: record %d of the device is not what was written", seq)
		}
	}
	return nil
}

func (d *device) close() error { return errors.Join(d.file.Close(), os.Remove(d.file.Name())) }
