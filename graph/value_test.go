package graph

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawNumber draws numbers of which many are near each other in value across kinds.
func drawNumber(t *rapid.T) Value {
	switch rapid.IntRange(0, 5).Draw(t, "form") {
	case 0:
		return Int(rapid.Int64().Draw(t, "int"))
	case 1:
		return Float(rapid.Float64().Draw(t, "float"))
	case 2:
		return Float(rapid.SampledFrom([]float64{
			0, math.Copysign(0, -1), 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1 << 53, -1 << 53, 1 << 63, -1 << 63,
			1<<63 - 1024, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.MaxFloat64,
		}).Draw(t, "special"))
	}
	power := int64(1) << rapid.IntRange(0, 62).Draw(t, "power")
	i := power + rapid.Int64Range(-3, 3).Draw(t, "near")
	if rapid.Bool().Draw(t, "negative") {
		i = -i
	}
	if rapid.Bool().Draw(t, "asFloat") {
		return Float(float64(i))
	}
	return Int(i)
}

func drawValue(t *rapid.T) Value {
	text := func() string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 'a', 'b', 0xfe, 0xff}), 0, 5).Draw(t, "text"))
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 7:
		return drawMoment(t)
	case 8:
		return List(drawValues(t)...)
	case 9:
		entries := map[string]Value{}
		for _, v := range drawValues(t) {
			entries[text()] = v
		}
		return Map(entries)
	case 0:
		return Null()
	case 1:
		return Bool(rapid.Bool().Draw(t, "bool"))
	case 2:
		return String(text())
	case 3:
		return Bytes([]byte(text()))
	}
	return drawNumber(t)
}

// drawValues draws a few values, which may be lists and maps of others.
func drawValues(t *rapid.T) []Value {
	values := make([]Value, rapid.IntRange(0, 2).Draw(t, "elements"))
	for i := range values {
		values[i] = drawValue(t)
	}
	return values
}

// drawMoment draws a date, a moment or a duration, extreme ones too.
func drawMoment(t *rapid.T) Value {
	n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3), rapid.Just(int64(math.MinInt64)), rapid.Just(int64(math.MaxInt64))).Draw(t, "n")
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return Date(int(n>>20), time.Month(n%15), int(n%40))
	case 1:
		return Time(time.UnixMicro(n))
	}
	return Duration(time.Duration(n))
}

// drawNear draws a value that is v, or close to it, or any.
func drawNear(t *rapid.T, v Value) Value {
	near := rapid.IntRange(-2, 6).Draw(t, "distance")
	i, isInt := v.AsInt()
	f, isNumber := v.AsFloat()
	switch {
	case near > 2:
		return drawValue(t)
	case isInt:
		return Int(i + int64(near))
	case isNumber && near < 0:
		return Float(math.Nextafter(f, math.Inf(near)))
	case isNumber && math.Abs(f) < 1<<62:
		return Int(int64(f) + int64(near))
	case v.Kind() == KindString || v.Kind() == KindBytes:
		v.str += string(byte(near + 2))
	case v.Kind() == KindDate:
		year, month, day, _ := v.AsDate()
		return Date(year, month, day+near)
	case v.Kind() == KindTime:
		at, _ := v.AsTime()
		return Time(at.Add(time.Duration(near) * time.Microsecond))
	case v.Kind() == KindDuration:
		d, _ := v.AsDuration()
		return Duration(d + time.Duration(near))
	case v.Kind() == KindList:
		elements, _ := v.AsList()
		return List(drawNearAll(t, elements)...)
	case v.Kind() == KindMap:
		names, values := v.entries()
		entries := map[string]Value{}
		for i, w := range drawNearAll(t, values) {
			name := fmt.Sprint("new", i)
			if i < len(names) {
				name = names[i]
			}
			entries[name] = w
		}
		return Map(entries)
	}
	return v
}

