package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/sombradb/sombra/internal/vfs"
)

// The layout of a segment file; see the byte table in doc.go.
const (
	// segmentHeaderArea is where records begin: a whole block of its own, so that
	// writing the header never rewrites a sector that holds records.
	segmentHeaderArea = 4096
	// segmentHeaderSize is the part that is used: one sector of the smallest kind, written at once.
	segmentHeaderSize = 512

	formatVersion = 1

	segVersionAt  = 8
	segCRCAt      = 12
	segDatabaseAt = 16
	segNumberAt   = 32
	segFirstAt    = 40
	segSizeAt     = 48
	segPrevAt     = 56

	segmentSuffix   = ".wal"
	firstSegment    = uint64(1)
	maxSegmentBytes = int64(1) << 40
	maxLSN          = LSN(1) << 62 // decades at any speed: more is damage
)

var segmentMagic = [8]byte{'S', 'O', 'M', 'B', 'R', 'W', 'A', 'L'}

// segment is a segment file that is open for writing, or was.
type segment struct {
	number uint64
	first  LSN   // of its first record; 0 in a spare
	size   int64 // bytes of the file that records may use, header included
	// filled is up to where the file is known to have its blocks: beyond it, the flusher writes zeros ahead.
	filled int64
	lack   error    // the disk was full when it was to get more blocks: it ends at filled
	file   vfs.File // nil once the log has gone on to the next segment
}

// offset is where in the file lsn lies.
func (s *segment) offset(lsn LSN) int64 { return segmentHeaderArea + int64(lsn-s.first) }

// segmentHeader is what the first sector of a segment in use says.
type segmentHeader struct {
	database DatabaseID
	number   uint64
	first    LSN
	size     int64
	prev     uint32 // the chain before the first record
}

// encode returns the sector.
func (h *segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderSize)
	copy(b, segmentMagic[:])
	binary.LittleEndian.PutUint32(b[segVersionAt:], formatVersion)
	copy(b[segDatabaseAt:], h.database[:])
	binary.LittleEndian.PutUint64(b[segNumberAt:], h.number)
	binary.LittleEndian.PutUint64(b[segFirstAt:], uint64(h.first))
	binary.LittleEndian.PutUint64(b[segSizeAt:], uint64(h.size))
	binary.LittleEndian.PutUint32(b[segPrevAt:], h.prev)
	binary.LittleEndian.PutUint32(b[segCRCAt:], segmentHeaderCRC(b))
	return b
}

// segmentHeaderCRC covers the sector without the checksum itself. Its place
// and that of magic and version stay the same in all formats.
func segmentHeaderCRC(b []byte) uint32 {
	crc := crc32.Checksum(b[:segCRCAt], castagnoli)
	return crc32.Update(crc, castagnoli, b[segCRCAt+4:segmentHeaderSize])
}

// headerKind is what a header sector turned out to be.
type headerKind uint8

const (
	headerBlank   headerKind = iota // zeros, or too short: never used
	headerDamaged                   // something that is not a header
	headerNewer                     // a later format
	headerValid
)

// parseSegmentHeader decodes the first bytes of a segment file. version is
// set for a newer format, the header for a valid one.
func parseSegmentHeader(b []byte) (h segmentHeader, kind headerKind, version uint32) {
	if len(bytes.TrimLeft(b, "\x00")) == 0 {
		return h, headerBlank, 0
	}
	if len(b) < segmentHeaderSize || !bytes.HasPrefix(b, segmentMagic[:]) ||
		binary.LittleEndian.Uint32(b[segCRCAt:]) != segmentHeaderCRC(b) {
		return h, headerDamaged, 0
	}
	version = binary.LittleEndian.Uint32(b[segVersionAt:])
	if version > formatVersion {
		return h, headerNewer, version
	}
	copy(h.database[:], b[segDatabaseAt:])
	h.number = binary.LittleEndian.Uint64(b[segNumberAt:])
	h.first = LSN(binary.LittleEndian.Uint64(b[segFirstAt:]))
	h.size = int64(binary.LittleEndian.Uint64(b[segSizeAt:]))
	h.prev = binary.LittleEndian.Uint32(b[segPrevAt:])
	if h.first < FirstLSN || h.first > maxLSN || h.first%recordAlign != 0 || h.size <= segmentHeaderArea || h.size > maxSegmentBytes {
		return h, headerDamaged, 0
	}
	return h, headerValid, version
}

// segmentName is the file name of a segment.
func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// parseSegmentName returns the number in a segment's file name.
func parseSegmentName(name string) (uint64, bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	if !found || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && number > 0 && segmentName(number) == name
}

// chainSeed is the chain before the very first record: it differs between databases.
func chainSeed(id DatabaseID) uint32 { return crc32.Checksum(id[:], castagnoli) }
