package wal

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/sombradb/sombra/internal/invariants"
	"github.com/sombradb/sombra/internal/vfs"
)

// ledger is what the owner of a log knows: what it appended, what was
// acknowledged, and from where on it needs the log.
type ledger struct {
	appended []entry
	acked    LSN // everything before it was synced
	needed   LSN // the position for Open: released before it, but durable from there
}

// work appends, syncs and releases in a fixed pattern until an error.
func (g *ledger) work(fsys vfs.FS, steps int) error {
	l, _, err := Open(smallOptions(fsys), g.needed, nil)
	if err != nil {
		return err
	}
	if g.needed == 0 {
		g.needed = FirstLSN
	}
	err = g.steps(l, steps)
	return errors.Join(err, l.Check(), l.Close())
}

func (g *ledger) steps(l *Log, steps int) error {
	for i := range steps {
		if err := g.append(l, i, 200+i*1777%9000); err != nil {
			return err
		}
		if i%3 == 2 {
			if err := l.Sync(bg, l.End()); err != nil {
				return err
			}
			g.acked = l.End()
		}
		if i%8 == 7 {
			g.needed = g.appended[len(g.appended)-5].lsn
			if err := l.Release(g.needed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *ledger) append(l *Log, i, size int) error {
	payload := make([]byte, size)
	for j := range payload {
		payload[j] = byte(i + j/8)
	}
	e := entry{kind: uint8(i), ts: uint64(len(g.appended)), payload: payload}
	end, err := l.Append(e.kind, e.ts, payload)
	if err == nil {
		e.lsn, e.end = end-LSN(recordSize(size)), end
		g.appended = append(g.appended, e)
	}
	return err
}

// audit opens an image and holds it against the ledger: what was acknowledged
// is there, in order, and nothing that was never appended. Then the log must work on.
func (g *ledger) audit(t *testing.T, image *vfs.Mem) {
	t.Helper()
	var list []entry
	l, rec, err := Open(smallOptions(image), g.needed, collect(&list))
	if err != nil {
		t.Fatalf("the image does not open: %v", err)
	}
	must(t, l.Check())
	wantNothingAfterTheEnd(t, image, g.needed)
	want := g.appended
	for len(want) > 0 && want[0].lsn < g.needed {
		want = want[1:]
	}
	if len(list) > len(want) {
		t.Fatalf("%d records, only %d were appended", len(list), len(want))
	}
	sameEntries(t, list, want[:len(list)])
	if rec.End < g.acked {
		t.Fatalf("the log ends at %d, %d was acknowledged", rec.End, g.acked)
	}
	more := append([]entry(nil), list...)
	for i := range 12 {
		more = append(more, put(t, l, 100+i, 7000))
	}
	must(t, l.Sync(bg, l.End()))
	must(t, l.Close())
	l, _, list = open(t, smallOptions(image), g.needed)
	must(t, l.Close())
	sameEntries(t, list, more)
}

// wantNothingAfterTheEnd checks that an opening has left no fragment behind
// the log's end, even if the power fails at once: a later record in the place
// of a lost one must not bring back those that came after it.
func wantNothingAfterTheEnd(t *testing.T, mem *vfs.Mem, from LSN) {
	t.Helper()
	opts := smallOptions(mem.Crash(vfs.CrashConfig{}))
	opts.ReadOnly = true
	l, rec, _ := open(t, opts, from)
	must(t, l.Close())
	if rec.TornBytes != 0 {
		t.Fatalf("%d bytes of fragments are left after the end: %+v", rec.TornBytes, rec)
	}
}

// stride is 1, so that the loops meet every operation, but more under the race
// detector, which makes them slow and finds nothing new in them.
func stride() int64 {
	if invariants.RaceEnabled {
		return 7
	}
	return 1
}

// crashes are the ways to lose power.
func crashes(seeds int) []vfs.CrashConfig {
	all := []vfs.CrashConfig{{Mode: vfs.LoseAll}, {Mode: vfs.KeepAll}}
	for s := range seeds {
		all = append(all, vfs.CrashConfig{Mode: vfs.Random, Seed: uint64(s), SectorSize: 512 << (3 * (s % 2))})
	}
	return all
}

func TestPowerLossAtEveryOperationKeepsWhatWasAcknowledged(t *testing.T) {
	for cut := int64(0); ; cut += stride() {
		mem := newMem(t)
		disk := vfs.NewFaulty(mem, nil)
		disk.CutAt(cut)
		var g ledger
		err := g.work(disk, 40)
		for _, c := range crashes(6) {
			t.Run(fmt.Sprintf("cut=%d,%+v", cut, c), func(t *testing.T) { g.audit(t, mem.Crash(c)) })
		}
		if !disk.IsOff() {
			must(t, err)
			t.Logf("%d operations", cut)
			return
		}
		if t.Failed() {
			return
		}
	}
}

func TestPowerLossDuringRecoveryKeepsWhatWasAcknowledged(t *testing.T) {
	mem := newMem(t)
	disk := vfs.NewFaulty(mem, nil)
	disk.CutAt(40)
	var g ledger
	if err := g.work(disk, 40); err == nil {
		t.Fatal("the power did not go off")
	}
	for _, first := range crashes(12) {
		for cut := int64(0); ; cut += stride() {
			image := mem.Crash(first)
			again := vfs.NewFaulty(image, nil)
			again.CutAt(cut)
			h := g
			err := h.work(again, 4)
			for _, second := range crashes(3) {
				t.Run(fmt.Sprintf("%+v,cut=%d,%+v", first, cut, second), func(t *testing.T) { auditEither(t, &g, &h, image.Crash(second)) })
			}
			if !again.IsOff() {
				must(t, err)
				break
			}
			if t.Failed() {
				return
			}
		}
	}
}

// auditEither audits an image of a log that was opened a second time: the
// records of the first run that were not acknowledged may be gone for good.
func auditEither(t *testing.T, first, second *ledger, image *vfs.Mem) {
	t.Helper()
	g := ledger{needed: second.needed, acked: second.acked, appended: second.appended}
	if n := len(first.appended); len(second.appended) > n { // the second run appended at the recovered end
		restart := second.appended[n]
		for n > 0 && first.appended[n-1].lsn >= restart.lsn {
			n--
		}
		g.appended = append(append([]entry(nil), first.appended[:n]...), second.appended[len(first.appended):]...)
	}
	g.audit(t, image)
}

// A process that dies leaves the kernel's memory: what the next one finds is
// not yet durable, and a power loss may still take it.
func TestProcessDeathAtEveryOperationAndThenPowerLossKeepsWhatWasAcknowledged(t *testing.T) {
	for cut := int64(0); ; cut += stride() {
		mem := newMem(t)
		disk := vfs.NewFaulty(mem, nil)
		disk.CutAt(cut)
		var g ledger
		err := g.work(disk, 40)
		if !disk.IsOff() {
			must(t, err)
			return
		}
		h := g
		must(t, h.work(mem, 20))
		for _, c := range crashes(2) {
			t.Run(fmt.Sprintf("cut=%d,%+v", cut, c), func(t *testing.T) { auditEither(t, &g, &h, mem.Crash(c)) })
		}
		if t.Failed() {
			return
		}
	}
}

// Several writes without a sync are one window: none of its records proves
// that another had been durable.
func TestPowerLossInALongUnsyncedWindowIsATornTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMem(t)
		opts := smallOptions(mem)
		opts.SegmentSize = 16 << 20
		l, _, _ := open(t, opts, 0)
		g := ledger{needed: FirstLSN}
		for i := 0; l.End() < 4*writeAhead; i++ { // small ones: some survive whole behind a hole
			must(t, g.append(l, i, 100))
			if i%1000 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if m := l.Metrics(); m.Writes < 3 || m.Syncs != 0 {
			t.Fatalf("%+v", m)
		}
		for _, c := range crashes(12) {
			opts := opts
			opts.FS = mem.Crash(c)
			l, _, list := open(t, opts, 0)
			sameEntries(t, list, g.appended[:len(list)])
			must(t, l.Close())
		}
		must(t, l.Close())
	})
}

func TestEachOperationFailingOnceLosesNothingAcknowledged(t *testing.T) {
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC} {
		for at := int64(0); ; at += stride() {
			mem := newMem(t)
			disk := vfs.NewFaulty(mem, vfs.FailAt(at, failure))
			var g ledger
			err := g.work(disk, 40)
			if disk.Ops() <= at {
				must(t, err)
				break
			}
			for _, c := range crashes(2) {
				t.Run(fmt.Sprintf("%v,at=%d,%+v", failure, at, c), func(t *testing.T) { g.audit(t, mem.Crash(c)) })
			}
			t.Run(fmt.Sprintf("%v,at=%d,no crash", failure, at), func(t *testing.T) { g.audit(t, mem) })
			if t.Failed() {
				return
			}
		}
	}
}

