package bench

import (
	"fmt"

	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/mvcc"
)

// ConfigError reports a value that a workload cannot run with.
type ConfigError struct {
	Field string
	Value any
	Want  string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("bench: %s is %v, want %s", e.Field, e.Value, e.Want)
}

// setDefault gives a field that is zero its default.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// atLeast refuses a value below the least one.
func atLeast[T int | int64](field string, value, least T) error {
	if value < least {
		return &ConfigError{Field: field, Value: value, Want: fmt.Sprintf("at least %d", least)}
	}
	return nil
}

// allPositive refuses a list with a value below 1.
func allPositive(field string, values []int) error {
	for _, v := range values {
		if err := atLeast(field, v, 1); err != nil {
			return err
		}
	}
	return nil
}

// versionOverhead is what the version store takes for a version besides its key and value, in bytes; about.
const versionOverhead = 170

// versionShare is the part of its budget that the engine fills with versions before it
// merges them into the data file, as a divisor.
const versionShare = 16

// budgetFor returns a memory budget in bytes with which the records stay versions until a
// checkpoint is asked for, and are all in the page cache after it.
func budgetFor(keys int64, valueSize int) int64 {
	return max(keys*int64(gen.KeySize+valueSize+versionOverhead)*versionShare, mvcc.DefaultMemoryBudget)
}
