package graph

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
)

// Tags of values in keys; doc.go has the table.
const (
	tagNull   = 0x05
	tagFalse  = 0x10
	tagTrue   = 0x11
	tagNaN    = 0x20
	tagNumber = 0x21
	tagString = 0x30
	tagBytes  = 0x38
	tagDate   = 0x40
	tagTime   = 0x41
	tagSpan   = 0x42
	tagList   = 0x50
	tagMap    = 0x58
)

// In lists and maps, both below all tags.
const (
	nestedEnd   = 0x01
	nestedEntry = 0x02 // of a map
)

// In strings, escape is followed by escaped or terminator.
const (
	escape     = 0x00
	escaped    = 0xFF
	terminator = 0x01
)

// smallUint is the first value of an ordered integer that does not fit its first byte.
const smallUint = 248

// appendUint appends an ordered integer: order of encodings is order of values, and no
// encoding is a prefix of another.
func appendUint(dst []byte, u uint64) []byte {
	if u < smallUint {
		return append(dst, byte(u))
	}
	n := (bits.Len64(u) + 7) / 8
	dst = append(dst, byte(smallUint-1+n))
	for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(u>>shift))
	}
	return dst
}

// cutUint decodes an ordered integer and returns what follows it.
func cutUint(b []byte) (u uint64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, errMalformed
	}
	if b[0] < smallUint {
		return uint64(b[0]), b[1:], nil
	}
	n := int(b[0]) - (smallUint - 1)
	if len(b) < 1+n || b[1] == 0 {
		return 0, nil, errMalformed
	}
	for _, c := range b[1 : 1+n] {
		u = u<<8 | uint64(c)
	}
	if u < smallUint {
		return 0, nil, errMalformed
	}
	return u, b[1+n:], nil
}

// appendValue appends the key encoding of v.
func appendValue(dst []byte, v Value) []byte {
	switch v.kind {
	case KindBool:
		return append(dst, tagFalse+byte(v.num))
	case KindInt:
		base, above := splitInt(int64(v.num))
		return appendNumber(dst, base, above)
	case KindFloat:
		return appendNumber(dst, v.float(), 0)
	case KindString:
		return appendText(append(dst, tagString), v.str)
	case KindBytes:
		return appendText(append(dst, tagBytes), v.str)
	case KindDate, KindTime, KindDuration:
		return binary.BigEndian.AppendUint64(append(dst, tagDate+byte(v.kind-KindDate)), v.num^1<<63)
	case KindList, KindMap:
		return appendNested(dst, v)
	}
	return append(dst, tagNull)
}

// cutValue decodes a value and returns what follows it. Numbers come back
// as integer if they are one that fits, else as float.
func cutValue(b []byte) (v Value, rest []byte, err error) { return cutValueAt(b, 0) }

// cutValueAt is cutValue inside of so many lists and maps.
func cutValueAt(b []byte, deep int) (v Value, rest []byte, err error) {
	if len(b) == 0 {
		return Value{}, nil, errMalformed
	}
	switch tag := b[0]; tag {
	case tagNull:
		return Value{}, b[1:], nil
	case tagFalse, tagTrue:
		return Bool(tag == tagTrue), b[1:], nil
	case tagNaN:
		return Float(math.NaN()), b[1:], nil
	case tagNumber:
		return cutNumber(b)
	case tagString, tagBytes:
		s, rest, err := cutText(b[1:])
		v = Value{kind: KindString, str: s}
		if tag == tagBytes {
			v.kind = KindBytes
		}
		return v, rest, err
	case tagDate, tagTime, tagSpan:
		return cutSpan(b)
	case tagList, tagMap:
		return cutNested(tag, b[1:], deep+1)
	}
	return Value{}, nil, errMalformed
}

// cutSpan decodes a date, a moment or a duration.
func cutSpan(b []byte) (v Value, rest []byte, err error) {
	if len(b) < 9 {
		return Value{}, nil, errMalformed
	}
	v = Value{kind: KindDate + Kind(b[0]-tagDate), num: binary.BigEndian.Uint64(b[1:]) ^ 1<<63}
	if !v.inRange() {
		return Value{}, nil, errMalformed
	}
	return v, b[9:], nil
}

// splitInt returns the greatest float64 that is not above i, and the rest.
// Between 2^(52+s) and 2^(53+s) floats are the multiples of 2^s, and clearing low bits of a
// two's complement integer rounds down.
func splitInt(i int64) (base float64, above uint16) {
	size := uint64(i)
	if i < 0 {
		size = -size
	}
	s := bits.Len64(size) - 53
	if s <= 0 {
		return float64(i), 0
	}
	mask := int64(1)<<s - 1
	return float64(i &^ mask), uint16(i & mask)
}

// hasRest reports whether integers may lie between f and the next float.
func hasRest(f float64) bool {
	f = math.Abs(f)
	return f >= 1<<53 && f <= 1<<63
}

func appendNumber(dst []byte, f float64, above uint16) []byte {
	if math.IsNaN(f) {
		return append(dst, tagNaN)
	}
	if f == 0 {
		f = 0 // -0 equals 0, so it has its encoding
	}
	order := math.Float64bits(f)
	if order>>63 != 0 {
		order = ^order
	} else {
		order |= 1 << 63
	}
	dst = binary.BigEndian.AppendUint64(append(dst, tagNumber), order)
	if hasRest(f) {
		dst = binary.BigEndian.AppendUint16(dst, above)
	}
	return dst
}

// cutNumber decodes a number and accepts only what appendNumber writes.
func cutNumber(b []byte) (v Value, rest []byte, err error) {
	const size = 1 + 8
	if len(b) < size {
		return Value{}, nil, errMalformed
	}
	order := binary.BigEndian.Uint64(b[1:])
	if order>>63 != 0 {
		order &^= 1 << 63
	} else {
		order = ^order
	}
	f := math.Float64frombits(order)
	v, rest = Float(f), b[size:]
	if hasRest(f) && len(rest) >= 2 {
		rest = rest[2:]
	}
	if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
		v = Int(int64(f))
		if n := len(b) - len(rest); n > size {
			v = Int(int64(f) + int64(binary.BigEndian.Uint16(b[size:])))
		}
	}
	var buf [size + 2]byte
	if again := appendValue(buf[:0], v); !bytes.Equal(again, b[:len(b)-len(rest)]) {
		return Value{}, nil, errMalformed
	}
	return v, rest, nil
}

func appendText(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, escape)
		if i < 0 {
			return append(append(dst, s...), escape, terminator)
		}
		dst = append(append(dst, s[:i]...), escape, escaped)
		s = s[i+1:]
	}
}

func cutText(b []byte) (s string, rest []byte, err error) {
	var text []byte
	for {
		i := bytes.IndexByte(b, escape)
		if i < 0 || i+1 >= len(b) {
			return "", nil, errMalformed
		}
		next := b[i+1]
		if next == terminator && text == nil {
			return string(b[:i]), b[i+2:], nil
		}
		text = append(text, b[:i]...)
		switch next {
		case terminator:
			return string(text), b[i+2:], nil
		case escaped:
			text = append(text, 0)
		default:
			return "", nil, errMalformed
		}
		b = b[i+2:]
	}
}
