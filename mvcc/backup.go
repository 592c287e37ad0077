package mvcc

import (
	"bufio"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"

	cerrors "github.com/cockroachdb/errors"
)

// A backup is a stream of all pairs of all keyspaces at one moment, in the order of their keys; docs/format.md has every byte.
//
//	header                           magic, format version, database id, timestamp
//	frame*: keyspace                 its name; the pairs that follow are its
//	        pairs                    about 64 KiB of them
//	        end                      how many keyspaces and pairs there were
//
// Each frame ends in a checksum that includes the one before; so what is cut off, left out or put elsewhere is noticed, and a
// backup without its end is none. It does not depend on page size, log or the order of pages, and it holds no garbage; restoring
// it writes a compact file. It is read in a snapshot, which pins a moment and no pages (R3): the backup of a large database may take hours.

const (
	backupMagic      = "SOMBRABK"
	backupVersion    = 1
	backupHeaderSize = 40
	// backupFrame is when a frame of pairs is written.
	backupFrame = 64 << 10
	// maxBackupFrame bounds a frame: a pair of the greatest size behind an almost full frame.
	maxBackupFrame = backupFrame + MaxKeySize + MaxValueSize + 2*binary.MaxVarintLen64
)

// Kinds of frames.
const (
	backupKeyspace = 1
	backupPairs    = 2
	backupEnd      = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BackupReport says what a backup holds.
type BackupReport struct {
	Timestamp Timestamp // all commits up to it are in the backup, and none after it
	Keyspaces int64
	Pairs     int64
	Bytes     int64 // of the stream
}

// Backup writes a copy of the database as of one moment to w, while others read and write. It is everything that Restore needs. The history
// of Options.Retain is not in it. The database's limits of time do not hold for it, but MaxSnapshotAge does.
//
// Memory is bounded, but for a buffer of the largest value. A w that is slow holds nobody up; meanwhile what is overwritten goes to history.
// If Backup fails, what w has got is not a backup, and Restore says so. Errors: those of w, of ctx, and of reading.
func (db *DB) Backup(ctx context.Context, w io.Writer) (*BackupReport, error) {
	b := &backupWriter{w: bufio.NewWriterSize(w, 1<<20)}
	opts := &TxnOptions{ReadOnly: true, Label: "backup", Timeout: -1, IdleTimeout: -1}
	err := db.viewWith(ctx, opts, func(tx *Txn) error { return b.database(tx) })
	if err == nil {
		err = b.end()
	}
	if err != nil {
		return nil, err
	}
	return &b.report, nil
}

// backupWriter writes a backup.
type backupWriter struct {
	w      *bufio.Writer
	sum    uint32 // of the header or frame before
	frame  []byte // the one being filled: 4 bytes length, 1 byte kind, payload
	report BackupReport
}

func (b *backupWriter) database(tx *Txn) error {
	ts, err := tx.Snapshot()
	if err != nil {
		return err
	}
	b.report.Timestamp = ts
	if err := b.header(tx.db.ID()); err != nil {
		return err
	}
	for item, err := range tx.Scan(tx.db.keyspaces.catalog, Prefix([]byte(catalogNames))) {
		if err != nil {
			return err
		}
		id, err := tx.catalogID(item.Key)
		if err != nil {
			return err
		}
		ks := &Keyspace{db: tx.db, id: id, name: string(item.Key[len(catalogNames):]), prefix: makePrefix(id)}
		if err := b.keyspace(tx, ks); err != nil {
			return err
		}
	}
	return nil
}

func (b *backupWriter) header(id [16]byte) error {
	h := make([]byte, 0, backupHeaderSize)
	h = append(h, backupMagic...)
	h = binary.LittleEndian.AppendUint32(h, backupVersion)
	h = append(h, id[:]...)
	h = binary.LittleEndian.AppendUint64(h, uint64(b.report.Timestamp))
	b.sum = crc32.Checksum(h, castagnoli)
	return b.write(binary.LittleEndian.AppendUint32(h, b.sum))
}

func (b *backupWriter) keyspace(tx *Txn, ks *Keyspace) error {
	b.report.Keyspaces++
	b.begin(backupKeyspace)
	b.frame = append(b.frame, ks.name...)
	if err := b.flush(); err != nil {
		return err
	}
	b.begin(backupPairs)
	for item, err := range tx.Scan(ks, Range{}) {
		if err != nil {
			return err
		}
		b.report.Pairs++
		b.frame = append(binary.AppendUvarint(b.frame, uint64(len(item.Key))), item.Key...)
		b.frame = append(binary.AppendUvarint(b.frame, uint64(len(item.Value))), item.Value...)
		if len(b.frame) >= backupFrame {
			if err := b.flush(); err != nil {
				return err
			}
			b.begin(backupPairs)
		}
	}
	return b.flush()
}

// end writes the last frame.
func (b *backupWriter) end() error {
	b.begin(backupEnd)
	b.frame = binary.LittleEndian.AppendUint64(b.frame, uint64(b.report.Keyspaces))
	b.frame = binary.LittleEndian.AppendUint64(b.frame, uint64(b.report.Pairs))
	if err := b.flush(); err != nil {
		return err
	}
	return b.failed(b.w.Flush())
}

// begin begins a frame. A buffer that a large value has made is not kept.
func (b *backupWriter) begin(kind byte) {
	if cap(b.frame) > 4*backupFrame {
		b.frame = nil
	}
	b.frame = append(b.frame[:0], 0, 0, 0, 0, kind)
}

// flush writes the frame, unless it is one of pairs without a pair.
func (b *backupWriter) flush() error {
	n := len(b.frame) - 5
	if n == 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(b.frame, uint32(n))
	b.sum = crc32.Update(b.sum, castagnoli, b.frame)
	b.frame = binary.LittleEndian.AppendUint32(b.frame, b.sum)
	return b.write(b.frame)
}

func (b *backupWriter) write(p []byte) error {
	n, err := b.w.Write(p)
	b.report.Bytes += int64(n)
	return b.failed(err)
}

func (b *backupWriter) failed(err error) error {
	return cerrors.Wrapf(err, "mvcc: writing a backup, after %d bytes", b.report.Bytes)
}
