package graph

import (
	"cmp"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of a property value.
type Kind uint8

// Kinds of values, in the order in which Compare sorts them. Integers and floats
// are numbers and sort among each other by value.
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindFloat
	KindString
	KindBytes
	KindDate
	KindTime
	KindDuration
	KindList
	KindMap
)

var kindNames = [...]string{"null", "bool", "int", "float", "string", "bytes", "date", "time", "duration", "list", "map"}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Value is a property value: null, a bool, an int64, a float64, a string, bytes, a date, a moment, a duration, or a list
// or map of values. The zero value is null. Values are immutable and safe for concurrent use. ==
// compares kind and content; use Compare or Equal for equality by value.
type Value struct {
	kind Kind
	num  uint64
	str  string
}

// Props are properties by name. A property that is null is not stored.
type Props map[string]Value

// Null returns the null value.
func Null() Value { return Value{} }

// Bool returns a bool value.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// Int returns an integer value.
func Int(i int64) Value { return Value{kind: KindInt, num: uint64(i)} }

// Float returns a floating point value.
func Float(f float64) Value { return Value{kind: KindFloat, num: math.Float64bits(f)} }

// String returns a string value. Strings are compared bytewise and need not be UTF-8.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Bytes returns a value with a copy of b.
func Bytes(b []byte) Value { return Value{kind: KindBytes, str: string(b)} }

// Kind returns the value's kind.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v.kind == KindNull }

// AsBool returns the bool, and whether the value is one.
func (v Value) AsBool() (b, ok bool) { return v.num != 0 && v.kind == KindBool, v.kind == KindBool }

// AsInt returns the integer, and whether the value is one.
func (v Value) AsInt() (i int64, ok bool) {
	if v.kind != KindInt {
		return 0, false
	}
	return int64(v.num), true
}

// AsFloat returns a number as float64, and whether the value is a number. Integers
// beyond 2^53 are rounded.
func (v Value) AsFloat() (f float64, ok bool) {
	switch v.kind {
	case KindInt:
		return float64(int64(v.num)), true
	case KindFloat:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// AsString returns the string, and whether the value is one.
func (v Value) AsString() (s string, ok bool) {
	if v.kind != KindString {
		return "", false
	}
	return v.str, true
}

// AsBytes returns a copy of the bytes, and whether the value is bytes.
func (v Value) AsBytes() (b []byte, ok bool) {
	if v.kind != KindBytes {
		return nil, false
	}
	return []byte(v.str), true
}

// Any returns the value as nil, bool, int64, float64, string, []byte, time.Time (a moment in UTC, or the midnight in UTC that begins
// a date), time.Duration, []any or map[string]any.
func (v Value) Any() any {
	switch v.kind {
	case KindBool:
		return v.num != 0
	case KindInt:
		return int64(v.num)
	case KindFloat:
		return v.float()
	case KindString:
		return v.str
	case KindBytes:
		return []byte(v.str)
	case KindDate:
		return v.midnight()
	case KindTime:
		return time.UnixMicro(int64(v.num)).UTC()
	case KindDuration:
		return time.Duration(v.num)
	case KindList:
		return v.listAny()
	case KindMap:
		return v.mapAny()
	}
	return nil
}

// String renders the value: strings quoted as in Go, bytes as 0x and hexadecimal digits, a date as 2006-01-02, a moment as
// in RFC 3339, a duration as in Go, lists and maps as in JSON.
func (v Value) String() string {
	switch v.kind {
	case KindBool:
		return strconv.FormatBool(v.num != 0)
	case KindInt:
		return strconv.FormatInt(int64(v.num), 10)
	case KindFloat:
		return strconv.FormatFloat(v.float(), 'g', -1, 64)
	case KindString:
		return strconv.Quote(v.str)
	case KindBytes:
		return "0x" + hex.EncodeToString([]byte(v.str))
	case KindDate:
		return v.midnight().Format(time.DateOnly)
	case KindTime:
		return time.UnixMicro(int64(v.num)).UTC().Format(time.RFC3339Nano)
	case KindDuration:
		return time.Duration(v.num).String()
	case KindList:
		return v.listString()
	case KindMap:
		return v.mapString()
	}
	return "null"
}

// abbreviate renders the value for a message.
func (v Value) abbreviate() string {
	const limit = 64
	if v.depth() > 0 {
		if s := v.String(); len(s) > limit {
			return strings.ToValidUTF8(s[:limit], "") + "..."
		}
	} else if len(v.str) > limit {
		v.str = v.str[:limit]
		return v.String() + "..."
	}
	return v.String()
}

func (v Value) float() float64 { return math.Float64frombits(v.num) }

// rank orders the kinds; numbers share a rank.
func (v Value) rank() Kind {
	if v.kind == KindFloat {
		return KindInt
	}
	return v.kind
}

// Compare orders values: null < bool < numbers < string < bytes < date < time < duration < list < map; false < true; numbers by
// exact value, whether integer or float, with NaN equal to itself and below all others and -0
// equal to 0; strings and bytes bytewise; lists element by element, maps entry by entry in the order of the names. It is a
// total order in which Int(1) and Float(1) are equal.
func (v Value) Compare(w Value) int {
	if c := cmp.Compare(v.rank(), w.rank()); c != 0 {
		return c
	}
	switch v.kind {
	case KindBool:
		return cmp.Compare(v.num, w.num)
	case KindInt, KindFloat:
		return compareNumbers(v, w)
	case KindDate, KindTime, KindDuration:
		return cmp.Compare(int64(v.num), int64(w.num))
	case KindList:
		return compareLists(v, w)
	case KindMap:
		return compareMaps(v, w)
	}
	return cmp.Compare(v.str, w.str)
}

// Equal reports whether Compare finds no difference.
func (v Value) Equal(w Value) bool { return v.Compare(w) == 0 }

func compareNumbers(v, w Value) int {
	switch {
	case v.kind == KindInt && w.kind == KindInt:
		return cmp.Compare(int64(v.num), int64(w.num))
	case v.kind == KindFloat && w.kind == KindFloat:
		return cmp.Compare(v.float(), w.float())
	case v.kind == KindInt:
		return compareIntFloat(int64(v.num), w.float())
	}
	return -compareIntFloat(int64(w.num), v.float())
}

// compareIntFloat compares exactly: converting either side could round.
func compareIntFloat(i int64, f float64) int {
	switch {
	case math.IsNaN(f):
		return 1
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Trunc(f)
	if c := cmp.Compare(i, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(whole, f)
}
