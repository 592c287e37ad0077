package wal

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/internal/vfs"
)

// committers append and wait for their records at the same time, on a device whose syncs hang and go on by draw. Which of
// them does what next is drawn, and so is when somebody looks at what a power cut would leave.
type committers struct {
	mem     *vfs.Mem
	gate    *gate
	log     *Log
	entries []entry
	waiting []*waiter
	release chan struct{} // of the syncs that hang; nil when none does
	acked   LSN           // the newest position that somebody was told is durable
	images  int
}

// waiter is a committer in Sync.
type waiter struct {
	end    LSN
	cancel context.CancelFunc
	gone   bool
	result chan error
}

func (m *committers) Append(t *rapid.T) {
	size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, m.log.MaxPayload()/4)).Draw(t, "size")
	e := entry{kind: byte(len(m.entries)), ts: uint64(len(m.entries)), payload: slices.Repeat([]byte{byte(len(m.entries) + 1)}, size)}
	end, err := m.log.Append(e.kind, e.ts, e.payload)
	if err != nil {
		t.Fatal(err)
	}
	e.lsn, e.end = end-LSN(recordSize(size)), end
	m.entries = append(m.entries, e)
}

// Wait lets a committer wait for one of the records.
func (m *committers) Wait(t *rapid.T) {
	if len(m.entries) == 0 || len(m.waiting) >= 6 {
		t.Skip("nothing to wait for")
	}
	ctx, cancel := context.WithCancel(context.Background())
	end := m.entries[rapid.IntRange(0, len(m.entries)-1).Draw(t, "record")].end
	w := &waiter{end: end, cancel: cancel, result: make(chan error, 1)}
	go func() { w.result <- m.log.Sync(ctx, end) }()
	m.waiting = append(m.waiting, w)
	if m.release == nil {
		m.expect(t, w)
	}
}

// expect waits for the end of a wait that must end. Nobody is told that a record is durable before it is.
func (m *committers) expect(t *rapid.T, w *waiter) {
	defer w.cancel()
	select {
	case err := <-w.result:
		m.ended(t, w, err)
	case <-time.After(20 * time.Second):
		t.Fatalf("a committer waits for ever for %d, durable is %d", w.end, m.log.Durable())
	}
	m.waiting = slices.DeleteFunc(m.waiting, func(o *waiter) bool { return o == w })
}

func (m *committers) ended(t *rapid.T, w *waiter, err error) {
	if err != nil {
		if !w.gone || !errors.Is(err, context.Canceled) {
			t.Fatalf("waiting for %d: %v", w.end, err)
		}
		return
	}
	if m.log.Durable() < w.end {
		t.Fatalf("%d is acknowledged, durable is %d", w.end, m.log.Durable())
	}
	m.acked = max(m.acked, w.end)
}

// Cancel ends the wait of one committer, also while the device hangs.
func (m *committers) Cancel(t *rapid.T) {
	if len(m.waiting) == 0 {
		t.Skip("nobody waits")
	}
	w := rapid.SampledFrom(m.waiting).Draw(t, "waiter")
	w.gone = true
	w.cancel()
	m.expect(t, w)
}

// Hang makes syncs hang from now on.
func (m *committers) Hang(t *rapid.T) {
	if m.release != nil {
		t.Skip("it hangs")
	}
	m.release = make(chan struct{})
	m.gate.set(vfs.OpSyncData, hang(m.release))
}

// GoOn lets them go on: then everybody's wait ends.
func (m *committers) GoOn(t *rapid.T) {
	if m.release == nil {
		t.Skip("it does not hang")
	}
	m.gate.set(vfs.OpSyncData, nil)
	close(m.release)
	m.release = nil
	for len(m.waiting) > 0 {
		m.expect(t, m.waiting[0])
	}
}

// collectEnded takes in those whose waits have ended by themselves.
func (m *committers) collectEnded(t *rapid.T) {
	m.waiting = slices.DeleteFunc(m.waiting, func(w *waiter) bool {
		select {
		case err := <-w.result:
			m.ended(t, w, err)
			w.cancel()
			return true
		default:
			return false
		}
	})
}

// Look opens what a power cut would leave: a beginning of what was appended, with all that was acknowledged.
func (m *committers) Look(t *rapid.T) {
	m.collectEnded(t)
	durable := m.log.Durable()
	image := m.mem.Crash(vfs.CrashConfig{
		Mode: rapid.SampledFrom([]vfs.CrashMode{vfs.LoseAll, vfs.KeepAll, vfs.Random}).Draw(t, "mode"), Seed: rapid.Uint64().Draw(t, "seed"),
	})
	var list []entry
	l, rec, err := Open(smallOptions(image), 0, collect(&list))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if rec.End < m.acked || rec.End < durable {
		t.Fatalf("it ends at %d, acknowledged %d, durable %d", rec.End, m.acked, durable)
	}
	if len(list) > len(m.entries) || !slices.EqualFunc(list, m.entries[:len(list)], entry.equal) {
		t.Fatalf("it has %v, appended was %v", list, m.entries)
	}
	m.images++
}

func (m *committers) verify(t *rapid.T) {
	m.collectEnded(t)
	if err := m.log.Check(); err != nil {
		t.Fatal(err)
	}
}

// Committers that append, wait, give up, and meet a device that hangs, in any order: whoever is told that a record is durable
// finds it after a power cut at any moment, with all before it, and nobody waits for ever.
func TestInterleavedCommittersAndPowerCuts(t *testing.T) {
	images := 0
	rapid.Check(t, func(rt *rapid.T) {
		l, g, mem := gated(t, nil)
		m := &committers{mem: mem, gate: g, log: l}
		defer func() {
			if m.release != nil {
				close(m.release)
			}
			for _, w := range m.waiting {
				w.cancel()
			}
			_ = l.Close()
		}()
		steps := []func(*rapid.T){m.Append, m.Append, m.Append, m.Wait, m.Wait, m.Cancel, m.Hang, m.GoOn, m.Look}
		rt.Repeat(map[string]func(*rapid.T){"": m.verify, "step": func(t *rapid.T) { evenly(t, steps)(t) }})
		if m.release != nil {
			m.GoOn(rt)
		}
		m.Look(rt)
		images += m.images
	})
	if images == 0 && !t.Failed() {
		t.Error("nobody has looked")
	}
}

// evenly draws one of a list. Rapid itself prefers what comes first, also among the actions of Repeat.
func evenly[T any](t *rapid.T, list []T) T {
	n := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), 8, 8).Draw(t, "choice") {
		if n *= 2; bit {
			n++
		}
	}
	return list[n%len(list)]
}
