package lint

import (
	"maps"
	"slices"
	"strings"
)

// anything stands for all packages, but those that have one user only.
const anything = "*"

// picture says what each package of the module may import, beside the standard
// library and other modules. A package below internal that is not in it is a
// tool for tests.
var picture = map[string][]string{
	"internal/invariants":    {},
	"internal/vfs":           {"internal/invariants"},
	"internal/hugepage":      {},
	"deadlock":               {},
	"lockmgr":                {"deadlock", "internal/invariants"},
	"pagestore":              {"internal/vfs", "internal/invariants"},
	"wal":                    {"internal/vfs", "internal/invariants"},
	"mvcc/internal/versions": {"internal/hugepage", "internal/invariants"},
	"mvcc/internal/runs":     {"mvcc/internal/versions", "internal/vfs", "internal/invariants"},
	"mvcc": {
		"mvcc/internal/versions", "mvcc/internal/runs", "lockmgr", "deadlock", "pagestore", "wal",
		"internal/vfs", "internal/hugepage", "internal/invariants",
	},
	"graph":         {"mvcc", "internal/invariants"},
	"graph/csvload": {"graph", "mvcc"},
	"graph/csvdump": {"graph", "graph/csvload", "mvcc"},
	"bench":         {anything},

	"bench/internal/gen":     {},
	"bench/internal/rmat":    {},
	"bench/internal/drive":   {"bench/internal/gen"},
	"bench/internal/device":  {"bench/internal/gen", "bench/internal/drive"},
	"bench/internal/figures": {"bench/internal/drive"},
	"bench/internal/chart":   {"bench/internal/drive", "bench/internal/figures"},
	"bench/internal/kv":      {"bench/internal/gen", "mvcc"},
	"bench/internal/ycsb":    {"bench/internal/gen", "bench/internal/drive", "bench/internal/kv"},

	"fuzz":       {anything},
	"cmd/sombra": {"graph", "graph/csvload", "graph/csvdump", "mvcc", "bench"},
}

// onlyUsers names the packages that may be imported by some only, and by what
// lies below these, whoever may import anything.
var onlyUsers = map[string][]string{
	"mvcc/internal/versions": {"mvcc"},
	"mvcc/internal/runs":     {"mvcc"},
	"bench":                  {"cmd/sombra"},
	"bench/internal/gen":     {"bench"},
	"bench/internal/rmat":    {"bench"},
	"bench/internal/drive":   {"bench"},
	"bench/internal/device":  {"bench"},
	"bench/internal/figures": {"bench"},
	"bench/internal/chart":   {"bench"},
	"bench/internal/kv":      {"bench"},
	"bench/internal/ycsb":    {"bench"},
	"fuzz":                   {},
	"internal/lint":          {},
}

func checkImports(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		for imported, spec := range f.imports() {
			target, own := strings.CutPrefix(imported, modulePath+"/")
			if !own || target == f.dir() {
				continue
			}
			if reason := forbidden(f, target); reason != "" {
				report(f, spec, "%s must not import %s: %s", f.dir(), target, reason)
			}
		}
		if _, drawn := picture[f.dir()]; !drawn && !tools(f.dir()) {
			report(f, f.syntax.Name, "package %s is not in the picture of imports: add it where it belongs", f.dir())
		}
	}
}

// forbidden returns why a file must not import a package, or "".
func forbidden(f *file, target string) string {
	if users, limited := onlyUsers[target]; limited && !slices.ContainsFunc(users, func(user string) bool { return under(f.dir(), user) }) {
		return "it is used by " + orNobody(users) + " only"
	}
	if tools(f.dir()) {
		return ""
	}
	allowed := picture[f.dir()]
	switch {
	case slices.Contains(allowed, anything) || slices.Contains(allowed, target):
		return ""
	case f.isTest() && (tools(target) || below(f.dir())[target]):
		return ""
	case len(allowed) == 0:
		return "it imports no package of this module"
	}
	return "it stands on " + strings.Join(allowed, ", ") + " only"
}

func orNobody(users []string) string {
	if len(users) == 0 {
		return "nobody"
	}
	return strings.Join(users, ", ")
}

// below returns all packages that a package imports, directly or not, and what
// every test may use. Tests may look further down than the code, never up.
func below(dir string) map[string]bool {
	found := map[string]bool{"internal/vfs": true, "internal/invariants": true}
	for _, next := range picture[dir] {
		found[next] = true
		maps.Copy(found, below(next))
	}
	return found
}

// outsideRule limits where a library or a package of the standard library may
// be imported.
type outsideRule struct {
	prefix string
	where  string
	ok     func(*file) bool
}

func inTests(f *file) bool { return f.isTest() || tools(f.dir()) }
func inCmd(f *file) bool   { return under(f.dir(), "cmd") }

var outsideRules = []outsideRule{
	{"testing", "tests", inTests},
	{"pgregory.net/rapid", "tests", inTests},
	{"go.uber.org/goleak", "tests", inTests},
	{"github.com/spf13/cobra", "cmd", inCmd},
	{"github.com/spf13/pflag", "cmd", inCmd},
	{"github.com/schollz/progressbar", "cmd", inCmd},
	{"gonum.org/v1/plot", "bench", func(f *file) bool { return under(f.dir(), "bench") }},
	{"github.com/pkg/profile", "main packages of cmd and bench", func(f *file) bool {
		return f.isMain() && (inCmd(f) || under(f.dir(), "bench"))
	}},
}

func checkOutsideImports(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		for imported, spec := range f.imports() {
			for _, r := range outsideRules {
				if under(imported, r.prefix) && !r.ok(f) {
					report(f, spec, "%s is for %s only", imported, r.where)
				}
			}
			if f.dir() == "deadlock" && !f.isTest() && strings.Contains(imported, ".") {
				report(f, spec, "deadlock imports the standard library only, not %s", imported)
			}
		}
	}
}
