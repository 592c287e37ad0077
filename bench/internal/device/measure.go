package device

import (
	"context"
	"errors"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
)

// Measure has so many writers append records to a new file at path until the limit, reads them back and removes the file.
func Measure(ctx context.Context, path string, record, writers int, limit drive.Limit) (drive.Result, error) {
	d, err := Open(path, record)
	if err != nil {
		return drive.Result{}, err
	}
	var r drive.Result
	var written uint64
	if writers == 1 {
		r, err = drive.Closed(ctx, 1, limit, func(_ context.Context, _ int, seq uint64) (drive.Did, error) {
			written = seq + 1
			return drive.Did{Attempts: 1, Sum: gen.Checksum(seq + 1)}, d.Append(seq)
		})
	} else {
		g := NewGroup(d)
		r, err = drive.Closed(ctx, writers, limit, func(_ context.Context, worker int, seq uint64) (drive.Did, error) {
			return drive.Did{Attempts: 1, Sum: gen.Checksum(uint64(worker)<<40 + seq + 1)}, g.Append()
		})
		written = g.Close()
	}
	if err == nil {
		err = d.Audit(written)
	}
	return r, errors.Join(err, d.Close())
}
