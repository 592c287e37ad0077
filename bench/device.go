package bench

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/sombradb/sombra/bench/internal/device"
	"github.com/sombradb/sombra/bench/internal/figures"
)

// DeviceConfig configures the device workload: goroutines append records to a preallocated file and wait until they are synced
// (fdatasync where there is one), each sync for all that wait. One of them syncs each record by itself. That is what
// a commit waits for, and nothing else: no engine with so many writers commits faster.
type DeviceConfig struct {
	Common
	Writers    []int `json:"writers"`     // goroutines; default 1, 8, 32, 128
	RecordSize int   `json:"record_size"` // bytes; default 128: a key of 16, a value of 100, and what a log needs besides
	// Limit ends the measurement; default 3 s.
	Limit Limit `json:"limit"`
}

func (c DeviceConfig) withDefaults() DeviceConfig {
	setDefault(&c.RecordSize, device.DefaultRecord)
	if len(c.Writers) == 0 {
		c.Writers = defaultWriters
	}
	c.Limit = orDuration(c.Limit, 3*time.Second)
	return c
}

func (c *DeviceConfig) validate() error {
	err := errors.Join(allPositive("Writers", c.Writers), atLeast("RecordSize", c.RecordSize, 1))
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
		for _, writers := range cfg.Writers {
			r, err := device.Measure(ctx, filepath.Join(dir, "device"), cfg.RecordSize, writers, cfg.Limit)
			if err != nil {
				return err
			}
			res.add("append and sync", writers, figures.SampleOf(r, "records"))
		}
		return nil
	})
}
