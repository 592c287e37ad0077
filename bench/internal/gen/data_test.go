package gen

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestMixIsInjectiveOnAMillionNumbers(t *testing.T) {
	seen := make(map[uint64]bool, 1_000_000)
	for n := range uint64(1_000_000) {
		if h := Mix(n); seen[h] {
			t.Fatalf("Mix(%d) collides", n)
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
		var a, b Record
		b.Set(n+1, version+1, 500) // leaves something in the buffers
		a.Set(n, version, size)
		b.Set(n, version, size)
		if !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) {
			t.Fatal("two records of one number differ")
		}
		if len(a.Key) != KeySize || len(a.Value) != size {
			t.Fatalf("sizes are %d and %d, want %d and %d", len(a.Key), len(a.Value), KeySize, size)
		}
		got, ok := VersionOf(n, a.Value)
		if ok != (size >= MinValueSize) || ok && got != version {
			t.Fatalf("the version of a value is read as %d, %v, want %d", got, ok, version)
		}
		if _, ok := VersionOf(n+1, a.Value); ok {
			t.Fatal("the value passes for one of another record")
		}
		if unmix(Mix(n)) != n {
			t.Fatal("unmix is not the inverse")
		}
	})
}

func TestChecksumDependsOnContentNotOnOrder(t *testing.T) {
	sum := func(pairs ...string) (s Checksum) {
		for i := 0; i < len(pairs); i += 2 {
			s.Add([]byte(pairs[i]), []byte(pairs[i+1]))
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

func TestAValueThatWasTornIsNotWhole(t *testing.T) {
	const size = 1003 // ends within a word
	value := AppendValue(nil, 1, 2, size)
	if !Whole(value) || !Whole(nil) {
		t.Fatal("a value as it is made is not whole")
	}
	for at := range value {
		torn := append(append([]byte{}, value[:at]...), AppendValue(nil, 1, 3, size)[at:]...)
		if at > 0 && Whole(torn) {
			t.Fatalf("a value whose first %d bytes are of another one is whole", at)
		}
	}
}
