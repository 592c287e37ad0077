package vfs

import (
	"os"
	"strings"
	"testing"
)

// images returns the crash images of mem: what is surely left, what may be left
// at most, and random ones between.
func images(mem *Mem, sector int) map[string]*Mem {
	all := map[string]*Mem{
		"lose all": mem.Crash(CrashConfig{Mode: LoseAll}),
		"keep all": mem.Crash(CrashConfig{Mode: KeepAll}),
	}
	for seed := range uint64(30) {
		all["random "+string(rune('a'+seed))] = mem.Crash(CrashConfig{Mode: Random, Seed: seed, SectorSize: sector})
	}
	return all
}

// outcomes returns the different contents of a file over all images.
func outcomes(t *testing.T, mem *Mem, name string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for which, image := range images(mem, 512) {
		if err := image.Check(); err != nil {
			t.Errorf("%s: %v", which, err)
		}
		found[get(t, image, name)]++
	}
	return found
}

// durableFile creates a file whose entry and content are durable.
func durableFile(t *testing.T, mem *Mem, name, text string) File {
	t.Helper()
	f := create(t, mem, name)
	writeAt(t, f, text, 0)
	must(t, f.Sync())
	must(t, mem.SyncDir("/"))
	return f
}

func wantOutcomes(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if got[w] == 0 {
			t.Errorf("no image with %.40q", w)
		}
		delete(got, w)
	}
	for other := range got {
		t.Errorf("an image with %.40q (%d bytes)", other, len(other))
	}
}

func TestSyncedDataSurvives(t *testing.T) {
	for _, sync := range []func(File) error{File.Sync, File.SyncData} {
		mem := NewMem()
		f := durableFile(t, mem, "f", "old")
		writeAt(t, f, "new and longer", 0)
		must(t, sync(f))
		wantOutcomes(t, outcomes(t, mem, "f"), "new and longer")
	}
}

func TestSyncedZerosGrowTheFile(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", "x")
	writeAt(t, f, strings.Repeat("\x00", 3*chunkSize), 5)
	must(t, f.SyncData())
	wantOutcomes(t, outcomes(t, mem, "f"), "x"+strings.Repeat("\x00", 3*chunkSize+4))
}

func TestUnsyncedSectorIsThereOrNot(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", "old")
	writeAt(t, f, "new", 0)
	wantOutcomes(t, outcomes(t, mem, "f"), "old", "new")
}

func TestSyncOfAFileLeavesItsEntryUnsynced(t *testing.T) {
	mem := NewMem()
	f := create(t, mem, "f")
	writeAt(t, f, "text", 0)
	must(t, f.Sync())
	wantOutcomes(t, outcomes(t, mem, "f"), "text", "no such file")
}

func TestSyncOfADirectoryLeavesContentsUnsynced(t *testing.T) {
	mem := NewMem()
	f := create(t, mem, "f")
	writeAt(t, f, "text", 0)
	must(t, mem.SyncDir("/"))
	// The file may have grown without its data.
	wantOutcomes(t, outcomes(t, mem, "f"), "", "text", "\x00\x00\x00\x00")
}