// drawNearAll draws values near the given ones, perhaps one less or one more.
func drawNearAll(t *rapid.T, values []Value) []Value {
	for i := range values {
		if rapid.Bool().Draw(t, "other") {
			values[i] = drawNear(t, values[i])
		}
	}
	switch rapid.IntRange(0, 3).Draw(t, "length") {
	case 0:
		return append(values, drawValue(t))
	case 1:
		return values[:max(0, len(values)-1)]
	}
	return values
}

// hasFloat reports whether a value is or holds a float.
func hasFloat(v Value) bool {
	elements, _ := v.AsList()
	if v.Kind() == KindMap {
		_, elements = v.entries()
	}
	return v.Kind() == KindFloat || slices.ContainsFunc(elements, hasFloat)
}

func TestOrderOfEncodingsIsOrderOfValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t)
		w := drawNear(t, v)
		if got, want := bytes.Compare(appendValue(nil, v), appendValue(nil, w)), v.Compare(w); got != want {
			t.Fatalf("%v (%v) and %v (%v): encodings compare %d, values %d", v, v.Kind(), w, w.Kind(), got, want)
		}
	})
}

func TestOrderOfTuplesIsOrderOfTheirValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "n")
		var a, b []byte
		want := 0
		for range n {
			v := drawValue(t)
			w := drawNear(t, v)
			if rapid.Bool().Draw(t, "same") {
				w = v
			}
			a, b = appendValue(a, v), appendValue(b, w)
			if want == 0 {
				want = v.Compare(w)
			}
		}
		// The ids behind the values must not matter before the values do.
		x, y := rapid.Uint64().Draw(t, "x"), rapid.Uint64().Draw(t, "y")
		a, b = appendUint(a, x), appendUint(b, y)
		if want == 0 {
			want = bytes.Compare(appendUint(nil, x), appendUint(nil, y))
		}
		if got := bytes.Compare(a, b); got != want {
			t.Fatalf("tuples compare %d, want %d", got, want)
		}
	})
}

func TestValuesSurviveKeysUpToTheKindOfNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t)
		tail := rapid.SliceOf(rapid.Byte()).Draw(t, "tail")
		got, rest, err := cutValue(append(appendValue(nil, v), tail...))
		if err != nil || !got.Equal(v) || !bytes.Equal(rest, tail) {
			t.Fatalf("%v came back as %v, rest %x of %x, error %v", v, got, rest, tail, err)
		}
		if !hasFloat(v) && got != v {
			t.Fatalf("%v came back as another %v", v, got)
		}
	})
}

func TestCompareIsATotalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawValue(t)
		b := drawNear(t, a)
		c := drawNear(t, b)
		if a.Compare(b) != -b.Compare(a) || a.Compare(a) != 0 {
			t.Fatalf("%v and %v: not antisymmetric", a, b)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatalf("%v <= %v <= %v is not transitive", a, b, c)
		}
	})
}

