package main

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSizesAreParsedWithBinaryAndDecimalUnits(t *testing.T) {
	good := map[string]size{
		"0": 0, "4096": 4096, "12B": 12, "64KiB": 64 << 10, "256MiB": 256 << 20, "1.5GiB": 3 << 29,
		"2TiB": 2 << 40, "10kB": 10_000, "3MB": 3_000_000, "8k": 8 << 10, "1G": 1 << 30, " 1 mib ": 1 << 20,
	}
	for text, want := range good {
		var got size
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q gives %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestNonsenseIsNotASize(t *testing.T) {
	for _, text := range []string{"", "MiB", "-1", "x", "1 2", "1XiB", "1e400", "NaN", "99999999TiB", "1,5MiB"} {
		s := size(7)
		if err := s.Set(text); err == nil || s != 7 {
			t.Errorf("%q gives %d, %v; want an error and no change", text, s, err)
		}
	}
}

func TestSizesPrintAsTheyAreParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := size(rapid.Int64Range(1, 1<<50).Draw(t, "bytes") << rapid.IntRange(0, 10).Draw(t, "shift"))
		var got size
		if err := got.Set(want.String()); err != nil || got != want {
			t.Fatalf("%d prints as %s, which parses as %d, %v", want, want.String(), got, err)
		}
	})
}
