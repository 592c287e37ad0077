package invariants

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"
)

// panicText returns what f panics with, or "".
func panicText(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = r.(string)
		}
	}()
	f()
	return ""
}

func wantPanic(t *testing.T, f func(), part string) {
	t.Helper()
	text := panicText(f)
	if Enabled && !strings.Contains(text, part) {
		t.Errorf("panic %q, want one with %q", text, part)
	}
	if !Enabled && text != "" {
		t.Errorf("panic %q though the checks are off", text)
	}
}

func TestAssertPanicsOnlyWhenEnabled(t *testing.T) {
	wantPanic(t, func() { Assert(false, "page %d", 7) }, "invariant violated: page 7")
	if text := panicText(func() { Assert(true, "page %d", 7) }); text != "" {
		t.Errorf("a true condition panicked: %q", text)
	}
}

func TestRaceDetectorEnablesTheChecks(t *testing.T) {
	if RaceEnabled && !Enabled {
		t.Error("the race detector is on and the checks are off")
	}
}

func TestPoisonOverwritesOnlyWhenEnabled(t *testing.T) {
	b := []byte("secret")
	Poison(b)
	want := []byte("secret")
	if Enabled {
		want = bytes.Repeat([]byte{PoisonByte}, len(want))
	}
	if !bytes.Equal(b, want) {
		t.Errorf("buffer is %q, want %q", b, want)
	}
}

func TestCloseCheckerFindsLateUseAndDoubleClose(t *testing.T) {
	var c CloseChecker
	if text := panicText(func() { c.AssertOpen("cursor") }); text != "" {
		t.Errorf("an open cursor: %q", text)
	}
	if text := panicText(func() { c.Close("cursor") }); text != "" {
		t.Errorf("the first close: %q", text)
	}
	wantPanic(t, func() { c.AssertOpen("cursor") }, "cursor is used after it was closed")
	wantPanic(t, func() { c.Close("cursor") }, "cursor is closed twice")
}

func TestChecksCostNothingWhenOff(t *testing.T) {
	if Enabled {
		return
	}
	if size := unsafe.Sizeof(CloseChecker{}); size != 0 {
		t.Errorf("CloseChecker takes %d bytes", size)
	}
	n := 1 << 20 // small integers would not be allocated anyway
	allocs := testing.AllocsPerRun(100, func() {
		n++
		Assert(n < 0, "count %d", n)
	})
	if allocs != 0 {
		t.Errorf("Assert allocates %v times", allocs)
	}
}
