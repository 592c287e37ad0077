package bench

// Generator makes keys, values and choices from numbers alone, as the workloads of this package do. Other modules that
// compare engines use it, so that they all do the same work. It has no state and is safe for concurrent use.
type Generator struct{}

// Mix is a bijection that spreads numbers over all of uint64 (SplitMix64's finaliser).
func (Generator) Mix(n uint64) uint64 { return mix(n) }

// Unit maps a mixed number to [0, 1).
func (Generator) Unit(mixed uint64) float64 { return unit(mixed) }

// AppendKey appends the 16 bytes of record n's key, whose place in the key range is as good as random.
func (Generator) AppendKey(dst []byte, n uint64) []byte { return appendKey(dst, n) }

// AppendValue appends size bytes that do not compress and depend on the record and its version.
func (Generator) AppendValue(dst []byte, n, version uint64, size int) []byte {
	return appendValue(dst, n, version, size)
}

// Add adds a record to the checksum; the order of records does not matter.
func (s *Checksum) Add(key, value []byte) { s.add(key, value) }

// Zipf draws ranks from 0 to n-1, the low ones most often. It is immutable and safe for concurrent use.
type Zipf struct{ z *zipf }

// NewZipf makes a distribution in which rank k is about 1/(k+1)^theta as probable as rank 0; theta 0 is uniform. It takes
// time in proportion to n. REQUIRES: n >= 1 and theta in [0, 1).
func NewZipf(n int64, theta float64) Zipf { return Zipf{newZipf(n, theta)} }

// Rank maps a number in [0, 1), uniformly drawn, to a rank.
func (z Zipf) Rank(u float64) uint64 { return z.z.rank(u) }

// String names the distribution.
func (z Zipf) String() string { return z.z.String() }
