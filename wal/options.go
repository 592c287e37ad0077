package wal

import (
	"log/slog"
	"time"

	"github.com/sombradb/sombra/internal/vfs"
)

// Defaults and limits of Options.
const (
	defaultSegmentSize  = 64 << 20
	minSegmentSize      = 64 << 10
	maxSegmentSize      = 4 << 30
	segmentSizeUnit     = 4096
	defaultQueueBytes   = 64 << 20
	defaultSlowAfter    = 250 * time.Millisecond
	defaultStalledAfter = 5 * time.Second
)

// Options configures a log. FS, Dir and DatabaseID are required.
type Options struct {
	FS         vfs.FS
	Dir        string
	DatabaseID DatabaseID
	// SegmentSize is the size of a new segment file in bytes, a multiple of
	// 4096 from 64 KiB to 4 GiB; 0 means 64 MiB. It may differ from one Open to the next.
	SegmentSize int64
	// ReadOnly replays without changing anything; Append then fails.
	ReadOnly bool
	// Salvage ends the replay at the last good record instead of refusing to
	// open when the log is damaged in the middle. Only with ReadOnly.
	Salvage bool
	// Replayed, when not nil, is called when all records have been given to the replay, before anything is changed. An
	// error of it ends the opening like one of the replay, which may thus look at records after it has returned.
	Replayed func() error
	// QueueBytes is how many bytes may wait to be written before Admit delays; 0 means 64 MiB. A batch of them is in
	// memory once more while it is written.
	QueueBytes int64
	// FlushInterval, when not 0, writes and syncs what nobody waits for at least this often.
	FlushInterval time.Duration
	// SlowAfter and StalledAfter are the watchdog's limits for one write or
	// sync; 0 means 250 ms and 5 s.
	SlowAfter, StalledAfter time.Duration
	// OnStateChange is called, never concurrently, when the watchdog's state
	// changes. It must not block, and must not call Close.
	OnStateChange func(StateChange)
	// Logger gets a line for each change of state and for what a recovery cut off; nil is silent.
	Logger *slog.Logger
}

// withDefaults returns the options to use, or an ErrOptions error.
func (o Options) withDefaults() (Options, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = defaultQueueBytes
	}
	if o.SlowAfter == 0 {
		o.SlowAfter = defaultSlowAfter
	}
	if o.StalledAfter == 0 {
		o.StalledAfter = max(defaultStalledAfter, o.SlowAfter)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, o.validate()
}

// validate names what is wrong.
func (o *Options) validate() error {
	switch {
	case o.FS == nil:
		return detailf(ErrOptions, "FS is required")
	case o.Dir == "":
		return detailf(ErrOptions, "Dir is required")
	case o.DatabaseID == DatabaseID{}:
		return detailf(ErrOptions, "DatabaseID is required")
	case o.SegmentSize < minSegmentSize || o.SegmentSize > maxSegmentSize || o.SegmentSize%segmentSizeUnit != 0:
		return detailf(ErrOptions, "SegmentSize is %d bytes, not a multiple of %d from %d to %d",
			o.SegmentSize, segmentSizeUnit, minSegmentSize, int64(maxSegmentSize))
	case o.QueueBytes < 0:
		return detailf(ErrOptions, "QueueBytes is negative (%d)", o.QueueBytes)
	case o.Salvage && !o.ReadOnly:
		return detailf(ErrOptions, "Salvage needs ReadOnly: a damaged log is never written to")
	case o.FlushInterval < 0 || o.SlowAfter < 0 || o.StalledAfter < o.SlowAfter:
		return detailf(ErrOptions, "FlushInterval %v, SlowAfter %v and StalledAfter %v must not be negative, nor StalledAfter below SlowAfter",
			o.FlushInterval, o.SlowAfter, o.StalledAfter)
	}
	return nil
}

// maxPayload is the largest payload of one record.
func (o *Options) maxPayload() int { return int(min(payloadLimit, o.SegmentSize/4)) }
