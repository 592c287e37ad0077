package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Log is what was measured, and where.
type Log[E any] struct {
	Environment E
	Samples     []Sample
}

// LogWriter writes a log as JSON lines: the environment, then a line for each sample as soon as it is there.
type LogWriter struct {
	file *os.File
	json *json.Encoder
}

// CreateLog creates or replaces a file.
func CreateLog(path string, environment any) (*LogWriter, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &LogWriter{file, json.NewEncoder(file)}
	w.json.SetEscapeHTML(false)
	if err := w.json.Encode(environment); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// Add appends a sample.
func (w *LogWriter) Add(s Sample) error { return w.json.Encode(s) }

// Close closes the file.
func (w *LogWriter) Close() error { return w.file.Close() }

// ReadLog reads a file that a LogWriter wrote.
func ReadLog[E any](path string) (log Log[E], err error) {
	file, err := os.Open(path)
	if err != nil {
		return log, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := json.NewDecoder(file)
	if err := lines.Decode(&log.Environment); err != nil {
		return log, fmt.Errorf("bench: %s does not begin with an environment: %w", path, err)
	}
	for {
		var s Sample
		if err := lines.Decode(&s); errors.Is(err, io.EOF) {
			return log, nil
		} else if err != nil {
			return log, fmt.Errorf("bench: sample %d of %s: %w", len(log.Samples)+1, path, err)
		}
		log.Samples = append(log.Samples, s)
	}
}
