package pagestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sombradb/sombra/internal/vfs"
)

// corruptionFile makes a small file with every kind of page.
func corruptionFile(t testing.TB) (*vfs.Mem, model) {
	mem := vfs.NewMem()
	s, err := Create("db", testID, Options{FS: mem, PageSize: 4096, CacheBytes: minCache})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var edits []Edit
	for i := range 90 {
		edits = append(edits, Edit{Key: fmt.Appendf(nil, "key%04d", i), Value: pattern(60, uint64(i)), Timestamp: uint64(i)})
	}
	edits = append(edits, Edit{Key: []byte("large"), Value: pattern(5000, 9), Timestamp: 3})
	long := make([]byte, 5000)
	long[0] = 'z'
	edits = append(edits, Edit{Key: long, Value: []byte("jumbo"), Timestamp: 5})
	edits = sortEdits(edits)
	commit(t, s, edits)
	commit(t, s, []Edit{{Key: []byte("key0001"), Value: []byte("new"), Timestamp: 200}})
	m := model{}.apply(edits).apply([]Edit{{Key: []byte("key0001"), Value: []byte("new"), Timestamp: 200}})
	return mem, m
}

func contents(t testing.TB, fs vfs.FS) []byte {
	f, err := fs.OpenFile("db", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) {
		t.Fatal(err)
	}
	return b
}

// readAll reads everything in both directions and reports whether damage was named. What it returns must be true.
func readAll(t *testing.T, s *Store, m model) (damaged bool) {
	t.Helper()
	v := s.View()
	bad := func(err error) bool {
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		return err != nil
	}
	for k, e := range m {
		got, ts, found, err := v.Get(DataTree, []byte(k), nil)
		if bad(err) {
			damaged = true
		} else if !found || string(got) != e.value || ts != e.ts {
			t.Fatalf("Get(%.20q): a wrong answer", k)
		}
	}
	c := v.Cursor(DataTree)
	defer c.Close()
	for ok := c.First(); ok; ok = c.Next() {
		got, err := c.Value()
		if bad(err) {
			damaged = true
		} else if string(got) != m[string(c.Key())].value {
			t.Fatalf("cursor at %.20q: a wrong answer", c.Key())
		}
	}
	damaged = bad(c.Err()) || damaged
	rep, err := s.Check(t.Context(), nil)
	if damaged != (len(rep.Problems) > 0) && damaged || bad(err) {
		t.Fatalf("reading met damage, Check %v (%v)", rep.Problems, err)
	}
	return len(rep.Problems) > 0
}

// TestEveryFlippedByteIsFoundOrHarmless flips each byte of a small file. Opening fails with a clear error, or it uses
// the older superblock, or reading names the damage, or the byte is in a free page.
func TestEveryFlippedByteIsFoundOrHarmless(t *testing.T) {
	mem, m := corruptionFile(t)
	old := maps0(m)
	whole := contents(t, mem)
	s := openAt(t, mem)
	if len(census(t, s.View(), DataTree).pages) == 0 {
		t.Fatal("the file has no delta page")
	}
	live, slot := s.mu.durable.live, s.mu.durable.slot
	_ = s.Close()
	stride := 13
	if *long {
		stride = 1
	} else if poisonFrames {
		stride = 101 // the race detector is slow
	}
	for off := 0; off < len(whole); off += stride {
		image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
		damage(t, image, int64(off), []byte{whole[off] ^ 0x41})
		page := PageID(off / 4096)
		s, err := Open("db", Options{FS: image, CacheBytes: minCache})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("byte %d: %v", off, err)
			}
			continue
		}
		if page == PageID(slot) && s.View().Meta().LogLSN != 4 {
			if n := s.View().Count(DataTree); n != int64(len(old)) {
				t.Fatalf("byte %d: older superblock has %d records", off, n)
			}
			readAll(t, s, old)
		} else if found := readAll(t, s, m); page >= 2 && found != live.has(page) {
			t.Fatalf("byte %d of page %d (live %v): damage found: %v", off, page, live.has(page), found)
		}
		_ = s.Close()
	}
}

// maps0 is the model before the second commit of corruptionFile.
func maps0(m model) model {
	return m.apply([]Edit{{Key: []byte("key0001"), Value: pattern(60, 1), Timestamp: 1}})
}

// TestDamageThatChecksumsDoNotSee writes pages with good checksums to wrong places or of wrong times.
func TestDamageThatChecksumsDoNotSee(t *testing.T) {
	mem, m := corruptionFile(t)
	whole := contents(t, mem)
	s := openAt(t, mem)
	live := s.mu.durable.live
	_ = s.Close()
	page := func(p PageID) []byte { return slices.Clone(whole[p*4096 : (p+1)*4096]) }
	for p := PageID(2); p < live.end(); p++ {
		if !live.has(p) {
			continue
		}
		other := p + 1
		if !live.has(other) {
			other = 2
		}
		older := page(p)
		older[offBirth]--
		seal(older, checksumSeed(testID))
		foreign := page(p)
		seal(foreign, checksumSeed(DatabaseID{9}))
		for what, b := range map[string][]byte{
			"misdirected write": page(other), "lost write": older, "page of another database": foreign, "zeros": make([]byte, 4096),
		} {
			image := mem.Crash(vfs.CrashConfig{Mode: vfs.KeepAll})
			damage(t, image, int64(p)*4096, b)
			s, err := Open("db", Options{FS: image, CacheBytes: minCache})
			if errors.Is(err, ErrCorrupt) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !readAll(t, s, m) {
				t.Errorf("%s at page %d was not noticed", what, p)
			}
			_ = s.Close()
		}
	}
}

