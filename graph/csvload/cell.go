package csvload

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sombradb/sombra/graph"
)

// cellType converts cells of one declared type.
type cellType struct {
	want    string // what a cell must be, for messages
	convert func(string) (graph.Value, bool)
}

// cellTypes are the types a header may name, in lower case.
var cellTypes = map[string]cellType{
	"string":   {"UTF-8 text", toText},
	"byte":     integer(8),
	"short":    integer(16),
	"int":      integer(32),
	"integer":  integer(32),
	"long":     integer(64),
	"float":    {"a number", toFloat},
	"double":   {"a number", toFloat},
	"bool":     {"true or false", toBool},
	"boolean":  {"true or false", toBool},
	"date":     {"a date like 2006-01-02 or 2006-01-02T15:04:05Z", toDate},
	"datetime": {"a date like 2006-01-02 or 2006-01-02T15:04:05Z", toDate},
}

const typeNames = "string, byte, short, int, long, float, double, bool or date"

func toText(s string) (graph.Value, bool) { return graph.String(s), utf8.ValidString(s) }

func integer(bits int) cellType {
	least, greatest := int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits)
	return cellType{
		want: fmt.Sprintf("an integer from %d to %d", least, greatest),
		convert: func(s string) (graph.Value, bool) {
			i, err := strconv.ParseInt(strings.TrimSpace(s), 10, bits)
			return graph.Int(i), err == nil
		},
	}
}

func toFloat(s string) (graph.Value, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return graph.Float(f), err == nil
}

func toBool(s string) (graph.Value, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return graph.Bool(true), true
	case "false":
		return graph.Bool(false), true
	}
	return graph.Value{}, false
}

// toDate accepts dates and keeps them as they are written.
func toDate(s string) (graph.Value, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if _, err := time.Parse(layout, s); err == nil {
			return graph.String(s), true
		}
	}
	return graph.Value{}, false
}
