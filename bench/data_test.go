package bench

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestMixIsInjectiveOnAMillionNumbers(t *testing.T) {
	seen := make(map[uint64]bool, 1_000_000)
	for n := range uint64(1_000_000) {
		if h := mix(n); seen[h] {
			t.Fatalf("mix(%d) collides", n)
		} else {
			seen[h] = true
		}
	}
}

func TestRecordsFollowFromTheirNumbersAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "n")
		version := rapid.Uint64Range(0, 1<<15).Draw(t, "version")
		size := rapid.IntRange(0, 300).Draw(t, "size")
		var a, b record
		b.set(n+1, version+1, 500) // leaves something in the buffers
		a.set(n, version, size)
		b.set(n, version, size)
		if !bytes.Equal(a.key, b.key) || !bytes.Equal(a.value, b.value) {
			t.Fatal("two records of one number differ")
		}
		if len(a.key) != keySize || len(a.value) != size {
			t.Fatalf("sizes are %d and %d, want %d and %d", len(a.key), len(a.value), keySize, size)
		}
		if size >= minValueSize && versionOf(n, a.value) != version {
			t.Fatal("the version cannot be told from the value")
		}
	})
}

func TestChecksumDependsOnContentNotOnOrder(t *testing.T) {
	sum := func(pairs ...string) (s Checksum) {
		for i := 0; i < len(pairs); i += 2 {
			s.add([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return s
	}
	if sum("a", "1", "b", "2") != sum("b", "2", "a", "1") {
		t.Error("order matters")
	}
	if sum("a", "1", "b", "2") == sum("a", "2", "b", "1") {
		t.Error("swapped values go unnoticed")
	}
	if sum("ab", "c") == sum("a", "bc") {
		t.Error("the border between key and value goes unnoticed")
	}
}

func TestChecksumSurvivesJSON(t *testing.T) {
	want := Checksum(0xfedcba9876543210)
	text, err := json.Marshal(want)
	if err != nil || string(text) != `"fedcba9876543210"` {
		t.Fatalf("got %s, %v", text, err)
	}
	var got Checksum
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`"xyz"`), &got); err == nil {
		t.Error("nonsense was accepted")
	}
}

func TestCountsAndSizesAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", 10_000_000: "10,000,000"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 64 << 20: "64.0 MiB", 5 << 40: "5.0 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
