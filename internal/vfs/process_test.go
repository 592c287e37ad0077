package vfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const holderEnv = "VFS_TEST_HOLD_LOCK"

// TestMain turns the test binary into a process that holds a lock until its
// input ends.
func TestMain(m *testing.M) {
	if name := os.Getenv(holderEnv); name != "" {
		os.Exit(holdLock(name))
	}
	os.Exit(m.Run())
}

func holdLock(name string) int {
	lock, err := OS.Lock(name, false)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if lock.Close() != nil {
		return 1
	}
	return 0
}

func TestLockExcludesAnotherProcessUntilItDies(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderEnv+"="+name)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "held\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}

	_, err = OS.Lock(name, false)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid {
		t.Errorf("got %v, want a lock held by process %d", err, cmd.Process.Pid)
	}
	_, err = OS.Lock(name, true)
	wantErr(t, "shared lock", err, ErrLocked)

	must(t, cmd.Process.Kill())
	_ = cmd.Wait()    // says that it was killed
	_ = stdin.Close() // Wait did so already
	lock, err := OS.Lock(name, false)
	must(t, err)
	must(t, lock.Close())
}
