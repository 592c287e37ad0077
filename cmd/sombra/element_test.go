package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sombradb/sombra/graph"
)

func TestPropertiesOfAllKindsInJSONAndText(t *testing.T) {
	props := graph.Props{
		"date": graph.Date(2026, 11, 27), "at": graph.Time(time.UnixMicro(1)), "took": graph.Duration(time.Minute),
		"list": graph.List(graph.Int(1), graph.Float(math.NaN()), graph.List()), "map": graph.Map(map[string]graph.Value{"d": graph.Date(1, 1, 1)}),
		"bytes": graph.Bytes([]byte{1}), "inf": graph.Float(math.Inf(1)),
	}
	got, err := json.Marshal(propsJSON(props))
	want := `{"at":"1970-01-01T00:00:00.000001Z","bytes":"AQ==","date":"2026-11-27","inf":"+Inf","list":[1,"NaN",[]],` +
		`"map":{"d":"0001-01-01"},"took":"1m0s"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	long := graph.List(graph.String(strings.Repeat("é", 100)))
	if text := propsText(graph.Props{"l": long}); len(text) > 2*maxShortValue || !strings.HasSuffix(text, "...}") {
		t.Errorf("a long list prints as %s", text)
	}
}
