package mvcc

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sombradb/sombra/mvcc/internal/versions"
	"github.com/sombradb/sombra/wal"
)

// keysOf returns a function for keys of a kind.
func keysOf(kind string, rng *rand.Rand) func(i int) []byte {
	number := func(keyspace uint32, n uint64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, keyspace), n)
	}
	return map[string]func(i int) []byte{
		"random":        func(int) []byte { return binary.BigEndian.AppendUint64(nil, rng.Uint64()) },
		"ascending":     func(i int) []byte { return number(16, uint64(i)) },
		"descending":    func(i int) []byte { return number(16, uint64(1<<40-i)) },
		"small numbers": func(int) []byte { return number(16, rng.Uint64N(1000)) },
		"one key":       func(int) []byte { return []byte("a key of more than 16 bytes") },
		"one prefix":    func(int) []byte { return fmt.Appendf(nil, "16 bytes, and then %d", rng.IntN(5000)) },
		"any length":    func(int) []byte { return bytes.Repeat([]byte{byte(rng.IntN(2)) * 255}, rng.IntN(40)) },
		"keyspaces":     func(int) []byte { return number(uint32(16+rng.IntN(3)), rng.Uint64N(1<<20)) },
		"a hot range with keys far away": func(i int) []byte {
			switch i % 100 {
			case 0:
				return []byte{0}
			case 1:
				return bytes.Repeat([]byte{255}, 30)
			}
			return number(1<<20, 1<<30+rng.Uint64N(1<<16))
		},
		"a hot key": func(i int) []byte {
			if i%10 == 0 {
				return binary.BigEndian.AppendUint64(nil, rng.Uint64())
			}
			return number(7, 7)
		},
	}[kind]
}

// Whatever the keys are like, the writes come in the order of their keys, and those of one key as they were logged.
func TestWritesOfAllKindsOfKeysAreSorted(t *testing.T) {
	for _, kind := range []string{
		"random", "ascending", "descending", "small numbers", "one key", "one prefix", "any length", "keyspaces",
		"a hot range with keys far away", "a hot key",
	} {
		for _, commits := range []int{1, 3, 30, 1000} {
			rng := rand.New(rand.NewPCG(1, uint64(commits)))
			key := keysOf(kind, rng)
			b := newReplayBatch(7, 0)
			var want []timedWrite
			for i := range commits {
				var writes []versions.Write
				for k := range 20 {
					w := versions.Write{Key: key(20*i + k), Value: fmt.Append(nil, i, k), Kind: versions.Put}
					writes, want = append(writes, w), append(want, timedWrite{w, Timestamp(100 + i)})
				}
				b.add(Timestamp(100+i), wal.LSN(8*i+8), encodeWrites(writes...), false)
			}
			must(t, b.settle())
			slices.SortStableFunc(want, func(x, y timedWrite) int { return cmp.Or(bytes.Compare(x.Key, y.Key), cmp.Compare(x.ts, y.ts)) })
			t.Run(fmt.Sprint(kind, " ", len(want)), func(t *testing.T) { verifySorted(t, b, want) })
		}
	}
}

// A digit is in the order of the prefixes, and within its bounds also for those outside of the range that it was made for.
func TestDigitsAreInTheOrderOfTheKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	number := func() keyPrefix {
		p := keyPrefix{rng.Uint64(), rng.Uint64()}.shiftedRightBoth(rng.IntN(128))
		if rng.IntN(4) == 0 {
			return keyPrefix{math.MaxUint64 - p.high, math.MaxUint64 - p.low}
		}
		return p
	}
	for range 2000 {
		r := prefixRange{number(), number()}
		if r.most.less(r.least) {
			r.least, r.most = r.most, r.least
		}
		d := digitOf(r, 64<<rng.IntN(7))
		for narrowed := true; narrowed; {
			all := []keyPrefix{{}, {0, 1}, r.least, r.most, {math.MaxUint64, math.MaxUint64}}
			for range 50 {
				all = append(all, number())
			}
			slices.SortFunc(all, func(p, q keyPrefix) int {
				return cmp.Or(cmp.Compare(p.high, q.high), cmp.Compare(p.low, q.low))
			})
			before := 0
			for _, p := range all {
				i := d.of(&replayItem{high: p.high, low: p.low})
				if i < before || i >= d.values {
					t.Fatalf("digit %+v of %x is %d, after %d", d, p, i, before)
				}
				before = i
			}
			if i := d.of(&replayItem{high: d.base.high, low: d.base.low}); i != 1 {
				t.Fatalf("digit %+v of its base is %d", d, i)
			}
			narrowed = d.narrow(1 + rng.IntN(d.values-2))
		}
		if d = digitOf(r, 64); r.least != r.most && d.of(&replayItem{high: r.most.high, low: r.most.low}) < 2 {
			t.Fatalf("digit %+v does not tell %x from %x", d, r.least, r.most)
		}
	}
}

// shiftedRightBoth returns p >> n as a whole.
func (p keyPrefix) shiftedRightBoth(n int) keyPrefix {
	if n >= 64 {
		return keyPrefix{0, p.high >> (n - 64)}
	}
	return keyPrefix{p.high >> n, p.high<<(64-n) | p.low>>n}
}

// Where most keys lie close together and few far away, the first digit is one of those that are many: else one goroutine
// would sort them all.
func TestTheFirstDigitTellsApartWhatIsMany(t *testing.T) {
	b := newReplayBatch(7, 0)
	key := keysOf("a hot range with keys far away", rand.New(rand.NewPCG(5, 6)))
	for i := range 20000 {
		b.addWrite(versions.Write{Key: key(i), Kind: versions.Put}, 9)
	}
	must(t, b.settle())
	begin := b.scatter(make([]replayItem, b.count))
	for i := range digits {
		if n := begin[i+1] - begin[i]; n > 1000 {
			t.Errorf("%d of %d items have digit %d", n, b.count, i)
		}
	}
}
