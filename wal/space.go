package wal

import (
	"runtime"
	"syscall"
	"time"

	"github.com/cockroachdb/errors"
)

// spareRetry is how long a failed preparation is not repeated, unless the log
// needs the segment now.
const spareRetry = 250 * time.Millisecond

// fillMargin is how many bytes of blocks the flusher keeps before itself, so
// that it learns of a full disk while the records to come can be refused.
const fillMargin = fillStep / 2

// fillAhead writes zeros behind the records of a segment that was put into
// use before it had all its blocks, so that the next syncs need not allocate
// any. A full disk is no failure, for the records are written: the segment ends
// where its blocks do. REQUIRES: the flush token.
func (l *Log) fillAhead() error {
	s := l.out.segment
	if s.lack != nil || s.filled >= min(l.out.off+fillMargin, s.size) {
		return nil
	}
	from := max(s.filled, l.out.off)
	n, err := l.writeAt(zeroFill[:min(fillStep, s.size-from)], from)
	s.filled = from + int64(n)
	if !isNoSpace(err) {
		return err
	}
	l.opts.Logger.Warn("wal: the disk is full: the segment ends early", "segment", segmentName(s.number), "bytes", s.filled, "error", err)
	s.lack = err
	l.endEarly()
	return nil
}

// follow notes that the flusher has gone on to the next segment. REQUIRES: the flush token.
func (l *Log) follow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.ahead--
}

// settle accepts a next segment with only so many bytes of blocks, because the
// disk is full, if that is enough for the records that wait for it, and from now
// on leaves no room for more. It is called while the spare is made.
func (l *Log) settle(filled int64) bool {
	if l.segs.hurry.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	used := l.opts.SegmentSize - l.mu.room
	if l.mu.ahead != 1 || used > filled {
		return false
	}
	l.mu.room = filled - used
	return true
}

// needsSegmentLocked says whether a record needs a segment that is not there yet. REQUIRES: mu.
func (l *Log) needsSegmentLocked(payloadBytes int) bool {
	return int64(recordSize(payloadBytes)) > l.mu.room && int(l.segs.spared.Load()) <= l.mu.ahead
}

// lacksSegmentLocked says whether a record needs a segment that is not there
// because an attempt to get one failed. REQUIRES: mu.
func (l *Log) lacksSegmentLocked(payloadBytes int) bool {
	return l.segs.blocked.Load() && l.needsSegmentLocked(payloadBytes)
}

// nearsSegmentLocked says whether a record may come to need a segment that is
// not there yet, and not known to be impossible, when those are appended that
// were admitted at the same time. REQUIRES: mu.
func (l *Log) nearsSegmentLocked(payloadBytes int) bool {
	margin := int(min(fillMargin, l.opts.SegmentSize/4))
	return !l.segs.blocked.Load() && l.needsSegmentLocked(payloadBytes+margin)
}

// awaitSegmentLocked sees to it that the next segment is made, and says why
// that is hopeless for now if it is. REQUIRES: mu.
func (l *Log) awaitSegmentLocked() (wait bool, err error) {
	if l.mu.ahead > 0 { // the spares are spoken for, and the flusher must put them to use before more are made
		l.mu.pending.want = true
		l.startSyncerLocked()
	}
	err, retrying := l.segs.noSpace()
	if err != nil && !retrying {
		return false, err
	}
	l.segs.awaited.Store(true)
	return true, nil
}

// endEarly leaves room in the current segment only as far as it has blocks,
// unless Append has gone on to a later one, and asks for the next. REQUIRES: the flush token.
func (l *Log) endEarly() {
	s := l.out.segment
	l.segs.ranOut(s.lack)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.ahead == 0 {
		l.mu.room = min(l.mu.room, max(0, s.filled-s.offset(l.mu.end)))
	}
}

// wakeAdmit lets those who wait in Admit look again.
func (l *Log) wakeAdmit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeAdmitLocked()
}

// ranOut notes that the flusher has met a full disk, and asks for a spare:
// the disk may have room by then. Until that is known, Append refuses what
// needs one.
func (s *segmentSet) ranOut(cause error) {
	s.mu.Lock()
	s.mu.err, s.mu.failedAt = cause, time.Time{}
	s.blocked.Store(true)
	s.mu.Unlock()
	s.prepareSpare()
}

// wanted is how many bytes of blocks the spare that is being made must have
// before it is used, because somebody waits for it; 0: nobody waits.
func (s *segmentSet) wanted() int64 {
	if size := s.hurry.Load(); size > 0 {
		return size
	}
	if s.awaited.Load() {
		return 1
	}
	return 0
}

// noSpace asks for another attempt to make a spare and says why there is none,
// and whether that is worth waiting for: the last attempt was long ago. It
// returns nil if there is one after all.
func (s *segmentSet) noSpace() (err error, retrying bool) {
	s.prepareSpare()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err == nil {
		return nil, false
	}
	err = &detailError{sentinel: ErrNoSpace, detail: "free space on the log's device", cause: s.mu.err}
	return err, s.restLocked() <= 0
}

// restLocked is how long no attempt to make a spare is due after a failed one. REQUIRES: mu.
func (s *segmentSet) restLocked() time.Duration {
	if s.mu.err == nil {
		return 0
	}
	return spareRetry - time.Since(s.mu.failedAt)
}

// What Windows calls a full disk.
const (
	windowsHandleDiskFull = syscall.Errno(39)
	windowsDiskFull       = syscall.Errno(112)
)

// isNoSpace says whether the cause is that the device, or the user's share of it, is full.
func isNoSpace(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	return runtime.GOOS == "windows" && (errors.Is(err, windowsDiskFull) || errors.Is(err, windowsHandleDiskFull))
}