func TestOrderedIntegersKeepOrderAndSurvive(t *testing.T) {
	for _, u := range []uint64{0, 1, 247, 248, 255, 256, 65535, 65536, 1 << 32, math.MaxUint64} {
		got, rest, err := cutUint(appendUint(nil, u))
		if got != u || len(rest) != 0 || err != nil {
			t.Errorf("%d came back as %d, rest %x, error %v", u, got, rest, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		u, w := rapid.Uint64().Draw(t, "u"), rapid.Uint64().Draw(t, "w")
		a, b := appendUint(nil, u), appendUint(nil, w)
		if (u < w) != (bytes.Compare(a, b) < 0) {
			t.Fatalf("%d and %d are %x and %x", u, w, a, b)
		}
	})
}

func TestMalformedKeysAreErrors(t *testing.T) {
	for _, b := range [][]byte{
		{}, {0x00}, {0x06}, {tagNumber}, {tagNumber, 1, 2}, {tagString}, {tagString, 'a'}, {tagString, 'a', 0}, {tagString, 0, 2},
		append([]byte{tagNumber}, bytes.Repeat([]byte{0xff}, 8)...), // a NaN
		{tagDate, 1, 2}, append([]byte{tagDate}, bytes.Repeat([]byte{0xff}, 8)...), // a date of no year
		{tagList}, {tagList, tagNull}, {tagList, nestedEntry, nestedEnd}, {tagMap, 'a', nestedEnd}, {tagMap, nestedEntry, 'a', 0, 1, nestedEnd},
		{tagMap, nestedEntry, 'b', 0, 1, tagNull, nestedEntry, 'a', 0, 1, tagNull, nestedEnd}, // not in order
		append(bytes.Repeat([]byte{tagList}, MaxNesting+1), bytes.Repeat([]byte{nestedEnd}, MaxNesting+1)...),
		append([]byte{tagNumber, 0x7f}, bytes.Repeat([]byte{0xff}, 7)...), // -0
	} {
		if v, _, err := cutValue(b); err == nil {
			t.Errorf("%x decodes as %v", b, v)
		}
	}
	for _, b := range [][]byte{{}, {248}, {248, 0}, {248, 200}, {249, 0, 255}, {255, 1, 2}} {
		if u, _, err := cutUint(b); err == nil {
			t.Errorf("%x decodes as %d", b, u)
		}
	}
}

var someNested = List(Int(1), Map(map[string]Value{"a": Null(), "b": List()}), Date(1969, 12, 31), Duration(1))

func FuzzKeyDecoder(f *testing.F) {
	for _, v := range []Value{Null(), Bool(true), Int(-7), Int(1<<53 + 1), Float(2.5), String("a\x00b"), Bytes([]byte{0, 255}), someNested, Date(2026, 11, 27)} {
		f.Add(appendUint(appendValue([]byte{keyIndex, 3}, v), 7))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, rest, err := cutValue(b); err == nil {
			if again := appendValue(nil, v); !bytes.Equal(again, b[:len(b)-len(rest)]) {
				t.Fatalf("%x decodes as %v, which encodes as %x", b, v, again)
			}
		}
		if len(b) > 1 {
			db := newTestCatalog()
			for _, tag := range []byte{keyCatalog, keyEdge, keyIn, keyExternal, keyLabel, keyNode, keyOut, keyUnique, keyIndex, b[0]} {
				_ = db.describeKey(keyspaceName, append([]byte{tag}, b[1:]...))
			}
		}
		_, _ = parsePlace(1, b)
		_, _ = parseIndexDef(1, b)
	})
}

