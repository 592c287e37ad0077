package mvcc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	cerrors "github.com/cockroachdb/errors"
)

// Restore makes a new database at path from a backup. It has all commits up to the backup's timestamp, a new id, and a history that begins
// now; its commits get timestamps above those of the backup. It appears under its name as a whole or not at all: an attempt that dies
// leaves files that end in ".part", which the next one removes.
//
// Each keyspace is loaded in bulk, as DB.Load does. Memory is bounded by the budget, but for a buffer of the largest value. Restore
// may read ahead of the backup's end.
//
// Errors: fs.ErrExist when there is something at path; ErrNotBackup when r does not begin as a backup does; ErrVersion; ErrCorrupt when the backup is
// damaged or cut off, with the place in bytes; those of r, of ctx and of the file system. Options.ReadOnly and MustExist are ErrInvalid.
func Restore(ctx context.Context, r io.Reader, path string, opts *Options) (*BackupReport, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if path == "" {
		return nil, &ArgumentError{"path is empty"}
	}
	o := opts.withDefaults()
	if o.ReadOnly || o.MustExist {
		return nil, &ArgumentError{"a restored database is new: ReadOnly and MustExist make no sense"}
	}
	rd := &backupReader{ctx: ctx, r: bufio.NewReaderSize(r, 1<<20)}
	if err := rd.header(); err != nil {
		return nil, err // before anything is created
	}
	d := newDraft(o.FS, path)
	if err := d.vacant(); err != nil {
		return nil, err
	}
	if err := rd.fill(d.part, &o); err != nil {
		d.discard()
		return nil, err
	}
	if err := d.name(); err != nil {
		return nil, err
	}
	return &rd.report, nil
}

// backupReader reads a backup.
type backupReader struct {
	ctx    context.Context
	r      *bufio.Reader
	sum    uint32 // of the header or frame before
	kind   byte   // of the frame
	frame  bytes.Buffer
	report BackupReport
}

// fill makes the database with the content of the backup.
func (b *backupReader) fill(path string, o *Options) (err error) {
	db, err := Open(path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.commits.begin(b.report.Timestamp)
	if err := b.next(); err != nil {
		return err
	}
	for b.kind == backupKeyspace {
		name := b.frame.String()
		if err := checkKeyspaceName(name); err != nil {
			return b.corrupt("the name of a keyspace has %d bytes", len(name))
		}
		b.report.Keyspaces++
		_, err := db.Load(b.ctx, name, b.keyspace)
		if errors.Is(err, ErrKeyspaceExists) {
			return b.corrupt("the keyspace %q is in it twice", name)
		}
		if err != nil {
			return err
		}
	}
	return b.verifyEnd()
}

// keyspace loads the pairs that follow, up to a frame of another kind.
func (b *backupReader) keyspace(l *Loader) error {
	for {
		if err := b.next(); err != nil {
			return err
		}
		if b.kind != backupPairs {
			return nil
		}
		if err := b.pairs(l, b.frame.Bytes()); err != nil {
			return err
		}
	}
}

func (b *backupReader) pairs(l *Loader, p []byte) error {
	for len(p) > 0 {
		key, rest, ok := cutField(p)
		value, rest, ok2 := cutField(rest)
		if !ok || !ok2 {
			return b.corrupt("a pair is malformed")
		}
		switch err := l.Put(key, value); {
		case errors.Is(err, ErrInvalid):
			return b.corrupt("a pair has a key of %d bytes and a value of %d", len(key), len(value))
		case err != nil:
			return err
		}
		b.report.Pairs++
		p = rest
	}
	return nil
}

// cutField splits off a length and as many bytes.
func cutField(p []byte) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > uint64(len(p)-size) {
		return nil, nil, false
	}
	return p[size : size+int(n)], p[size+int(n):], true
}

func (b *backupReader) verifyEnd() error {
	p := b.frame.Bytes()
	switch {
	case b.kind != backupEnd || len(p) != 16:
		return b.corrupt("a part of the kind %d is out of place", b.kind)
	case binary.LittleEndian.Uint64(p) != uint64(b.report.Keyspaces) || binary.LittleEndian.Uint64(p[8:]) != uint64(b.report.Pairs):
		return b.corrupt("it has %d keyspaces and %d pairs, and should have %d and %d", b.report.Keyspaces, b.report.Pairs,
			binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:]))
	}
	return nil
}

func (b *backupReader) header() error {
	h, err := b.read(backupHeaderSize)
	if err == nil || len(h) >= len(backupMagic) {
		if string(h[:len(backupMagic)]) != backupMagic {
			return cerrors.Wrapf(ErrNotBackup, "it begins with %q", h[:len(backupMagic)])
		}
	}
	if err != nil {
		return err
	}
	if v := binary.LittleEndian.Uint32(h[8:]); v != backupVersion {
		return cerrors.Wrapf(ErrVersion, "the backup has format %d, this release reads %d", v, backupVersion)
	}
	b.sum = crc32.Checksum(h[:backupHeaderSize-4], castagnoli)
	if b.sum != binary.LittleEndian.Uint32(h[backupHeaderSize-4:]) {
		return b.corrupt("the checksum of its header is wrong")
	}
	b.report.Timestamp = Timestamp(binary.LittleEndian.Uint64(h[28:]))
	if b.report.Timestamp >= maxTimestamp/2 {
		return b.corrupt("its timestamp %d is impossible", b.report.Timestamp)
	}
	return nil
}

// next reads a frame.
func (b *backupReader) next() error {
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	head, err := b.read(5)
	if err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head)
	if n > maxBackupFrame {
		return b.corrupt("a part has a length of %d bytes", n)
	}
	b.kind = head[4]
	b.sum = crc32.Update(b.sum, castagnoli, head)
	payload, err := b.read(int(n))
	if err != nil {
		return err
	}
	b.sum = crc32.Update(b.sum, castagnoli, payload)
	// The checksum is read past the payload, which stays in b.frame.
	var sum [4]byte
	got, err := io.ReadFull(b.r, sum[:])
	b.report.Bytes += int64(got)
	if err != nil {
		return b.ended(err)
	}
	if b.sum != binary.LittleEndian.Uint32(sum[:]) {
		return b.corrupt("a checksum is wrong")
	}
	return nil
}

// read reads n bytes into b.frame. Memory grows with what is there, not with what a length claims.
func (b *backupReader) read(n int) ([]byte, error) {
	if b.frame.Cap() > 4*backupFrame && n < backupFrame {
		b.frame = bytes.Buffer{}
	}
	b.frame.Reset()
	got, err := io.CopyN(&b.frame, b.r, int64(n))
	b.report.Bytes += got
	return b.frame.Bytes(), b.ended(err)
}

// ended says what the end of the stream means.
func (b *backupReader) ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return b.corrupt("it ends there and is not whole")
	}
	return cerrors.Wrapf(err, "mvcc: reading a backup, after %d bytes", b.report.Bytes)
}

func (b *backupReader) corrupt(format string, args ...any) error {
	return &CorruptionError{cerrors.Wrapf(cerrors.Newf(format, args...), "mvcc: backup, at byte %d", b.report.Bytes)}
}

// begin lets timestamps begin above last, also when the clock is behind.
func (c *commits) begin(last Timestamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.last = max(c.mu.last, last)
}
