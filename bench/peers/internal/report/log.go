package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sombradb/sombra/bench/peers/internal/suite"
)

// Log is what was measured, and where.
type Log struct {
	Environment Environment
	Samples     []suite.Sample
}

// LogWriter writes a log as JSON lines: the environment, then a line for each sample as soon as it is there.
type LogWriter struct {
	file *os.File
	json *json.Encoder
}

// CreateLog creates or replaces a file.
func CreateLog(path string, env Environment) (*LogWriter, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &LogWriter{file, json.NewEncoder(file)}
	if err := w.json.Encode(env); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// Add appends a sample.
func (w *LogWriter) Add(s suite.Sample) error { return w.json.Encode(s) }

// Close closes the file.
func (w *LogWriter) Close() error { return w.file.Close() }

// ReadLog reads a file that a LogWriter wrote.
func ReadLog(path string) (log Log, err error) {
	file, err := os.Open(path)
	if err != nil {
		return log, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := json.NewDecoder(file)
	if err := lines.Decode(&log.Environment); err != nil {
		return log, fmt.Errorf("peers: %s does not begin with an environment: %w", path, err)
	}
	for {
		var s suite.Sample
		if err := lines.Decode(&s); errors.Is(err, io.EOF) {
			return log, nil
		} else if err != nil {
			return log, fmt.Errorf("peers: sample %d of %s: %w", len(log.Samples)+1, path, err)
		}
		log.Samples = append(log.Samples, s)
	}
}