func FuzzRecordDecoder(f *testing.F) {
	f.Add(appendNode(nil, &nodeRec{labels: []uint64{1, 9}, props: propList{{1, Int(5)}, {300, String("x")}}}))
	f.Add(appendEdge(nil, propList{{1, someNested}, {2, Time(time.UnixMicro(5))}, {3, Duration(-1)}}))
	f.Add(appendEdge(nil, propList{{2, Float(1)}, {3, Bytes([]byte{1})}, {4, Bool(true)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := decodeNode(string(b)); err == nil {
			again, err := decodeNode(string(appendNode(nil, n)))
			if err != nil || !sameNode(n, again) {
				t.Fatalf("%x decodes as %v, which comes back as %v, %v", b, n, again, err)
			}
		}
		if ps, err := decodeEdge(string(b)); err == nil {
			if again, err := decodeEdge(string(appendEdge(nil, ps))); err != nil || !sameProps(ps, again) {
				t.Fatalf("%x decodes as %v, which comes back as %v, %v", b, ps, again, err)
			}
		}
		r := recordReader{rest: string(b), ok: true}
		_ = r.find(3)
	})
}

func sameNode(a, b *nodeRec) bool {
	if len(a.labels) != len(b.labels) {
		return false
	}
	for i := range a.labels {
		if a.labels[i] != b.labels[i] {
			return false
		}
	}
	return sameProps(a.props, b.props)
}

func sameProps(a, b propList) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// newTestCatalog returns what describeKey needs of a database.
func newTestCatalog() *DB {
	db := &DB{}
	db.labels = newDict(db, dictLabels, "label")
	db.types = newDict(db, dictTypes, "edge type")
	db.properties = newDict(db, dictProperties, "property")
	db.labels.add("Person", 1)
	db.types.add("KNOWS", 1)
	db.properties.add("email", 1)
	db.labels.add("odd name", 2)
	db.properties.add("a\nb", 2)
	db.schema.Store(&schema{epoch: 1, byID: map[uint64]*index{
		2: {id: 2, unique: true, state: IndexReady, label: 1, properties: []uint64{1}}, 3: {id: 3, state: IndexReady, label: 2, properties: []uint64{2}},
	}})
	return db
}

func TestRecordsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &nodeRec{}
		for range rapid.IntRange(0, 5).Draw(t, "labels") {
			n.addLabel(rapid.Uint64Range(1, 400).Draw(t, "label"))
		}
		for range rapid.IntRange(0, 8).Draw(t, "props") {
			n.props.set(rapid.Uint64Range(1, 400).Draw(t, "name"), drawValue(t))
		}
		record := string(appendNode(nil, n))
		got, err := decodeNode(record)
		if err != nil || !sameNode(n, got) {
			t.Fatalf("%v came back as %v, error %v", n, got, err)
		}
		for cut := range len(record) {
			if _, err := decodeNode(record[:cut]); err == nil {
				t.Fatalf("the first %d bytes of %x decode", cut, record)
			}
		}
		if name := rapid.Uint64Range(1, 400).Draw(t, "find"); true {
			r := recordReader{rest: record, ok: true}
			r.labels()
			if got := r.find(name); got != n.props.get(name) || !r.ok {
				t.Fatalf("find(%d) = %v, want %v", name, got, n.props.get(name))
			}
		}
	})
}

func TestKeysAreDescribedInTheUsersTerms(t *testing.T) {
	db := newTestCatalog()
	p := place{src: 3, dst: 900, typ: 1, edge: 12}
	for _, c := range []struct {
		key  []byte
		want string
	}{
		{appendNodeKey(nil, 7), "node 7"},
		{appendEdgeKey(nil, 12), "edge 12"},
		{appendOutKey(nil, p), "edge 12 (3)-[:KNOWS]->(900)"},
		{appendInKey(nil, p), "edge 12 (3)-[:KNOWS]->(900)"},
		{appendLabelKey(nil, 1, 7), "label :Person of node 7"},
		{appendIndexKey(nil, db.schema.Load().byID[2], String("x@y"), 0), `Person(email = "x@y")`},
		{appendIndexKey(nil, &index{id: 5}, Int(4), 9), `entry 4 of index 5 of node 9`},
		{appendExternalKey(nil, externalNode, "air", "ATL"), `external node "ATL" of import "air"`},
		{appendIndexKey(nil, &index{id: 3}, String("Oslo"), 9), `"odd name"("a\nb" = "Oslo") of node 9`},
		{appendNameKey(nil, dictLabels, "City"), `the name of the label "City"`},
		{appendNameKey(nil, dictTypes, "KNOWS"), `the name of the edge type "KNOWS"`},
		{appendNameKey(nil, dictProperties, "email"), `the name of the property "email"`},
		{appendIndexDefKey(nil, 2), "the definition of the index on :Person(email)"},
		{appendIndexDefKey(nil, 9), "the definition of index 9"},
		{counterKey(counterNodes), "the counter of node ids"},
		{counterKey(string(rune(dictTypes))), "the counter of edge type names"},
		{counterKey("visits"), `the counter "visits"`},
		{versionKey, "the graph's format version"},
		{epochKey, "the graph's schema"},
		{[]byte{keyNode}, `graph key "N"`},
		{nil, `graph key ""`},
		{[]byte{keyOut, 255}, `graph key "O\xff"`},
	} {
		if got := db.describeKey(keyspaceName, c.key); got != c.want {
			t.Errorf("%x is described as %s, want %s", c.key, got, c.want)
		}
	}
	if got := db.describeKey("mine", []byte("k")); got != `mine/"k"` {
		t.Errorf("a key of another keyspace is described as %s", got)
	}
	db.describeOther = func(_ string, key []byte) string { return string(key) }
	for text, want := range map[string]string{
		"job 7": "job 7", "node 7": `mine/"node 7"`, "part of node 7": `mine/"part of node 7"`, "edge 1 (2)-[:R]->(3)": `mine/"edge 1 (2)-[:R]->(3)"`,
	} {
		if got := db.describeKey("mine", []byte(text)); got != want {
			t.Errorf("a key of another keyspace is described as %s, want %s", got, want)
		}
	}
}

