package mvcc

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// AutoMemory as Options.MemoryBudget takes a quarter of the memory that the process may use: the least of what the
// machine has, the control group allows (both on Linux only) and GOMEMLIMIT says. Where none of these is known it is
// DefaultMemoryBudget.
const AutoMemory = -1

// autoShare is the part of the memory that AutoMemory takes.
const autoShare = 4

// autoMemory returns the budget for AutoMemory.
func autoMemory() int64 {
	least := min(memoryOfMachine(os.ReadFile), debug.SetMemoryLimit(-1))
	if least == math.MaxInt64 {
		return DefaultMemoryBudget
	}
	return max(least/autoShare, MinMemoryBudget)
}

// Files that tell of memory on Linux; elsewhere they are not there.
const (
	memInfo   = "/proc/meminfo"
	ownGroup  = "/proc/self/cgroup"
	groupRoot = "/sys/fs/cgroup"
)

// memoryOfMachine returns the least of the machine's memory and the limits of the control groups (version 2, or the
// memory controller of version 1) that the process is in; math.MaxInt64 if none is known.
func memoryOfMachine(read func(string) ([]byte, error)) int64 {
	least := int64(math.MaxInt64)
	note := func(n int64, err error) {
		if err == nil && n > 0 {
			least = min(least, n)
		}
	}
	if b, err := read(memInfo); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
				n, err := strconv.ParseInt(f[1], 10, 64)
				note(n<<10, err)
			}
		}
	}
	b, _ := read(ownGroup) // without it there are no groups
	for line := range strings.Lines(string(b)) {
		_, controllers, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(controllers, ":")
		dir, file := groupRoot+path, "/memory.max"
		if controllers == "memory" {
			dir, file = groupRoot+"/memory"+path, "/memory.limit_in_bytes"
		} else if controllers != "" {
			continue
		}
		for ; len(dir) >= len(groupRoot); dir = dir[:max(strings.LastIndexByte(dir, '/'), 0)] {
			if b, err := read(dir + file); err == nil {
				note(strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)) // "max" is no number, and no limit
			}
		}
	}
	return least
}
