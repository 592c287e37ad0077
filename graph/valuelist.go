package graph

import (
	"cmp"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
)

// MaxNesting is how deep lists and maps may lie in each other: a list of numbers is 1 deep, a list of such lists 2.
const MaxNesting = 64

// A list or map is kept as its content is stored in a record, so that values are compared, copied and stored without unfolding them. num is
// how deep it is.
//
//	list   uvarint count | elements as in records
//	map    uvarint count | entries by ascending name: uvarint length | name | value as in records

// List returns a list with a copy of the elements, which may be of any kinds, null too.
func List(elements ...Value) Value {
	b := binary.AppendUvarint(nil, uint64(len(elements)))
	deep := uint64(0)
	for _, v := range elements {
		b = appendRecordValue(b, v)
		deep = max(deep, v.depth())
	}
	return Value{kind: KindList, num: deep + 1, str: string(b)}
}

// Map returns a map with a copy of the entries, whose values may be of any kinds, null too.
func Map(entries map[string]Value) Value {
	b := binary.AppendUvarint(nil, uint64(len(entries)))
	deep := uint64(0)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		b = appendRecordValue(b, entries[name])
		deep = max(deep, entries[name].depth())
	}
	return Value{kind: KindMap, num: deep + 1, str: string(b)}
}

// depth is 0 for values that hold no others.
func (v Value) depth() uint64 {
	if v.kind == KindList || v.kind == KindMap {
		return v.num
	}
	return 0
}

// reader returns a reader of the content of a list or map that was made or verified, however deep it is.
func (v Value) reader() recordReader {
	return recordReader{rest: v.str, ok: true, deep: math.MinInt32, null: true}
}

// storable verifies that a property can be stored.
func (v Value) storable(name string) error {
	if v.depth() > MaxNesting {
		return invalid("property %q: lists and maps are nested %d deep, the limit is %d", name, v.depth(), MaxNesting)
	}
	return nil
}

// AsList returns the elements, and whether the value is a list.
func (v Value) AsList() (elements []Value, ok bool) {
	if v.kind != KindList {
		return nil, false
	}
	r := v.reader()
	n := r.count()
	elements = make([]Value, 0, n)
	for range n {
		elements = append(elements, r.value())
	}
	return elements, true
}

// AsMap returns the entries, and whether the value is a map.
func (v Value) AsMap() (entries map[string]Value, ok bool) {
	if v.kind != KindMap {
		return nil, false
	}
	names, values := v.entries()
	entries = make(map[string]Value, len(names))
	for i, name := range names {
		entries[name] = values[i]
	}
	return entries, true
}

// entries returns the content of a map by ascending name.
func (v Value) entries() (names []string, values []Value) {
	r := v.reader()
	n := r.count()
	names, values = make([]string, 0, n), make([]Value, 0, n)
	for range n {
		names = append(names, r.take(r.count()))
		values = append(values, r.value())
	}
	return names, values
}

// compareLists compares element by element; a list that the other one begins with is less.
func compareLists(v, w Value) int {
	a, _ := v.AsList()
	b, _ := w.AsList()
	return slices.CompareFunc(a, b, Value.Compare)
}

// compareMaps compares entry by entry, in the order of their names, each by name and then by value.
func compareMaps(v, w Value) int {
	aNames, a := v.entries()
	bNames, b := w.entries()
	for i := range min(len(a), len(b)) {
		if c := cmp.Or(cmp.Compare(aNames[i], bNames[i]), a[i].Compare(b[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func (v Value) listString() string {
	elements, _ := v.AsList()
	var b strings.Builder
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.String())
	}
	b.WriteByte(']')
	return b.String()
}

func (v Value) mapString() string {
	names, values := v.entries()
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(String(name).String())
		b.WriteString(": ")
		b.WriteString(values[i].String())
	}
	b.WriteByte('}')
	return b.String()
}

func (v Value) listAny() []any {
	elements, _ := v.AsList()
	list := make([]any, len(elements))
	for i, e := range elements {
		list[i] = e.Any()
	}
	return list
}

func (v Value) mapAny() map[string]any {
	names, values := v.entries()
	entries := make(map[string]any, len(names))
	for i, name := range names {
		entries[name] = values[i].Any()
	}
	return entries
}

// readNested verifies the content of a list or map and returns it with its depth. The content ends the reader's text.
func readNested(kind Kind, content string, deep int) (v Value, ok bool) {
	if deep > MaxNesting {
		return Value{}, false
	}
	r := recordReader{rest: content, ok: true, deep: deep, null: true}
	inner := uint64(0)
	last := ""
	for i := range r.count() {
		if kind == KindMap {
			name := r.take(r.count())
			if i > 0 && name <= last {
				r.fail()
			}
			last = name
		}
		inner = max(inner, r.value().depth())
		if !r.ok {
			break
		}
	}
	return Value{kind: kind, num: inner + 1, str: content}, r.ok && r.rest == ""
}

// appendNested appends the key encoding of a list or map: a tag, the elements, and an end that is below all tags. An entry of a map has a mark,
// above the end, and its name in front.
func appendNested(dst []byte, v Value) []byte {
	if v.kind == KindList {
		elements, _ := v.AsList()
		dst = append(dst, tagList)
		for _, e := range elements {
			dst = appendValue(dst, e)
		}
		return append(dst, nestedEnd)
	}
	names, values := v.entries()
	dst = append(dst, tagMap)
	for i, name := range names {
		dst = appendValue(appendText(append(dst, nestedEntry), name), values[i])
	}
	return append(dst, nestedEnd)
}

// cutNested decodes what follows the tag of a list or map.
func cutNested(tag byte, b []byte, deep int) (v Value, rest []byte, err error) {
	if deep > MaxNesting {
		return Value{}, nil, errMalformed
	}
	var content []byte
	count, inner, last := 0, uint64(0), ""
	for ; len(b) > 0 && b[0] != nestedEnd; count++ {
		if tag == tagMap {
			name, after, err := cutText(b[1:])
			if b[0] != nestedEntry || err != nil || count > 0 && name <= last {
				return Value{}, nil, errMalformed
			}
			content = append(binary.AppendUvarint(content, uint64(len(name))), name...)
			last, b = name, after
		}
		var e Value
		if e, b, err = cutValueAt(b, deep); err != nil {
			return Value{}, nil, err
		}
		content = appendRecordValue(content, e)
		inner = max(inner, e.depth())
	}
	if len(b) == 0 {
		return Value{}, nil, errMalformed
	}
	v = Value{kind: KindList, num: inner + 1, str: string(append(binary.AppendUvarint(nil, uint64(count)), content...))}
	if tag == tagMap {
		v.kind = KindMap
	}
	return v, b[1:], nil
}
