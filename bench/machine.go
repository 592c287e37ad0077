package bench

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// loadOf reads the first number of a line of load averages.
func loadOf(averages string) float64 {
	first, _, _ := strings.Cut(averages, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// firstLine returns the first line of a file, "" if there is none.
func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first)
}

// fieldOf returns the value of the first line "name : value".
func fieldOf(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for scan := bufio.NewScanner(file); scan.Scan(); {
		key, value, found := strings.Cut(scan.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// diskOf names the block device under a directory on Linux: the one whose mount point is the longest prefix.
func diskOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil || runtime.GOOS != "linux" {
		return ""
	}
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	device, longest := "", ""
	for mount := range strings.Lines(string(text)) {
		fields := strings.Fields(mount)
		if len(fields) < 3 || len(fields[1]) < len(longest) {
			continue
		}
		if under := strings.TrimSuffix(fields[1], "/") + "/"; strings.HasPrefix(abs+"/", under) {
			device, longest = fields[0], fields[1]
		}
	}
	return describeDevice(device)
}

// describeDevice adds what is known of the hardware.
func describeDevice(device string) string {
	name, found := strings.CutPrefix(device, "/dev/")
	if !found {
		return device
	}
	about := firstLine(filepath.Join("/sys/class/block", name, "device/model"))
	if about == "" && strings.HasPrefix(name, "vd") {
		about = "virtio"
	}
	if about == "" {
		return name
	}
	return name + " (" + about + ")"
}