func TestValuesPrintAndConvert(t *testing.T) {
	for v, want := range map[Value]string{
		Null(): "null", Bool(true): "true", Int(-3): "-3", Float(0.5): "0.5", String("a\n"): `"a\n"`, Bytes([]byte{1, 255}): "0x01ff",
	} {
		if got := v.String(); got != want {
			t.Errorf("%v of kind %v prints as %s", v.Any(), v.Kind(), got)
		}
	}
	moment := time.Date(2026, 11, 27, 13, 5, 0, 123_456_789, time.FixedZone("", 3600))
	for v, want := range map[Value]string{
		Date(2026, 11, 27): "2026-11-27", Date(2026, 14, -1): "2027-01-30", Date(-44, 3, 15): "-0044-03-15",
		Time(moment): "2026-11-27T12:05:00.123456Z", Duration(90 * time.Minute): "1h30m0s",
		List(): "[]", Map(nil): "{}", someNested: `[1, {"a": null, "b": []}, 1969-12-31, 1ns]`,
	} {
		if got := v.String(); got != want {
			t.Errorf("%v of kind %v prints as %s, want %s", v.Any(), v.Kind(), got, want)
		}
	}
	for _, pair := range [][2]Value{
		{Duration(-1), Duration(1)}, {Date(1969, 12, 31), Date(1970, 1, 1)}, {Time(time.Unix(-1, 0)), Time(time.Unix(1, 0))},
		{Bytes(nil), Date(-9999, 1, 1)}, {Date(9999, 1, 1), Time(time.Time{})}, {Duration(5), List()}, {List(List()), Map(nil)},
		{List(Int(1)), List(Int(1), Null())}, {Map(map[string]Value{"a": Int(9)}), Map(map[string]Value{"b": Int(1)})},
	} {
		if pair[0].Compare(pair[1]) >= 0 {
			t.Errorf("%v is not less than %v", pair[0], pair[1])
		}
	}
	if at, ok := Time(moment).AsTime(); !ok || !at.Equal(moment.Truncate(time.Microsecond)) || at.Location() != time.UTC {
		t.Errorf("the moment came back as %v", at)
	}
	if y, m, d, ok := Date(1066, 10, 14).AsDate(); y != 1066 || m != 10 || d != 14 || !ok {
		t.Errorf("the date came back as %d-%d-%d", y, m, d)
	}
	if d, ok := Duration(-5).AsDuration(); d != -5 || !ok {
		t.Errorf("the duration came back as %v", d)
	}
	for _, v := range []Value{Date(math.MaxInt, 1, 1), Date(math.MinInt, 1, 1), Time(time.Unix(1<<62, 0)), Time(time.Unix(-1<<62, 0)), Time(time.Time{})} {
		if got, rest, err := cutValue(appendValue(nil, v)); got != v || len(rest) > 0 || err != nil {
			t.Errorf("%v came back as %v, %v", v, got, err)
		}
	}
	want := []any{int64(1), map[string]any{"a": nil, "b": []any{}}, time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.Duration(1)}
	if got := someNested.Any(); !reflect.DeepEqual(got, any(want)) {
		t.Errorf("%v as Go values is %v", someNested, got)
	}
	if f, ok := Int(3).AsFloat(); f != 3 || !ok {
		t.Error("an integer is not a number")
	}
	if _, ok := Float(3).AsInt(); ok {
		t.Error("a float is an integer")
	}
}

