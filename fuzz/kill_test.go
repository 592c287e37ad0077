package fuzz

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sombradb/sombra/mvcc"
)

var killRounds = flag.Int("kill.rounds", 8, "how often a process is killed that writes to a database")

// Environment variables that make a process of this test binary a victim.
const (
	victimPath = "SOMBRA_FUZZ_VICTIM_PATH"
	victimSeed = "SOMBRA_FUZZ_VICTIM_SEED"
)

// killOptions are those of the victim, on the real disk.
func killOptions() *mvcc.Options {
	return &mvcc.Options{MemoryBudget: mvcc.MinMemoryBudget, SegmentSize: 256 << 10, MaxLogBytes: 2 << 20}
}

// mob are more writers than cores, which never end.
func mob(seed uint64) *workload {
	return &workload{
		writers: 6, commits: 1 << 40, cells: 200, valueBytes: 2000, largeBytes: 300 << 10, largeEvery: 60,
		checkpoint: 40, unordered: true, seed: seed,
	}
}

const ackFormat = "ack %d %d %d %d\n" // writer, seq, nonce, timestamp

// beVictim writes until it is killed, and prints what was acknowledged: one
// short write to a pipe for each, which arrives whole or not at all.
func beVictim(path string) error {
	seed, err := strconv.ParseUint(os.Getenv(victimSeed), 10, 64)
	if err != nil {
		return err
	}
	db, err := mvcc.Open(path, killOptions())
	if err != nil {
		return err
	}
	w := mob(seed)
	w.acked = func(o outcome, nonce uint64) {
		_, _ = fmt.Printf(ackFormat, o.id.writer, o.id.seq, nonce, o.ts) // without a reader there is nothing to do
	}
	return errors.Join(w.run(bg, db, newHistory())...)
}

// victim is a process that writes to a database.
type victim struct {
	t      *testing.T
	cmd    *exec.Cmd
	output io.Reader
	errors bytes.Buffer
	killed chan struct{}
}

func startVictim(t *testing.T, path string, seed uint64) *victim {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, cmd: exec.Command(self), killed: make(chan struct{})}
	v.cmd.Env = append(os.Environ(), victimPath+"="+path, victimSeed+"="+strconv.FormatUint(seed, 10))
	v.cmd.Stderr = &v.errors
	if v.output, err = v.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return v
}

// kill ends the process a while after so many acknowledgements, and adds what it had acknowledged to the history. With none
// to wait for, it may still be starting or recovering.
func (v *victim) kill(from int, after time.Duration, h *history) (acks int) {
	v.t.Helper()
	timer := time.AfterFunc(time.Hour, func() {
		close(v.killed)
		_ = v.cmd.Process.Kill() // Wait says how it ended
	})
	defer timer.Stop()
	lines := bufio.NewScanner(v.output)
	if from == 0 {
		timer.Reset(after)
	}
	for lines.Scan() {
		if acks+1 == from {
			timer.Reset(after)
		}
		var o outcome
		var nonce uint64
		if _, err := fmt.Sscanf(lines.Text()+"\n", ackFormat, &o.id.writer, &o.id.seq, &nonce, &o.ts); err != nil {
			v.t.Fatalf("victim says %q: %v", lines.Text(), err)
		}
		o.acked = true
		h.add(nonce, o)
		acks++
	}
	err := v.cmd.Wait()
	select {
	case <-v.killed:
	default:
		v.t.Fatalf("the victim ended before it was killed: %v\n%s", err, v.errors.String())
	}
	return acks
}

// copyDatabase copies the files of a database, so that an audit does not
// recover it: the next victim will, and may be killed while it does.
func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsLostWhenTheProcessIsKilled(t *testing.T) {
	for left := *killRounds; left > 0; left -= killsPerDatabase {
		killWriters(t, t.TempDir(), min(left, killsPerDatabase))
	}
}

// killsPerDatabase bounds what each audit has to read.
const killsPerDatabase = 50

// killWriters kills one process after the other that writes to the same database.
func killWriters(t *testing.T, home string, rounds int) {
	t.Helper()
	live, copied := filepath.Join(home, "live"), filepath.Join(home, "copy")
	if err := os.Mkdir(live, 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHistory()
	h.dark = true
	acks, survived := 0, 0
	for round := range rounds {
		v := startVictim(t, filepath.Join(live, "db"), rand.Uint64())
		if round%4 == 3 {
			acks += v.kill(0, time.Duration(rand.Int64N(int64(100*time.Millisecond))), h)
		} else {
			acks += v.kill(1+rand.IntN(60), time.Duration(rand.Int64N(int64(5*time.Millisecond))), h)
		}
		dir := live
		if round%2 == 0 {
			copyDatabase(t, live, copied)
			dir = copied
		}
		survived = len(auditedAt(t, filepath.Join(dir, "db"), killOptions(), h).entries)
	}
	t.Logf("%d kills, %d commits acknowledged, %d in the database", rounds, acks, survived)
}
