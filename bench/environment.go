package bench

import (
	"os"
	"runtime"
	"runtime/debug"
)

// Environment says where figures were measured.
type Environment struct {
	GoVersion  string `json:"go"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	CPUs       int    `json:"cpus"`
	FileSystem string `json:"file_system"`
	// CPU, kernel and disk are "unknown" where the system does not tell.
	CPU    string `json:"cpu"`
	Kernel string `json:"kernel"`
	Disk   string `json:"disk"`
	// Load is the mean number of processes that wanted a CPU in the minute before; 0 when it is not known.
	Load float64 `json:"load"`
	// Revision is the commit that the program was built from, when it is known.
	Revision string `json:"revision,omitempty"`
}

// NewEnvironment describes this process; dir is where the files will be, empty
// for the directory of temporary files.
func NewEnvironment(dir string) Environment {
	if dir == "" {
		dir = os.TempDir()
	}
	return Environment{
		GoVersion:  runtime.Version(),
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		CPUs:       runtime.GOMAXPROCS(0),
		FileSystem: fileSystem(dir),
		CPU:        orUnknown(fieldOf("/proc/cpuinfo", "model name")),
		Kernel:     orUnknown(firstLine("/proc/sys/kernel/osrelease")),
		Disk:       orUnknown(diskOf(dir)),
		Load:       loadOf(firstLine("/proc/loadavg")),
		Revision:   revision(),
	}
}

// Busy reports whether other programs had a share in the figures: they wanted half of the CPUs or more before the start.
func (e *Environment) Busy() bool { return e.Load >= float64(e.CPUs)/2 }

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var rev, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if rev == "" {
		return ""
	}
	return rev + dirty
}
