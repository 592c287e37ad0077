package bench

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/device"
	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/figures"
)

// DeviceConfig configures the device workload: one goroutine appends records to a preallocated file and syncs each
// (fdatasync where there is one). No engine with one writer commits faster.
type DeviceConfig struct {
	Common
	RecordSize int `json:"record_size"` // bytes; default 128: a key of 16, a value of 100, and what a log needs besides
	// Limit ends the measurement; default 3 s.
	Limit Limit `json:"limit"`
}

func (c DeviceConfig) withDefaults() DeviceConfig {
	setDefault(&c.RecordSize, device.DefaultRecord)
	c.Limit = orDuration(c.Limit, 3*time.Second)
	return c
}

func (c *DeviceConfig) validate() error {
	err := atLeast("RecordSize", c.RecordSize, 1)
	if c.RecordSize > device.MaxRecord {
		err = &ConfigError{Field: "RecordSize", Value: c.RecordSize, Want: "at most " + Bytes(device.MaxRecord)}
	}
	return err
}

// Device measures what the disk allows.
func Device(ctx context.Context, cfg DeviceConfig) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	res := &Result{Workload: "device", Environment: NewEnvironment(cfg.Dir), Config: cfg}
	cfg.note("device: appends and syncs")
	return res, cfg.inScratch("device", func(dir string) error {
		d, err := device.Open(filepath.Join(dir, "device"), cfg.RecordSize)
		if err != nil {
			return err
		}
		r, err := drive.Closed(ctx, 1, cfg.Limit, func(_ context.Context, _ int, seq uint64) (drive.Did, error) {
			return drive.Did{Attempts: 1, Sum: Checksum(seq + 1)}, d.Append(seq)
		})
		if err == nil {
			err = d.Audit(r.Done[0])
		}
		res.add("append and sync", 1, figures.SampleOf(r, "syncs"))
		return errors.Join(err, d.Close())
	})
}
