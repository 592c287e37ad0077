package wal

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/errors"
)

// spareRetry is how long a failed preparation is not repeated, unless the log
// needs the segment now.
const spareRetry = 250 * time.Millisecond

// segmentSet knows the segment files: those before the current one, the
// current one, and the spares after it. Numbers are consecutive from the
// oldest file in use on (W7).
//
//	blank --createSegment--> spare --take, use--> current --rollover--> old
//	                           ^                                         |
//	                           +------------- release: rename -----------+--> removed
type segmentSet struct {
	log *Log

	kick    chan struct{} // asks for a spare
	hurry   atomic.Bool   // the flusher waits for it
	blocked atomic.Bool   // there is no spare, and the last attempt to get one failed
	spared  atomic.Int32  // number of spares

	// maint serialises what creates, renames and removes files. It is held
	// across that I/O, never by the flusher. Order: maint before mu.
	maint sync.Mutex

	// mu is held for memory operations only.
	mu struct {
		sync.Mutex
		old      []*segment // ordered, closed
		current  *segment
		spares   []*segment    // ordered, open
		changed  chan struct{} // closed when a spare arrives or an attempt fails
		err      error         // of the last attempt
		failedAt time.Time
		recycled int64
	}
}

func (s *segmentSet) init(l *Log, rec *recovered) {
	s.log, s.kick = l, make(chan struct{}, 1)
	s.mu.old, s.mu.current, s.mu.spares = rec.old, rec.current, rec.spares
	s.spared.Store(int32(len(rec.spares)))
}

// prepareSpare asks for a spare if there is none. It does not wait.
func (s *segmentSet) prepareSpare() {
	if s.spared.Load() > 0 {
		return
	}
	select {
	case s.kick <- struct{}{}:
	default: // asked already
	}
}

// run prepares spares when asked. Close ends it.
func (s *segmentSet) run() {
	for {
		select {
		case <-s.kick:
			s.prepare()
		case <-s.log.quit:
			return
		}
	}
}

// prepare makes a spare unless there is one.
func (s *segmentSet) prepare() {
	s.maint.Lock()
	defer s.maint.Unlock()
	s.mu.Lock()
	number := s.nextNumberLocked()
	idle := len(s.mu.spares) > 0 || (s.mu.err != nil && !s.hurry.Load() && time.Since(s.mu.failedAt) < spareRetry)
	s.mu.Unlock()
	if idle {
		return
	}
	seg, err := s.create(number)
	if err != nil {
		s.log.opts.Logger.Warn("wal: the next segment cannot be prepared", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.mu.err, s.mu.failedAt = err, time.Now()
	} else {
		s.addSpareLocked(seg)
	}
	s.announceLocked()
}

// create makes a new, durable spare. A panic below is an error here. REQUIRES: maint.
func (s *segmentSet) create(number uint64) (seg *segment, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Newf("panic while preparing a segment: %v", p)
		}
	}()
	seg, err = createSegment(&s.log.opts, number, s.hurry.Load)
	if err != nil {
		return nil, err
	}
	if err := s.syncDir(); err != nil {
		_ = seg.file.Close() // the log has failed
		return nil, err
	}
	return seg, nil
}

// syncDir makes the file names durable. Like any sync, it fails once and for all.
func (s *segmentSet) syncDir() error {
	err := errors.Wrapf(s.log.opts.FS.SyncDir(s.log.opts.Dir), "syncing directory %s", s.log.opts.Dir)
	if err != nil {
		s.log.fail(err)
	}
	return err
}

// nextNumberLocked is the number after the last file's. REQUIRES: mu.
func (s *segmentSet) nextNumberLocked() uint64 {
	return s.mu.current.number + 1 + uint64(len(s.mu.spares))
}

// addSpareLocked makes a spare available. REQUIRES: mu.
func (s *segmentSet) addSpareLocked(seg *segment) {
	s.mu.spares = append(s.mu.spares, seg)
	s.mu.err = nil
	s.spared.Store(int32(len(s.mu.spares)))
}

// announceLocked wakes the flusher if it waits in take. REQUIRES: mu.
func (s *segmentSet) announceLocked() {
	s.blocked.Store(s.mu.err != nil && len(s.mu.spares) == 0)
	if s.mu.changed != nil {
		close(s.mu.changed)
		s.mu.changed = nil
	}
}

