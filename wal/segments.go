package wal

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/errors"
)

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
	hurry   atomic.Int64  // the flusher waits for one with so many bytes of blocks; 0: it does not wait
	awaited atomic.Bool   // somebody in Admit waits for the attempt to make one
	blocked atomic.Bool   // the last attempt to get one, or more blocks, failed
	spared  atomic.Int32  // number of spares

	// maint serialises what creates, renames and removes files. It is held
	// across that I/O, never by the flusher. Order: maint before mu.
	maint token

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
	s.log, s.kick, s.maint = l, make(chan struct{}, 1), newToken()
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

// run prepares spares when asked. Who asks too soon after a failure is served
// later, not forgotten. Close ends it.
func (s *segmentSet) run() {
	var later <-chan time.Time
	for {
		select {
		case <-s.kick:
		case <-later:
		case <-s.log.quit:
			return
		}
		later = nil
		if wait := s.prepare(); wait > 0 {
			later = time.After(wait)
		}
	}
}

// prepare makes a spare unless there is one, or says how long it must not try to.
func (s *segmentSet) prepare() (wait time.Duration) {
	s.maint.lock()
	defer s.maint.unlock()
	s.mu.Lock()
	number, spared := s.nextNumberLocked(), len(s.mu.spares) > 0
	if s.hurry.Load() == 0 {
		wait = s.restLocked()
	}
	s.mu.Unlock()
	if spared || wait > 0 {
		return wait
	}
	seg, err := s.create(number)
	s.awaited.Store(false)
	if err != nil {
		s.log.opts.Logger.Warn("wal: the next segment cannot be prepared", "error", err)
	}
	s.mu.Lock()
	if err != nil {
		s.mu.err, s.mu.failedAt = err, time.Now()
	} else {
		s.addSpareLocked(seg)
	}
	s.announceLocked()
	s.mu.Unlock()
	s.log.wakeAdmit()
	return 0
}

// create makes a new, durable spare. A panic below is an error here. REQUIRES: maint.
func (s *segmentSet) create(number uint64) (seg *segment, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Newf("panic while preparing a segment: %v", p)
		}
	}()
	seg, err = createSegment(&s.log.opts, number, s.wanted, s.log.settle)
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
	s.mu.err = seg.lack // there is no more where this came from
	if seg.lack != nil {
		s.mu.failedAt = time.Now()
	}
	s.spared.Store(int32(len(s.mu.spares)))
}

// announceLocked wakes the flusher if it waits in take. REQUIRES: mu.
func (s *segmentSet) announceLocked() {
	s.blocked.Store(s.mu.err != nil)
	if s.mu.changed != nil {
		close(s.mu.changed)
		s.mu.changed = nil
	}
}

// take returns the first spare, and waits for one to be made if there is none,
// with blocks for so many bytes at least. It stays the set's first spare until
// use. REQUIRES: the flush token.
func (s *segmentSet) take(size int64) (*segment, error) {
	s.hurry.Store(size)
	defer s.hurry.Store(0)
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

// release recycles or removes the segments that end before the given position.
func (s *segmentSet) release(before LSN) error {
	s.maint.lock()
	defer s.maint.unlock()
	var recycled []*segment
	var err error
	removed := false
	for err == nil {
		seg, filled, number := s.releasable(before, len(recycled))
		switch {
		case seg == nil:
			return s.finishRelease(recycled, removed, nil)
		case number == 0:
			err = errors.Wrapf(s.log.opts.FS.Remove(segmentPath(&s.log.opts, seg.number)), "wal: removing a segment")
		default:
			var spare *segment
			if spare, err = s.recycle(seg, filled, number); spare != nil {
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
// up to where it has its blocks, and the number to recycle it under, or 0 to
// remove it. REQUIRES: maint.
func (s *segmentSet) releasable(before LSN, recycled int) (seg *segment, filled int64, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.old) == 0 {
		return nil, 0, 0
	}
	end := s.mu.current.first
	if len(s.mu.old) > 1 {
		end = s.mu.old[1].first
	}
	seg = s.mu.old[0]
	filled = max(seg.filled, seg.offset(end)) // nobody knows how much more a recovered one has
	switch {
	case end > before:
		return nil, 0, 0
	case len(s.mu.spares)+recycled >= maxSpares || seg.size != s.log.opts.SegmentSize:
		return seg, filled, 0
	default:
		return seg, filled, s.nextNumberLocked() + uint64(recycled)
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
func (s *segmentSet) recycle(seg *segment, filled int64, number uint64) (*segment, error) {
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
	return &segment{number: number, size: seg.size, filled: filled, file: file}, nil
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
	for _, seg := range recycled {
		s.addSpareLocked(seg)
		s.mu.recycled++
	}
	s.announceLocked()
	s.mu.Unlock()
	s.log.wakeAdmit()
	return err
}

// close closes the open files. REQUIRES: all goroutines have ended.
func (s *segmentSet) close() error {
	s.maint.lock()
	defer s.maint.unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.mu.current.file.Close()
	for _, seg := range s.mu.spares {
		err = errors.CombineErrors(err, seg.file.Close())
	}
	s.mu.spares = nil
	return errors.Wrapf(err, "wal: closing the files in %s", filepath.Clean(s.log.opts.Dir))
}
