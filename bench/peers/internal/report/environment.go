package report

import (
	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/bench/peers/internal/engine"
)

// Environment says where and with what figures were measured.
type Environment struct {
	bench.Environment
	Engines []EngineVersion `json:"engines"`
	Scale   float64         `json:"scale"`
	Rounds  int             `json:"rounds"`
}

// EngineVersion is the module version of an engine.
type EngineVersion struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// NewEnvironment describes this machine and program; dir is where files will be, "" for the directory of temporary files.
func NewEnvironment(dir string, scale float64, rounds int) Environment {
	env := Environment{Environment: bench.NewEnvironment(dir), Scale: scale, Rounds: rounds}
	for _, e := range engine.All() {
		env.Engines = append(env.Engines, EngineVersion{e.Name, e.Version()})
	}
	return env
}
