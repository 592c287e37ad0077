package wal

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// FuzzRecord: any bytes are a record or are not, and a good one encodes to the same bytes.
func FuzzRecord(f *testing.F) {
	for _, size := range []int{0, 1, 8, 100} {
		rec := appendRecord(nil, FirstLSN, 7, 0, 99, bytes.Repeat([]byte{3}, size))
		sealRecord(rec, 5, FirstLSN)
		f.Add(rec, false)
		f.Add(rec[:len(rec)/2], true)
	}
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		lsn := FirstLSN
		if len(b) >= recordHeaderSize {
			h := parseRecordHeader(b)
			lsn = h.lsn
			if seal && h.size() <= int64(len(b)) {
				sealRecord(b, h.prev, h.durable)
			}
		}
		var w window
		w.reset(bytes.NewReader(b), int64(len(b)))
		h, rec, bad, err := readRecord(&w, 0, lsn)
		if err != nil {
			t.Fatal(err)
		}
		if bad != badNone {
			return
		}
		payload := rec[recordHeaderSize : recordHeaderSize+int(h.length)]
		again := appendRecord(nil, h.lsn, h.kind, h.flags, h.timestamp, payload)
		copy(again[recordHeaderSize+len(payload):], rec[recordHeaderSize+len(payload):]) // padding is free
		if _, crc := sealRecord(again, h.prev, h.durable); crc != h.crc || !bytes.Equal(again, rec) {
			t.Fatalf("%x encodes to %x", rec, again)
		}
	})
}

func FuzzSegmentHeader(f *testing.F) {
	h := segmentHeader{database: testID, number: 3, first: 800, size: minSegmentSize, prev: 9}
	f.Add(h.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= segmentHeaderSize {
			b = b[:segmentHeaderSize]
			binary.LittleEndian.PutUint32(b[segCRCAt:], segmentHeaderCRC(b))
		}
		if h, kind, _ := parseSegmentHeader(b); kind == headerValid {
			if again, kind, _ := parseSegmentHeader(h.encode()); kind != headerValid || again != h {
				t.Fatalf("%+v became %+v", h, again)
			}
		}
	})
}

// FuzzDirectory: whatever lies in the files, Open ends with an error that
// changes nothing, or with a log that works and replays the same again.
func FuzzDirectory(f *testing.F) {
	y := newLayout(f, false, 30, 0, 100)
	whole := readFile(f, y.mem, segmentFileOf(1))[segmentHeaderArea : segmentHeaderArea+400]
	f.Add(whole, whole[:100], uint8(1))
	f.Add(whole[:100], []byte{}, uint8(0))
	f.Add([]byte{}, whole, uint8(2))
	f.Add(append(bytes.Clone(whole[:72]), make([]byte, 72)...), whole, uint8(3))
	f.Fuzz(func(t *testing.T, one, two []byte, form uint8) {
		mem := newMem(t)
		must(t, mem.MkdirAll("/db/wal", dirPerm))
		first := FirstLSN
		prev := chainSeed(testID)
		for i, records := range [][]byte{one, two} {
			h := segmentHeader{database: testID, number: uint64(i + 1), first: first, size: minSegmentSize, prev: prev}
			end := reseal(records, first, prev, form&4 == 0)
			writeSegment(t, mem, h, records, form>>i&1 == 0)
			first, prev = first+LSN(end.size), end.crc
		}
		before := snapshot(t, mem)
		var list, again []entry
		l, _, err := Open(smallOptions(mem), 0, collect(&list))
		if err != nil {
			if !bytes.Equal(before, snapshot(t, mem)) {
				t.Fatalf("changed although %v", err)
			}
			return
		}
		list = append(list, put(t, l, 1, 50))
		must(t, l.Check())
		must(t, l.Close())
		l, _, err = Open(smallOptions(mem), 0, collect(&again))
		must(t, err)
		must(t, l.Close())
		sameEntries(t, again, list)
	})
}

type ending struct {
	size int
	crc  uint32
}

// reseal makes records of hostile bytes good as far as their lengths allow, so that the fuzzer gets behind the checksums.
func reseal(b []byte, lsn LSN, prev uint32, wanted bool) ending {
	end := ending{crc: prev}
	for wanted && len(b)-end.size >= recordHeaderSize {
		rec := b[end.size:]
		h := parseRecordHeader(rec)
		if h.size() > int64(len(rec)) {
			break
		}
		rec[flagsAt] &= flagMark
		rec[reservedAt], rec[reservedAt+1] = 0, 0
		binary.LittleEndian.PutUint64(rec[lsnAt:], uint64(lsn)+uint64(end.size))
		size, crc := sealRecord(rec, end.crc, min(h.durable, lsn+LSN(end.size)))
		end.size, end.crc = end.size+size, crc
	}
	return end
}

func writeSegment(t testing.TB, mem *vfs.Mem, h segmentHeader, records []byte, header bool) {
	t.Helper()
	s, err := createSegment(ptr(smallOptions(mem)), h.number, func() int64 { return 0 }, nil)
	must(t, err)
	defer s.file.Close()
	if header {
		_, err = s.file.WriteAt(h.encode(), 0)
		must(t, err)
	}
	if len(records) > minSegmentSize-segmentHeaderArea {
		records = records[:minSegmentSize-segmentHeaderArea]
	}
	_, err = s.file.WriteAt(records, segmentHeaderArea)
	must(t, err)
}

func ptr[T any](v T) *T { return &v }
