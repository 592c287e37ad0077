package wal

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
)

// machine drives a log and, beside it, a slice of what was appended.
type machine struct {
	mem     *vfs.Mem
	log     *Log
	size    int64 // of segments, from the next opening on
	entries []entry
	durable LSN // acknowledged
	needed  LSN // the position for the next Open
}

func (m *machine) options() Options {
	opts := smallOptions(m.mem)
	opts.SegmentSize = m.size
	return opts
}

// reopen opens the log and checks what it replays against the model, which
// then forgets the records that the power loss took.
func (m *machine) reopen(t *rapid.T) {
	var list []entry
	l, rec, err := Open(m.options(), m.needed, collect(&list))
	if err != nil {
		t.Fatal(err)
	}
	m.log = l
	first := 0
	for first < len(m.entries) && m.entries[first].lsn < m.needed {
		first++
	}
	if len(list) > len(m.entries)-first {
		t.Fatalf("%d records, only %d were appended", len(list), len(m.entries)-first)
	}
	for i, e := range list {
		if !e.equal(m.entries[first+i]) {
			t.Fatalf("record %d: %v, want %v", i, e, m.entries[first+i])
		}
	}
	if rec.End < m.durable || l.Durable() != rec.End || l.End() != rec.End {
		t.Fatalf("ends at %d, durable %d, acknowledged %d", rec.End, l.Durable(), m.durable)
	}
	m.entries, m.durable = m.entries[:first+len(list)], rec.End
	if m.needed == 0 {
		m.needed = FirstLSN
	}
}

func (m *machine) close(t *rapid.T) {
	if err := m.log.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) appendOne(t *rapid.T) {
	size := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, m.log.MaxPayload())).Draw(t, "size")
	payload := make([]byte, size)
	seed := rapid.Byte().Draw(t, "seed")
	for i := range payload {
		payload[i] = seed + byte(i/8)
	}
	e := entry{kind: seed, ts: uint64(len(m.entries)), payload: payload}
	end, err := m.log.Append(e.kind, e.ts, payload)
	if err != nil {
		t.Fatal(err)
	}
	e.lsn, e.end = end-LSN(recordSize(size)), end
	m.entries = append(m.entries, e)
}

func (m *machine) sync(t *rapid.T) {
	if len(m.entries) == 0 {
		return
	}
	end := m.entries[rapid.IntRange(0, len(m.entries)-1).Draw(t, "record")].end
	if err := m.log.Sync(bg, end); err != nil {
		t.Fatal(err)
	}
	m.durable = max(m.durable, end)
	if m.log.Durable() < m.durable {
		t.Fatalf("durable %d, acknowledged %d", m.log.Durable(), m.durable)
	}
}

func (m *machine) release(t *rapid.T) {
	if len(m.entries) == 0 {
		return
	}
	before := m.entries[rapid.IntRange(0, len(m.entries)-1).Draw(t, "record")].lsn
	err := m.log.Release(before)
	if before > m.log.Durable() {
		if !errors.Is(err, ErrPosition) {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.needed = max(m.needed, before)
}

func (m *machine) crash(t *rapid.T) {
	m.mem = m.crashed(t)
	m.reopen(t)
}

// crashed takes an image and ends the old log.
func (m *machine) crashed(t *rapid.T) *vfs.Mem {
	mode := rapid.SampledFrom([]vfs.CrashMode{vfs.LoseAll, vfs.KeepAll, vfs.Random, vfs.Random}).Draw(t, "mode")
	image := m.mem.Crash(vfs.CrashConfig{
		Mode: mode, Seed: rapid.Uint64().Draw(t, "seed"),
		SectorSize: rapid.SampledFrom([]int{512, 4096}).Draw(t, "sector"),
	})
	m.close(t)
	return image
}

func TestLogAgainstASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{mem: vfs.NewMem(), size: minSegmentSize}
		if err := errors.Join(m.mem.MkdirAll("/db", dirPerm), m.mem.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		m.reopen(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":       m.appendOne,
			"append again": m.appendOne,
			"sync":         m.sync,
			"release":      m.release,
			"crash":        m.crash,
			"reopen":       func(t *rapid.T) { m.close(t); m.durable = m.log.Durable(); m.reopen(t) },
			"resize": func(t *rapid.T) {
				m.size = minSegmentSize * rapid.Int64Range(1, 3).Draw(t, "size")
			},
			"": func(t *rapid.T) {
				if err := m.log.Check(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}