func TestDeviceDyingAtEachOperationLosesNothingAcknowledged(t *testing.T) {
	for at := int64(0); ; at += stride() {
		mem := newMem(t)
		disk := vfs.NewFaulty(mem, vfs.FailFrom(at, syscall.EIO))
		var g ledger
		err := g.work(disk, 40)
		if disk.Ops() <= at {
			must(t, err)
			return
		}
		// err may be nil here: preparing a spare may fail without harm.
		t.Run(fmt.Sprintf("at=%d", at), func(t *testing.T) { g.audit(t, mem.Crash(vfs.CrashConfig{Mode: vfs.Random, Seed: uint64(at)})) })
		if t.Failed() {
			return
		}
	}
}

// A failed sync leaves bytes that can be read but that no later sync writes.
// Recovery must write them again before it calls them durable.
func TestRecoveryAfterAFailedSyncMakesItsTailTrulyDurable(t *testing.T) {
	mem := newMem(t)
	disk := vfs.NewFaulty(mem, vfs.FailNth(vfs.OpSyncData, 1, syscall.EIO))
	l, _, err := Open(smallOptions(disk), 0, nil)
	must(t, err)
	want := []entry{put(t, l, 1, 3000)}
	must(t, l.Sync(bg, l.End()))
	want = append(want, put(t, l, 2, 3000))
	if err := l.Sync(bg, l.End()); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	l, _, list := open(t, smallOptions(mem), 0) // the same machine, no power loss
	sameEntries(t, list, want)
	if l.Durable() != want[1].end {
		t.Fatalf("durable %d", l.Durable())
	}
	image := mem.Crash(vfs.CrashConfig{})
	must(t, l.Close())
	l, _, list = open(t, smallOptions(image), 0)
	sameEntries(t, list, want)
	must(t, l.Close())
}