// take returns the first spare, and waits for one to be made if there is none.
// It stays the set's first spare until use. REQUIRES: the flush token.
func (s *segmentSet) take() (*segment, error) {
	s.hurry.Store(true)
	defer s.hurry.Store(false)
	for attempt := 0; ; attempt++ {
		s.mu.Lock()
		if len(s.mu.spares) > 0 {
			seg := s.mu.spares[0]
			s.mu.Unlock()
			return seg, nil
		}
		// An error of an attempt that began before the hurry says nothing about now.
		if err := s.mu.err; err != nil && attempt > 1 {
			s.mu.Unlock()
			return nil, errors.Wrapf(err, "there is no next segment")
		}
		changed := make(chan struct{})
		s.mu.changed = changed
		s.mu.Unlock()
		s.prepareSpare()
		select {
		case <-changed:
		case <-s.log.dead:
			return nil, errors.New("the log has failed while waiting for the next segment")
		}
	}
}

// use makes the first spare the current segment. REQUIRES: the flush token, and
// that its header has been written.
func (s *segmentSet) use(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.old = append(s.mu.old, s.mu.current)
	s.mu.current, s.mu.spares = seg, s.mu.spares[1:]
	s.spared.Store(int32(len(s.mu.spares)))
}

// noSpace asks for another attempt to make a spare and says why there is none.
func (s *segmentSet) noSpace() error {
	s.prepareSpare()
	s.mu.Lock()
	defer s.mu.Unlock()
	return &detailError{sentinel: ErrNoSpace, detail: "free space on the log's device", cause: s.mu.err}
}

// release recycles or removes the segments that end before the given position.
func (s *segmentSet) release(before LSN) error {
	s.maint.Lock()
	defer s.maint.Unlock()
	var recycled []*segment
	var err error
	removed := false
	for err == nil {
		seg, number := s.releasable(before, len(recycled))
		switch {
		case seg == nil:
			return s.finishRelease(recycled, removed, nil)
		case number == 0:
			err = errors.Wrapf(s.log.opts.FS.Remove(segmentPath(&s.log.opts, seg.number)), "wal: removing a segment")
		default:
			var spare *segment
			if spare, err = s.recycle(seg, number); spare != nil {
				recycled = append(recycled, spare)
			}
		}
		if err == nil {
			removed = true
			s.forget()
		}
	}
	return s.finishRelease(recycled, removed, err)
}

// releasable returns the oldest segment if it ends before the given position,
// and the number to recycle it under, or 0 to remove it. REQUIRES: maint.
func (s *segmentSet) releasable(before LSN, recycled int) (*segment, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.old) == 0 {
		return nil, 0
	}
	end := s.mu.current.first
	if len(s.mu.old) > 1 {
		end = s.mu.old[1].first
	}
	switch seg := s.mu.old[0]; {
	case end > before:
		return nil, 0
	case len(s.mu.spares)+recycled >= maxSpares || seg.size != s.log.opts.SegmentSize:
		return seg, 0
	default:
		return seg, s.nextNumberLocked() + uint64(recycled)
	}
}

// forget drops the oldest segment. REQUIRES: maint, and the file is gone from its name.
func (s *segmentSet) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.old = s.mu.old[1:]
}

// recycle renames a segment to a new number and opens it. REQUIRES: maint. On
// an error after the renaming the spare is returned without a file.
func (s *segmentSet) recycle(seg *segment, number uint64) (*segment, error) {
	name := segmentPath(&s.log.opts, number)
	if err := s.log.opts.FS.Rename(segmentPath(&s.log.opts, seg.number), name); err != nil {
		return nil, errors.Wrapf(err, "wal: recycling a segment")
	}
	file, err := s.log.opts.FS.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		s.forget()
		_ = s.log.opts.FS.Remove(name) // preparing this number truncates what is left
		return nil, errors.Wrapf(err, "wal: opening a recycled segment")
	}
	return &segment{number: number, size: seg.size, filled: seg.size, file: file}, nil
}

// finishRelease makes the new names durable before a recycled file is used (W7). REQUIRES: maint.
func (s *segmentSet) finishRelease(recycled []*segment, changed bool, err error) error {
	if !changed {
		return err
	}
	if syncErr := s.syncDir(); syncErr != nil {
		for _, seg := range recycled {
			_ = seg.file.Close() // the log has failed
		}
		return errors.CombineErrors(syncErr, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range recycled {
		s.addSpareLocked(seg)
		s.mu.recycled++
	}
	s.announceLocked()
	return err
}

// close closes the open files. REQUIRES: all goroutines have ended.
func (s *segmentSet) close() error {
	s.maint.Lock()
	defer s.maint.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.mu.current.file.Close()
	for _, seg := range s.mu.spares {
		err = errors.CombineErrors(err, seg.file.Close())
	}
	s.mu.spares = nil
	return errors.Wrapf(err, "wal: closing the files in %s", filepath.Clean(s.log.opts.Dir))
}
