package bench

import (
	"bytes"
	"testing"
)

func TestTheGeneratorMakesTheWorkloadsRecords(t *testing.T) {
	var gen Generator
	var rec record
	var sum, want Checksum
	for n := range uint64(100) {
		rec.set(n, 3, 40)
		key, value := gen.AppendKey([]byte("head"), n), gen.AppendValue([]byte("head"), n, 3, 40)
		if !bytes.Equal(key[4:], rec.key) || !bytes.Equal(value[4:], rec.value) || string(key[:4]) != "head" || string(value[:4]) != "head" {
			t.Fatalf("record %d is %x, %x behind its head; want %x, %x", n, key, value, rec.key, rec.value)
		}
		sum.Add(key[4:], value[4:])
		want.add(rec.key, rec.value)
	}
	if sum != want {
		t.Errorf("the checksum is %v, want %v", sum, want)
	}
}

func TestAnExportedZipfIsThePackagesOwn(t *testing.T) {
	var gen Generator
	exported, own := NewZipf(1000, 0.99), newZipf(1000, 0.99)
	for n := range uint64(1000) {
		u := gen.Unit(gen.Mix(n))
		if got, want := exported.Rank(u), own.rank(u); got != want {
			t.Fatalf("the rank of %v is %d, want %d", u, got, want)
		}
	}
	if exported.String() != "zipf 0.99" {
		t.Errorf("it is called %q", exported)
	}
}