// TestCheckComparesBitmaps makes a bitmap that differs from what is reached, with good checksums.
func TestCheckComparesBitmaps(t *testing.T) {
	for _, lost := range []bool{false, true} {
		s := mustCreate(t, vfs.NewMem(), 4096)
		commit(t, s, []Edit{{Key: []byte("a"), Value: pattern(9000, 1)}, {Key: []byte("b")}})
		c, err := s.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if lost {
			_, err = c.alloc.alloc(3)
		} else {
			c.alloc.free(s.View().sb.trees[DataTree].page, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Commit(Meta{}); err != nil {
			t.Fatal(err)
		}
		rep, err := s.Check(t.Context(), nil)
		if err != nil || len(rep.Problems) == 0 || !errors.Is(rep.Problems[0], ErrCorrupt) {
			t.Fatalf("lost pages %v: %v, %v", lost, rep.Problems, err)
		}
		t.Log(rep.Problems[0])
	}
}

func FuzzNode(f *testing.F) {
	mem, _ := corruptionFile(f)
	whole := contents(f, mem)
	for p := 2; p < len(whole)/4096; p++ {
		f.Add(whole[p*4096:(p+1)*4096], uint16(70), byte(1), uint16(48), byte(255))
	}
	f.Fuzz(func(t *testing.T, b []byte, at1 uint16, x1 byte, at2 uint16, x2 byte) {
		if len(b) < 4096 || len(b)%4096 != 0 || len(b) > 5*4096 {
			return
		}
		b = slices.Clone(b)
		b[int(at1)%len(b)] ^= x1
		b[int(at2)%len(b)] ^= x2
		for _, level := range nodeLevels {
			fuzzNode(t, b, level)
		}
	})
}

var nodeLevels = []int{deltaLevel, 0, 1}

// fuzzNode demands that whatever verifies can be used without leaving its bytes.
func fuzzNode(t *testing.T, b []byte, level int) {
	if verifyNode(b, DataTree, level, 4096) != "" {
		return
	}
	if level == deltaLevel {
		fuzzDeltas(t, b)
		return
	}
	nd := asNode(b)
	var prev []byte
	for i := range nd.n {
		key := nd.appendKey(nil, i)
		c := nd.cell(i)
		if string(key) != string(nd.common())+string(c.suffix) {
			t.Fatal("cell and suffix disagree")
		}
		if level > 0 {
			nd.child(i)
		} else if c.flags&cellOverflow != 0 {
			parseRef(c.val)
		}
		if i <= level {
			prev = key
			continue
		}
		if string(prev) >= string(key) {
			t.Fatal("order")
		}
		if at, found := nd.search(key, level); !found || at != i {
			t.Fatalf("search finds key %d at %d, %v", i, at, found)
		}
		prev = key
	}
}

// fuzzImage draws a leaf with a delta: if it can be drawn, all records are in the image, and nothing leads out of it.
func fuzzImage(t *testing.T, o *overlay, records int64, size int) (drawn bool) {
	b, h := make([]byte, size), header{kind: kindLeaf, baseTS: o.nd.base, prefix: uint32(o.nd.prefix)}
	if !o.draw(b, &h) {
		return false
	}
	h.put(b)
	nd := asNode(b)
	if int64(nd.n) != records {
		t.Fatalf("an image of %d records has %d", records, nd.n)
	}
	for i := range nd.n {
		if c := nd.cell(i); cap(b)-cap(c.val)+len(c.val) > len(b)-trailerSize {
			t.Fatalf("cell %d lies in the trailer", i)
		}
		nd.search(nd.appendKey(nil, i), 0)
	}
	return true
}

// fuzzDeltas uses every delta of a verified page, alone and over leaves that know nothing of it.
func fuzzDeltas(t *testing.T, b []byte) {
	le := binary.LittleEndian
	for slot := range le.Uint32(b[offCells:]) {
		at := b[headerSize+2*slot:]
		block, what := deltaBlock(b, deltaRef{slot: slot, size: uint32(le.Uint16(at[2:]) - le.Uint16(at))})
		if what != "" {
			t.Fatal(what)
		}
		d := asDelta(block)
		var prev []byte
		for k := range d.n {
			key := d.appendKey(nil, k)
			if k > 0 && string(prev) >= string(key) || k > 0 && d.spot(k) < d.spot(k-1) {
				t.Fatal("order")
			}
			if at, found := d.search(key, 0); !found || at != k {
				t.Fatalf("search finds key %d at %d, %v", k, at, found)
			}
			if c := d.cell(k); c.flags&cellOverflow != 0 && !c.dead() {
				parseRef(c.val)
			}
			prev = key
		}
		for _, leaf := range strangeLeaves() {
			if d.fits(leaf.n) {
				fuzzOverlay(t, d, leaf)
			}
		}
	}
	if _, what := deltaBlock(b, deltaRef{slot: le.Uint32(b[offCells:])}); what == "" {
		t.Fatal("there is a delta behind the last one")
	}
}

// strangeLeaves are leaves of several sizes, which no delta was made for.
var strangeLeaves = sync.OnceValue(func() (leaves []node) {
	for _, n := range []int{1, 20, 300} {
		var leaf changes
		for i := range n {
			leaf.add(nil, fmt.Appendf(nil, "key%04d", i), nil, change{})
		}
		leaves = append(leaves, asDelta(leaf.encode(nil, 2)).node)
	}
	return leaves
})

// fuzzOverlay walks a delta over a leaf in all ways.
func fuzzOverlay(t *testing.T, d delta, nd node) {
	o := overlay{nd: nd, dn: d}
	o.find([]byte("key0001"))
	records := o.sum().count
	if most := int64(nd.n + d.n); records > most {
		t.Fatalf("%d records of %d", records, most)
	}
	fuzzImage(t, &overlay{nd: nd, dn: d}, records, 4096)
	forward, backward := int64(0), int64(0)
	c := Cursor{v: &View{}, nd: nd, dn: d}
	for ok := c.seekForward(0, 0); ok; {
		forward++
		if c.i+1 < c.stop {
			ok = c.at(c.i + 1)
		} else if c.lo < c.hi {
			ok = c.seekForward(c.dn.after(c.lo), c.hi)
		} else {
			ok = c.seekForward(c.i+1, c.hi)
		}
	}
	for ok := c.seekBackward(nd.n, d.n); ok; {
		backward++
		if c.i > c.start {
			ok = c.at(c.i - 1)
		} else {
			ok = c.seekBackward(c.i, c.lo)
		}
	}
	if forward != records || backward != records {
		t.Fatalf("%d records, the cursor finds %d and %d", records, forward, backward)
	}
}

func FuzzSuperblock(f *testing.F) {
	mem, _ := corruptionFile(f)
	whole := contents(f, mem)
	f.Add(whole[:superSize])
	f.Add(whole[4096 : 4096+superSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != superSize {
			return
		}
		b = slices.Clone(b)
		copy(b, superMagic)
		b[sbVersion], b[sbVersion+1], b[sbVersion+2], b[sbVersion+3] = formatVersion, 0, 0, 0
		seal(b, 0)
		fs := vfs.NewMem()
		file, err := fs.OpenFile("db", 0x42, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.WriteAt(b, 0)
		_, _ = file.WriteAt(whole[4096*2:], 4096*2)
		_ = file.Close()
		s, err := Open("db", Options{FS: fs, CacheBytes: minCache})
		if err != nil {
			return
		}
		defer func() { _ = s.Close() }()
		_, _ = s.Check(t.Context(), nil)
		c := s.View().Cursor(DataTree)
		defer c.Close()
		for ok := c.First(); ok; ok = c.Next() {
			_, _ = c.Value()
		}
	})
}

// TestDamagedNodesNeverLeadOutsideOfTheirBytes changes bytes of nodes behind the checksum's back, most often in headers
// and slots: whatever the verification lets pass can be used.
func TestDamagedNodesNeverLeadOutsideOfTheirBytes(t *testing.T) {
	mem, _ := corruptionFile(t)
	whole := contents(t, mem)
	var nodes [][]byte
	for p := 2; p < len(whole)/4096; p++ {
		b := whole[p*4096 : (p+1)*4096]
		if n := int(b[offPages]); (b[offKind] == kindLeaf || b[offKind] == kindInner || b[offKind] == kindDelta) && n < 4 && (p+n)*4096 <= len(whole) {
			nodes = append(nodes, whole[p*4096:(p+n)*4096])
		}
	}
	rounds := 60_000
	if *long {
		rounds = 5_000_000
	} else if poisonFrames {
		rounds = 5_000
	}
	rng := rand.New(rand.NewPCG(5, 5))
	passed, deltas := 0, 0
	for range rounds {
		b := slices.Clone(nodes[rng.IntN(len(nodes))])
		for range 1 + rng.IntN(3) {
			limit := []int{headerSize, headerSize + 600, len(b)}[rng.IntN(3)]
			b[rng.IntN(limit)] = []byte{0, 1, 2, 0x7f, 0x80, 0xff, byte(rng.IntN(256))}[rng.IntN(7)]
		}
		for _, level := range nodeLevels {
			if verifyNode(b, DataTree, level, 4096) == "" {
				passed++
				if level == deltaLevel {
					deltas++
				}
				fuzzNode(t, b, level)
			}
		}
	}
	if passed == 0 || passed == rounds || deltas == 0 {
		t.Fatalf("%d of %d damaged nodes passed: the test tests nothing", passed, rounds)
	}
}
