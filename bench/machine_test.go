package bench

import "testing"

func TestTheLoadOfTheMachineIsRead(t *testing.T) {
	for text, want := range map[string]float64{"7.25 3.00 1.00 2/300 4711": 7.25, "0.50": 0.5, "": 0, "much": 0} {
		if got := loadOf(text); got != want {
			t.Errorf("the load of %q is %v, want %v", text, got, want)
		}
	}
	busy := Environment{CPUs: 2, Load: 1}
	quiet := Environment{CPUs: 2, Load: 0.9}
	if !busy.Busy() || quiet.Busy() {
		t.Error("half of the CPUs is busy, less is not")
	}
}

func TestAnEnvironmentLeavesNothingEmpty(t *testing.T) {
	e := NewEnvironment(t.TempDir())
	for what, text := range map[string]string{"CPU": e.CPU, "kernel": e.Kernel, "disk": e.Disk, "file system": e.FileSystem, "Go": e.GoVersion} {
		if text == "" {
			t.Errorf("the %s is empty in %+v", what, e)
		}
	}
}
