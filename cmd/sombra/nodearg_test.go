package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"github.com/sombradb/sombra/graph"
)

func TestNodesAreNamedByIDByExternalIDAndByProperty(t *testing.T) {
	cmd := &cobra.Command{Use: "x"}
	tests := map[string]nodeArg{
		"17":                   {id: 17},
		"~a-1":                 {external: "a-1"},
		"~a=b.c":               {external: "a=b.c"},
		"Person.name=Ann":      {label: "Person", property: "name", values: []graph.Value{graph.String("Ann")}},
		"Person.age=42":        {label: "Person", property: "age", values: []graph.Value{graph.Int(42), graph.String("42")}},
		"City.lat=1.5":         {label: "City", property: "lat", values: []graph.Value{graph.Float(1.5), graph.String("1.5")}},
		"P.ok=true":            {label: "P", property: "ok", values: []graph.Value{graph.Bool(true), graph.String("true")}},
		`P.zip="0815"`:         {label: "P", property: "zip", values: []graph.Value{graph.String("0815")}},
		"P.eq=a=b":             {label: "P", property: "eq", values: []graph.Value{graph.String("a=b")}},
		"P.none=":              {label: "P", property: "none", values: []graph.Value{graph.String("")}},
		"P.dotted.name=x":      {label: "P", property: "dotted.name", values: []graph.Value{graph.String("x")}},
		"18446744073709551615": {id: 1<<64 - 1},
	}
	for text, want := range tests {
		got, err := parseNode(cmd, text)
		same := got.id == want.id && got.external == want.external && got.label == want.label &&
			got.property == want.property && slices.Equal(got.values, want.values)
		if err != nil || !same {
			t.Errorf("%q gives %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestWhatNamesNoNodeIsWrongUse(t *testing.T) {
	cmd := &cobra.Command{Use: "x"}
	for _, text := range []string{"", "0", "-1", "~", "abc", "1.5", "Person=1", ".name=1", "Person.=1", "99999999999999999999"} {
		var usage *usageError
		if n, err := parseNode(cmd, text); !errors.As(err, &usage) {
			t.Errorf("%q gives %+v, %v; want a usage error", text, n, err)
		}
	}
}