func TestNewDirectoryNeedsASyncOfItsParent(t *testing.T) {
	mem := NewMem()
	must(t, mem.MkdirAll("/a/b", 0o755))
	f := create(t, mem, "/a/b/f")
	must(t, f.Sync())
	must(t, mem.SyncDir("/a/b"))
	must(t, mem.SyncDir("/a"))
	if got := get(t, mem.Crash(CrashConfig{}), "/a/b/f"); got != "no such file" {
		t.Errorf("reached through an unsynced parent: %q", got)
	}
	must(t, mem.SyncDir("/"))
	if got := get(t, mem.Crash(CrashConfig{}), "/a/b/f"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestSectorsAreIndependent(t *testing.T) {
	mem := NewMem()
	old := strings.Repeat("o", 512*3)
	f := durableFile(t, mem, "f", old)
	writeAt(t, f, strings.Repeat("N", 512*3), 0)
	var want []string
	for bits := range 8 {
		text := ""
		for sector := range 3 {
			text += strings.Repeat([]string{"o", "N"}[bits>>sector&1], 512)
		}
		want = append(want, text)
	}
	wantOutcomes(t, outcomes(t, mem, "f"), want...)
}

// fate tells for each sector of a file full of old or new ones which it is.
func fate(text string) (kept []bool) {
	for ; text != ""; text = text[512:] {
		kept = append(kept, text[0] == 'N')
	}
	return kept
}

func TestNoTwoSectorsShareTheirFate(t *testing.T) {
	const each = 6
	mem := NewMem()
	for _, name := range []string{"f", "g"} {
		f := durableFile(t, mem, name, strings.Repeat("o", 512*each))
		writeAt(t, f, strings.Repeat("N", 512*each), 0)
	}
	var equal, different [2 * each][2 * each]bool
	for _, image := range images(mem, 512) {
		kept := fate(get(t, image, "f") + get(t, image, "g"))
		for i := range kept {
			for j := range kept {
				equal[i][j] = equal[i][j] || kept[i] == kept[j]
				different[i][j] = different[i][j] || kept[i] != kept[j]
			}
		}
	}
	for i := range equal {
		for j := range i {
			if !equal[i][j] || !different[i][j] {
				t.Errorf("sectors %d and %d: equal %v, different %v", i, j, equal[i][j], different[i][j])
			}
		}
	}
}

func TestLostTruncationLosesLaterGrowth(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", strings.Repeat("o", 1024))
	must(t, f.Truncate(0))
	writeAt(t, f, strings.Repeat("N", 2048), 0)
	for which, image := range images(mem, 512) {
		if text := get(t, image, "f"); len(text) > 1024 && strings.Contains(text, "o") {
			t.Errorf("%s: the file was not truncated and has %d bytes", which, len(text))
		}
	}
}

func TestSectorIsNeverTorn(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", strings.Repeat("o", 8192))
	writeAt(t, f, strings.Repeat("N", 8192), 0)
	for which, image := range images(mem, 4096) {
		text := get(t, image, "f")
		for i := 0; i < len(text); i += 4096 {
			if part := text[i : i+4096]; strings.Trim(part, part[:1]) != "" {
				t.Errorf("%s: sector at %d is torn", which, i)
			}
		}
	}
}

func TestLaterWriteOfASectorBringsTheEarlierOnes(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", "....")
	writeAt(t, f, "A", 0)
	writeAt(t, f, "B", 1)
	writeAt(t, f, "C", 2)
	wantOutcomes(t, outcomes(t, mem, "f"), "....", "A...", "AB..", "ABC.")
}

func TestUnsyncedTruncationIsThereOrNot(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", "abcdef")
	must(t, f.Truncate(2))
	must(t, f.Truncate(4))
	wantOutcomes(t, outcomes(t, mem, "f"), "abcdef", "ab", "ab\x00\x00")
}

func TestGrowingWriteMayGrowTheFileInPart(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", "")
	writeAt(t, f, strings.Repeat("N", 512*4), 0)
	sizes := map[int]bool{}
	for text := range outcomes(t, mem, "f") {
		sizes[len(text)] = true
	}
	for size := 0; size <= 4*512; size += 512 {
		if !sizes[size] {
			t.Errorf("no image of %d bytes", size)
		}
		delete(sizes, size)
	}
	for size := range sizes {
		t.Errorf("an image of %d bytes", size)
	}
}

func TestRenameIsAtomic(t *testing.T) {
	mem := NewMem()
	must(t, durableFile(t, mem, "f", "old").Close())
	must(t, durableFile(t, mem, "f.tmp", "new").Close())
	must(t, mem.Rename("f.tmp", "f"))
	for which, image := range images(mem, 512) {
		text, tmp := get(t, image, "f"), get(t, image, "f.tmp")
		if !(text == "old" && tmp == "new" || text == "new" && tmp == "no such file") {
			t.Errorf("%s: f %q, f.tmp %q", which, text, tmp)
		}
	}
	wantOutcomes(t, outcomes(t, mem, "f"), "old", "new")
	must(t, mem.SyncDir("/"))
	wantOutcomes(t, outcomes(t, mem, "f"), "new")
}

func TestDirectoryOperationsSurviveInOrder(t *testing.T) {
	mem := NewMem()
	for _, name := range []string{"1", "2", "3"} {
		must(t, create(t, mem, name).Close())
	}
	must(t, mem.Remove("1"))
	found := map[string]int{}
	for _, image := range images(mem, 512) {
		names, err := image.ReadDir("/")
		must(t, err)
		found[strings.Join(names, "")]++
	}
	wantOutcomes(t, found, "", "1", "12", "123", "23")
}

func TestMoveBetweenDirectoriesNeverLosesTheFile(t *testing.T) {
	for _, synced := range []string{"", "/from", "/to", "/to/new"} {
		mem := NewMem()
		must(t, mem.MkdirAll("/from", 0o755))
		must(t, mem.MkdirAll("/to", 0o755))
		must(t, durableFile(t, mem, "/from/f", "text").Close())
		must(t, mem.SyncDir("/from"))
		must(t, mem.MkdirAll("/to/new", 0o755))
		must(t, mem.Rename("/from/f", "/to/new/f"))
		must(t, create(t, mem, "/from/other").Close())
		if synced != "" {
			must(t, mem.SyncDir(synced))
		}
		for which, image := range images(mem, 512) {
			old, now := get(t, image, "/from/f"), "no such file"
			if _, err := image.Stat("/to/new"); err == nil {
				now = get(t, image, "/to/new/f")
			}
			if (old == "text") == (now == "text") {
				t.Errorf("synced %q, %s: old place %q, new place %q", synced, which, old, now)
			}
			if synced != "" && now != "text" {
				t.Errorf("synced %q, %s: the move is lost", synced, which)
			}
		}
	}
}

func TestCrashLeavesTheSourceAlone(t *testing.T) {
	mem := NewMem()
	f := durableFile(t, mem, "f", "old")
	lock, err := mem.Lock("LOCK", false)
	must(t, err)
	writeAt(t, f, "new", 0)
	image := mem.Crash(CrashConfig{Mode: LoseAll})
	again, err := image.Lock("LOCK", false)
	must(t, err)
	g, err := image.OpenFile("f", os.O_RDWR, 0)
	must(t, err)
	writeAt(t, g, "IMAGE", 0)
	writeAt(t, f, "NEW", 0)
	if here, there := get(t, mem, "f"), get(t, image, "f"); here != "NEW" || there != "IMAGE" {
		t.Errorf("source %q, image %q", here, there)
	}
	must(t, f.Sync())
	wantOutcomes(t, outcomes(t, mem, "f"), "NEW")
	must(t, again.Close())
	must(t, g.Close())
	must(t, lock.Close())
	must(t, f.Close())
	verify(t, mem)
	verify(t, image)
}

func TestImageIsDurable(t *testing.T) {
	mem := NewMem()
	f := create(t, mem, "f")
	writeAt(t, f, strings.Repeat("N", 3000), 0)
	for which, image := range images(mem, 512) {
		text := get(t, image, "f")
		if again := get(t, image.Crash(CrashConfig{Mode: LoseAll}), "f"); again != text {
			t.Errorf("%s: a second crash changed the file", which)
		}
		put(t, image, "new", "")
		must(t, image.Check())
	}
}