func nested(deep int) Value {
	v := List()
	for range deep - 1 {
		v = List(v)
	}
	return v
}

func TestListsAreNestedUpToALimit(t *testing.T) {
	db := openTest(t)
	if err := db.CreateIndex(bg, "A", "p", false); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Txn) error {
		id, err := tx.CreateNode([]string{"A"}, Props{"p": nested(MaxNesting)})
		if err != nil {
			return err
		}
		for _, err := range []error{
			tx.SetProperty(id, "p", nested(MaxNesting+1)),
			tx.SetProperty(id, "p", List(Map(map[string]Value{"a": nested(MaxNesting)}))),
			tx.SetProperty(id, "p", List(make([]Value, MaxIndexedSize)...)), // nulls take a byte each in keys
		} {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("error: %v", err)
			}
		}
		return nil
	})
	found := 0
	err := db.View(bg, func(tx *Txn) error {
		for n, err := range tx.Find("A", "p", nested(MaxNesting)) {
			if err != nil {
				return err
			}
			if found++; n.Props["p"] != nested(MaxNesting) {
				t.Errorf("it came back as %v", n.Props["p"])
			}
		}
		return nil
	})
	if err != nil || found != 1 {
		t.Errorf("found %d, %v", found, err)
	}
	deep := nested(10 * MaxNesting)
	if s := deep.String(); strings.Count(s, "[") != 10*MaxNesting {
		t.Errorf("a list that cannot be stored prints as %s", s)
	}
	for what, record := range map[string]string{
		"a list that is too short":     "\x01\x05\x10\x02\x02\x01",
		"a list with a rest":           "\x01\x05\x10\x03\x01\x01\x01",
		"a null outside of lists":      "\x01\x05\x12",
		"a map that is not in order":   "\x01\x05\x11\x07\x02\x01b\x01\x01a\x01",
		"a date that is out of range":  "\x01\x05\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a list that is nested deeper": string(appendEdge(nil, propList{{5, nested(MaxNesting + 1)}})),
	} {
		if ps, err := decodeEdge(record); err == nil {
			t.Errorf("%s decodes as %v", what, ps)
		}
	}
}

func TestDatesAndListsAreFoundByRange(t *testing.T) {
	db := openTest(t)
	if err := db.CreateIndex(bg, "E", "p", false); err != nil {
		t.Fatal(err)
	}
	values := []Value{
		String("2026-11-27"), Date(2026, 11, 26), Date(2026, 11, 27), Date(2027, 1, 1), Time(time.Unix(0, 0)), Time(time.Unix(5, 0)),
		Duration(time.Second), List(Int(1)), List(Int(1), Int(2)), List(Int(2)), Map(map[string]Value{"a": Int(1)}),
	}
	update(t, db, func(tx *Txn) error {
		for _, v := range values {
			if _, err := tx.CreateNode([]string{"E"}, Props{"p": v}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		r    Range
		want []Value
	}{
		{Range{Lo: Date(2026, 11, 27)}, values[2:4]},
		{Range{Hi: Date(2026, 11, 27), IncludeHi: true}, values[1:3]},
		{Range{Hi: Time(time.Unix(1, 0))}, values[4:5]},
		{Range{Lo: Duration(0)}, values[6:7]},
		{Range{Lo: List(Int(1)), Hi: List(Int(2))}, values[7:9]},
		{Range{Lo: List(Int(2))}, values[9:10]},
		{Range{Lo: Map(nil)}, values[10:]},
	} {
		var got []Value
		err := db.View(bg, func(tx *Txn) error {
			for n, err := range tx.FindRange("E", "p", c.r) {
				if err != nil {
					return err
				}
				got = append(got, n.Props["p"])
			}
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v, %v", c.r, got, c.want, err)
		}
	}
}
