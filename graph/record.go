package graph

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"
)

// Kinds of values in records; doc.go has the table.
const (
	recFalse  = 1
	recTrue   = 2
	recInt    = 3
	recFloat  = 4
	recString = 5
	recBytes  = 6
	recDate   = 7
	recTime   = 8
	recSpan   = 9
	recList   = 16
	recMap    = 17
	recNull   = 18 // in lists and maps only
)

// prop is a property under the id of its name.
type prop struct {
	name  uint64
	value Value
}

// propList is sorted by name, without duplicates and nulls.
type propList []prop

// nodeRec is the content of a node record. Labels are sorted, without duplicates.
type nodeRec struct {
	labels []uint64
	props  propList
}

func (ps propList) find(name uint64) (int, bool) {
	i := sort.Search(len(ps), func(i int) bool { return ps[i].name >= name })
	return i, i < len(ps) && ps[i].name == name
}

// get returns the property's value, null when there is none.
func (ps propList) get(name uint64) Value {
	if i, found := ps.find(name); found {
		return ps[i].value
	}
	return Value{}
}

// set changes the list; a null value removes the property.
func (ps *propList) set(name uint64, v Value) {
	i, found := ps.find(name)
	switch {
	case v.IsNull() && found:
		*ps = slices.Delete(*ps, i, i+1)
	case v.IsNull():
	case found:
		(*ps)[i].value = v
	default:
		*ps = slices.Insert(*ps, i, prop{name, v})
	}
}

func (n *nodeRec) hasLabel(label uint64) bool {
	if n == nil {
		return false
	}
	_, found := slices.BinarySearch(n.labels, label)
	return found
}

func (n *nodeRec) addLabel(label uint64) {
	if i, found := slices.BinarySearch(n.labels, label); !found {
		n.labels = slices.Insert(n.labels, i, label)
	}
}

func (n *nodeRec) removeLabel(label uint64) {
	if i, found := slices.BinarySearch(n.labels, label); found {
		n.labels = slices.Delete(n.labels, i, i+1)
	}
}

func (n *nodeRec) clone() *nodeRec {
	return &nodeRec{labels: slices.Clone(n.labels), props: slices.Clone(n.props)}
}

func appendNode(dst []byte, n *nodeRec) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(n.labels)))
	for _, label := range n.labels {
		dst = binary.AppendUvarint(dst, label)
	}
	return appendProps(dst, n.props)
}

func appendProps(dst []byte, ps propList) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ps)))
	for _, p := range ps {
		dst = appendRecordValue(binary.AppendUvarint(dst, p.name), p.value)
	}
	return dst
}

// appendEdge appends the record of an edge, which is nothing without properties.
func appendEdge(dst []byte, ps propList) []byte {
	if len(ps) == 0 {
		return dst
	}
	return appendProps(dst, ps)
}

func appendRecordValue(dst []byte, v Value) []byte {
	switch v.kind {
	case KindBool:
		return append(dst, recFalse+byte(v.num))
	case KindInt:
		return binary.AppendVarint(append(dst, recInt), int64(v.num))
	case KindFloat:
		return binary.LittleEndian.AppendUint64(append(dst, recFloat), v.num)
	case KindDate, KindTime, KindDuration:
		return binary.AppendVarint(append(dst, recDate+byte(v.kind-KindDate)), int64(v.num))
	case KindNull:
		return append(dst, recNull)
	case KindString:
		dst = append(dst, recString)
	case KindList:
		dst = append(dst, recList)
	case KindMap:
		dst = append(dst, recMap)
	default:
		dst = append(dst, recBytes)
	}
	return append(binary.AppendUvarint(dst, uint64(len(v.str))), v.str...)
}

// recordReader decodes a record. It reads from a string, so that all strings of
// a record share the one copy that was made of it. After a fault ok is false and reads return zeros.
type recordReader struct {
	rest string
	ok   bool
	deep int  // lists and maps around it
	null bool // null may occur
}

func (r *recordReader) fail() { r.rest, r.ok = "", false }

func (r *recordReader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *recordReader) uvarint() uint64 {
	var u uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		if shift == 63 && b > 1 {
			break
		}
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return u
		}
	}
	r.fail()
	return 0
}

// count reads a number of things that take at least one byte each.
func (r *recordReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *recordReader) take(n int) string {
	if n > len(r.rest) {
		r.fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// ascending reads ids that must grow.
func (r *recordReader) ascending(previous uint64) uint64 {
	id := r.uvarint()
	if id <= previous {
		r.fail()
	}
	return id
}

func (r *recordReader) value() Value {
	switch tag := r.byte(); tag {
	case recFalse:
		return Bool(false)
	case recTrue:
		return Bool(true)
	case recInt:
		u := r.uvarint()
		return Int(int64(u>>1) ^ -int64(u&1))
	case recFloat:
		s := r.take(8)
		if !r.ok {
			return Value{}
		}
		return Float(math.Float64frombits(binary.LittleEndian.Uint64([]byte(s))))
	case recString:
		return Value{kind: KindString, str: r.take(r.count())}
	case recBytes:
		return Value{kind: KindBytes, str: r.take(r.count())}
	case recDate, recTime, recSpan:
		u := r.uvarint()
		v := Value{kind: KindDate + Kind(tag-recDate), num: u>>1 ^ -(u & 1)}
		if r.ok && v.inRange() {
			return v
		}
	case recList, recMap:
		v, ok := readNested(KindList+Kind(tag-recList), r.take(r.count()), r.deep+1)
		if r.ok && ok {
			return v
		}
	case recNull:
		if r.null {
			return Value{}
		}
	}
	r.fail()
	return Value{}
}

// inRange reports whether a date is one that can be said in seconds.
func (v Value) inRange() bool {
	return v.kind != KindDate || int64(v.num) >= -maxDays && int64(v.num) <= maxDays
}

func (r *recordReader) labels() []uint64 {
	n := r.count()
	labels := make([]uint64, 0, n)
	var last uint64
	for range n {
		last = r.ascending(last)
		labels = append(labels, last)
	}
	return labels
}

func (r *recordReader) props() propList {
	n := r.count()
	if n == 0 {
		return nil
	}
	props := make(propList, 0, min(n, 64))
	var last uint64
	for range n {
		last = r.ascending(last)
		props = append(props, prop{last, r.value()})
		if !r.ok {
			return nil
		}
	}
	return props
}

// find reads properties up to the named one and returns its value, null when there is none.
func (r *recordReader) find(name uint64) Value {
	var last uint64
	for range r.count() {
		last = r.ascending(last)
		v := r.value()
		if last == name {
			return v
		}
		if last > name || !r.ok {
			break
		}
	}
	return Value{}
}

func decodeNode(record string) (*nodeRec, error) {
	r := recordReader{rest: record, ok: true}
	n := &nodeRec{labels: r.labels(), props: r.props()}
	if !r.ok || r.rest != "" {
		return nil, errMalformed
	}
	return n, nil
}

func decodeEdge(record string) (propList, error) {
	if record == "" {
		return nil, nil
	}
	r := recordReader{rest: record, ok: true}
	ps := r.props()
	if !r.ok || r.rest != "" || len(ps) == 0 {
		return nil, errMalformed
	}
	return ps, nil
}
