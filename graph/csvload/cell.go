package csvload

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
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
	"datetime": {"a date like 2006-01-02 or 2006-01-02T15:04:05Z", toMoment},
	"duration": {"a duration like 1h30m or 2.5s", toDuration},
	"bytes":    {"0x and hexadecimal digits", toBytes},
	"json":     {"JSON", toJSON},
}

const typeNames = "string, byte, short, int, long, float, double, bool, date, datetime, duration, bytes, json, or one of them with [] for a list"

// listOf returns the type of lists of a type, whose elements are separated by semicolons.
func listOf(element cellType) cellType {
	return cellType{
		want: "elements separated by ';', each " + element.want,
		convert: func(s string) (graph.Value, bool) {
			var elements []graph.Value
			for part := range elementsOf(s) {
				v, ok := element.convert(part)
				if !ok {
					return graph.Value{}, false
				}
				elements = append(elements, v)
			}
			return graph.List(elements...), true
		},
	}
}

// elementsOf splits at semicolons. A backslash makes the character after it part of an element.
func elementsOf(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		var element strings.Builder
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == ';':
				if !yield(element.String()) {
					return
				}
				element.Reset()
			case c == '\\' && i+1 < len(s):
				i++
				element.WriteByte(s[i])
			default:
				element.WriteByte(c)
			}
		}
		yield(element.String())
	}
}

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

// toDate makes a date of a day, and a moment of what has a time.
func toDate(s string) (graph.Value, bool) {
	if t, err := time.Parse(time.DateOnly, strings.TrimSpace(s)); err == nil {
		return graph.Date(t.Date()), true
	}
	return toMoment(s)
}

// toMoment makes a moment; without a time zone it is one in UTC.
func toMoment(s string) (graph.Value, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return graph.Time(t), true
		}
	}
	return graph.Value{}, false
}

func toDuration(s string) (graph.Value, bool) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	return graph.Duration(d), err == nil
}

func toBytes(s string) (graph.Value, bool) {
	digits, prefixed := strings.CutPrefix(strings.TrimSpace(s), "0x")
	b, err := hex.DecodeString(digits)
	return graph.Bytes(b), err == nil && prefixed
}

// toJSON makes a value of JSON. A number without point and exponent that fits is an integer.
func toJSON(s string) (graph.Value, bool) {
	if !utf8.ValidString(s) {
		return graph.Value{}, false
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return graph.Value{}, false
	}
	if _, err := d.Token(); err != io.EOF { // there is more
		return graph.Value{}, false
	}
	return fromJSON(v), true
}

func fromJSON(v any) graph.Value {
	switch v := v.(type) {
	case bool:
		return graph.Bool(v)
	case string:
		return graph.String(v)
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return graph.Int(i)
		}
		f, _ := v.Float64() // an infinity, when it is too large
		return graph.Float(f)
	case []any:
		elements := make([]graph.Value, len(v))
		for i, e := range v {
			elements[i] = fromJSON(e)
		}
		return graph.List(elements...)
	case map[string]any:
		entries := make(map[string]graph.Value, len(v))
		for name, e := range v {
			entries[name] = fromJSON(e)
		}
		return graph.Map(entries)
	}
	return graph.Null()
}
