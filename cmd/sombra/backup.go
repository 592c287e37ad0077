package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/mvcc"
)

// stream is the name of a file that means standard output or input.
const stream = "-"

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup DB FILE",
		Short: "Copy a database into one file",
		Long: `backup writes everything that is in a database to FILE, or to standard output when FILE is "-". The file
can be restored on any machine and by later releases, also with another page size. It is not compressed: pipe it
through a compressor of your choice.

The command needs a database that no process has open for writing. A program makes a backup of
its own open database with mvcc.DB.Backup, while it goes on reading and writing.`,
		Args: takes("DB", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := a.options(cmd)
			if err != nil {
				return err
			}
			opts.ReadOnly, opts.MustExist = true, true
			result, err := a.backup(cmd.Context(), args[0], args[1], &opts)
			if err != nil || args[1] == stream {
				return err // the stream is all that standard output gets
			}
			return a.print(result, result.write)
		},
	}
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE DB",
		Short: "Make a new database of a backup",
		Long: `restore makes the new database DB of a backup in FILE, or from standard input when FILE is "-". DB appears as a
whole, or not at all when the backup is damaged or cut off.`,
		Args: takes("FILE", "DB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := a.options(cmd)
			if err != nil {
				return err
			}
			result, err := a.restore(cmd.Context(), args[0], args[1], &opts)
			if err != nil {
				return err
			}
			return a.print(result, result.write)
		},
	}
}

// backupResult is what backup and restore print.
type backupResult struct {
	Path      string        `json:"path"`
	As        time.Time     `json:"as_of"`
	Keyspaces int64         `json:"keyspaces"`
	Pairs     int64         `json:"pairs"`
	Bytes     int64         `json:"bytes"` // of the backup
	Elapsed   time.Duration `json:"elapsed_ns"`
}

func newBackupResult(path string, r *mvcc.BackupReport, start time.Time) *backupResult {
	return &backupResult{
		Path: path, As: r.Timestamp.Time().UTC(), Keyspaces: r.Keyspaces, Pairs: r.Pairs, Bytes: r.Bytes, Elapsed: time.Since(start),
	}
}

func (r *backupResult) write(w io.Writer) error {
	l := &lines{w: w}
	l.f("%s: %s pairs in %s, as of %s; %s of backup, in %v", r.Path, bench.Count(r.Pairs), plural(int(r.Keyspaces), "keyspace"),
		r.As.Format(time.RFC3339Nano), bench.Bytes(r.Bytes), r.Elapsed.Round(time.Millisecond))
	return l.err
}

func (a *app) backup(ctx context.Context, path, file string, opts *mvcc.Options) (result *backupResult, err error) {
	start := time.Now()
	db, err := mvcc.Open(path, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	bar := a.newProgress("backup", true)
	defer bar.finish()
	var report *mvcc.BackupReport
	write := func(w io.Writer) (err error) {
		report, err = db.Backup(ctx, &counter{w: w, bar: bar})
		return err
	}
	if file == stream {
		err = write(a.stdout)
	} else {
		err = writeNew(file, write)
	}
	if err != nil {
		return nil, err
	}
	return newBackupResult(file, report, start), nil
}

func (a *app) restore(ctx context.Context, file, path string, opts *mvcc.Options) (*backupResult, error) {
	start := time.Now()
	in, total := a.stdin, int64(0)
	if file != stream {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			total = info.Size()
		}
		in = f
	}
	bar := a.newProgress("restore", true)
	defer bar.finish()
	report, err := mvcc.Restore(ctx, &counter{r: in, bar: bar, total: total}, path, opts)
	if err != nil {
		return nil, err
	}
	return newBackupResult(path, report, start), nil
}

// counter shows how many bytes went through it.
type counter struct {
	w           io.Writer
	r           io.Reader
	bar         *progress
	done, total int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.add(n)
	return n, err
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.add(n)
	return n, err
}

func (c *counter) add(n int) {
	c.done += int64(n)
	c.bar.set(c.done, max(c.total, c.done), "")
}
