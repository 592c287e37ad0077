package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// The layout of a record; see the byte table in doc.go.
const (
	recordHeaderSize = 40
	recordAlign      = 8

	crcAt       = 0
	prevAt      = 4
	lengthAt    = 8
	kindAt      = 12
	flagsAt     = 13
	reservedAt  = 14
	lsnAt       = 16
	durableAt   = 24
	timestampAt = 32

	// payloadLimit bounds a payload whatever the segment size, so that a
	// damaged length never makes the reader allocate more.
	payloadLimit = 16 << 20

	// flagMark: a record of the log itself, not given to the replay.
	flagMark = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Record is one replayed record. Payload is valid only during the callback.
type Record struct {
	LSN       LSN // where it begins
	End       LSN // where the next one may begin: what Append returned
	Kind      uint8
	Timestamp uint64
	Payload   []byte
}

// recordHeader is a record's header, decoded.
type recordHeader struct {
	crc, prev, length uint32
	kind, flags       uint8
	reserved          uint16
	lsn, durable      LSN
	timestamp         uint64
}

// recordSize is what a payload takes in the log.
func recordSize(payload int) int {
	return (recordHeaderSize + payload + recordAlign - 1) &^ (recordAlign - 1)
}

// appendRecord adds a record to buf without the fields that the flusher fills in.
func appendRecord(buf []byte, lsn LSN, kind, flags uint8, timestamp uint64, payload []byte) []byte {
	var h [recordHeaderSize]byte
	binary.LittleEndian.PutUint32(h[lengthAt:], uint32(len(payload)))
	h[kindAt], h[flagsAt] = kind, flags
	binary.LittleEndian.PutUint64(h[lsnAt:], uint64(lsn))
	binary.LittleEndian.PutUint64(h[timestampAt:], timestamp)
	buf = append(buf, h[:]...)
	buf = append(buf, payload...)
	var pad [recordAlign]byte
	return append(buf, pad[:recordSize(len(payload))-recordHeaderSize-len(payload)]...)
}

// sealRecord fills in the first record of buf what is known only when it is
// written, and returns its size and its checksum, the next record's prev.
func sealRecord(buf []byte, prev uint32, durable LSN) (size int, crc uint32) {
	size = recordSize(int(binary.LittleEndian.Uint32(buf[lengthAt:])))
	rec := buf[:size]
	binary.LittleEndian.PutUint32(rec[prevAt:], prev)
	binary.LittleEndian.PutUint64(rec[durableAt:], uint64(durable))
	crc = crc32.Checksum(rec[prevAt:], castagnoli)
	binary.LittleEndian.PutUint32(rec[crcAt:], crc)
	return size, crc
}

// parseRecordHeader decodes the header at the start of b, which holds at least recordHeaderSize bytes.
func parseRecordHeader(b []byte) recordHeader {
	_ = b[recordHeaderSize-1]
	return recordHeader{
		crc:       binary.LittleEndian.Uint32(b[crcAt:]),
		prev:      binary.LittleEndian.Uint32(b[prevAt:]),
		length:    binary.LittleEndian.Uint32(b[lengthAt:]),
		kind:      b[kindAt],
		flags:     b[flagsAt],
		reserved:  binary.LittleEndian.Uint16(b[reservedAt:]),
		lsn:       LSN(binary.LittleEndian.Uint64(b[lsnAt:])),
		durable:   LSN(binary.LittleEndian.Uint64(b[durableAt:])),
		timestamp: binary.LittleEndian.Uint64(b[timestampAt:]),
	}
}

// size is what the record takes in the log, by its own claim.
func (h *recordHeader) size() int64 {
	return (recordHeaderSize + int64(h.length) + recordAlign - 1) &^ (recordAlign - 1)
}

// Why there is no good record at a position.
const (
	badNone     = "" // it is good
	badAbsent   = "no record begins here"
	badLength   = "the record's length is impossible"
	badField    = "the record's header is impossible"
	badChecksum = "the record's checksum does not match"
	badChain    = "the record does not continue the one before it"
	badRead     = "it cannot be read"
)

// plausible says why the header cannot be that of a record at lsn with room
// bytes left in its segment, or badNone. It looks only at the header.
func (h *recordHeader) plausible(lsn LSN, room int64) string {
	switch {
	case h.lsn != lsn:
		return badAbsent
	case h.length > payloadLimit || h.size() > room:
		return badLength
	case h.reserved != 0 || h.flags&^flagMark != 0 || h.durable > lsn:
		return badField
	}
	return badNone
}

// intact says whether the checksum covers the record, which is exactly rec.
func (h *recordHeader) intact(rec []byte) bool {
	return crc32.Checksum(rec[prevAt:], castagnoli) == h.crc
}
