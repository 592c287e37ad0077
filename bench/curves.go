package bench

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sombradb/sombra/mvcc"
)

// Curves is the part of the configuration that the workloads over time have: they sample while they run, and can draw
// what they sampled.
type Curves struct {
	// Every is the time between two samples; default 250 ms, unless the workload says otherwise.
	Every time.Duration `json:"sample_every_ns"`
	// Plot is a PNG file to write, also when a bound was broken; empty for none.
	Plot string `json:"plot,omitempty"`
}

// defaultEvery is the time between two samples.
const defaultEvery = 250 * time.Millisecond

func (c *Curves) validate() error {
	err := atLeast("Every", int64(c.Every), int64(time.Millisecond))
	if c.Plot != "" && filepath.Ext(c.Plot) != ".png" {
		err = errors.Join(err, &ConfigError{Field: "Plot", Value: c.Plot, Want: "a file name that ends in .png"})
	}
	return err
}

// recorder takes samples until it is stopped.
type recorder[T any] struct {
	quit chan struct{}
	done chan []T
}

// sampleEvery takes a sample at once, one after each period, and one at the end. read is told the time since the start and
// is called by one goroutine at a time.
func sampleEvery[T any](every time.Duration, read func(at time.Duration) T) *recorder[T] {
	r := &recorder[T]{quit: make(chan struct{}), done: make(chan []T, 1)}
	start := time.Now()
	samples := []T{read(0)} // before anything that is to be sampled begins
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				samples = append(samples, read(time.Since(start)))
			case <-r.quit:
				r.done <- append(samples, read(time.Since(start)))
				return
			}
		}
	}()
	return r
}

// stop ends the recorder and returns its samples.
func (r *recorder[T]) stop() []T {
	close(r.quit)
	return <-r.done
}

// StorageSample is one reading of a database's files and of the process.
type StorageSample struct {
	At          time.Duration `json:"at_ns"`
	FileBytes   int64         `json:"file_bytes"`      // size of the data file
	LiveBytes   int64         `json:"live_bytes"`      // pages of it that are in use, history included
	LogBytes    int64         `json:"log_bytes"`       // log files on the disk, spare ones included
	History     int64         `json:"history_records"` // superseded versions in the data file
	Versions    int64         `json:"version_bytes"`   // in memory, not merged yet
	Spilled     int64         `json:"spilled_bytes"`   // in temporary files
	Checkpoints int64         `json:"checkpoints"`     // since the database was opened
	OldestAge   time.Duration `json:"oldest_age_ns"`   // of the oldest snapshot
	OldestLabel string        `json:"oldest_label,omitempty"`
	RSS         int64         `json:"rss_bytes"`
	Heap        int64         `json:"heap_bytes"` // live and dead objects of the Go heap
	Goroutines  int           `json:"goroutines"`
}

func readStorage(db *mvcc.DB, at time.Duration) StorageSample {
	m := db.Metrics()
	return StorageSample{
		At: at, FileBytes: m.Pages.FileBytes, LiveBytes: m.Pages.LiveBytes, LogBytes: m.Log.DiskBytes,
		History: m.HistoryRecords, Versions: m.VersionBytes, Spilled: m.SpilledBytes, Checkpoints: m.Checkpoints,
		OldestAge: m.OldestAge, OldestLabel: m.OldestLabel,
		RSS: residentBytes(), Heap: runtimeBytes("/memory/classes/heap/objects:bytes"), Goroutines: runtime.NumGoroutine(),
	}
}

// watch samples a database until it is stopped.
func watch(db *mvcc.DB, every time.Duration) *recorder[StorageSample] {
	return sampleEvery(every, func(at time.Duration) StorageSample { return readStorage(db, at) })
}

// whole leaves out the last sample when its period was cut short: a rate in it would mean little.
func whole[T any](samples []T, every time.Duration, at func(T) time.Duration) []T {
	if n := len(samples); n > 1 && at(samples[n-1])-at(samples[n-2]) < every/2 {
		return samples[:n-1]
	}
	return samples
}

// highest returns the largest value of a curve.
func highest[T any](samples []T, value func(T) int64) (top int64) {
	for _, s := range samples {
		top = max(top, value(s))
	}
	return top
}

// temporaryBytes returns the size of the files of a database's directory for large transactions, and their number.
func temporaryBytes(path string) (bytes int64, files int, err error) {
	entries, err := os.ReadDir(path + ".tmp")
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	for _, e := range entries {
		// A file that has gone in between has no size.
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
			files++
		}
	}
	return bytes, files, err
}
