package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a flag value in bytes.
type size int64

// units are tried in order, so longer endings come first.
var units = [...]struct {
	ending string
	bytes  float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40},
	{"b", 1}, {"", 1},
}

// Set parses a number with an optional unit: 4096, 64KiB, 1.5GiB, 10MB.
func (s *size) Set(text string) error {
	lower := strings.ToLower(strings.TrimSpace(text))
	for _, u := range units {
		number, ok := strings.CutSuffix(lower, u.ending)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 || v*u.bytes >= math.MaxInt64 || math.IsNaN(v) {
			return fmt.Errorf("%q is not a size, want a number with a unit, such as 64MiB", text)
		}
		*s = size(v * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size, want a number with a unit, such as 64MiB", text)
}

// String renders the size in the largest binary unit that is exact.
func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	v := int64(*s)
	for _, unit := range [...]string{"B", "KiB", "MiB", "GiB"} {
		if v%1024 != 0 {
			return strconv.FormatInt(v, 10) + unit
		}
		v /= 1024
	}
	return strconv.FormatInt(v, 10) + "TiB"
}

// Type names the value in help texts.
func (s *size) Type() string { return "SIZE" }
