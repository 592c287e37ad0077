package lint

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// finding is one place that breaks a rule.
type finding struct {
	rule string
	path string
	line int
	name string // what in the file, for the list of the tolerated
	text string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.path, f.line, f.rule, f.text)
}

// key identifies the finding in the list of the tolerated.
func (f finding) key() string {
	return strings.Join(slices.DeleteFunc([]string{f.rule, f.path, f.name}, func(s string) bool { return s == "" }), " ")
}

// rule looks for offenders in the whole module.
type rule struct {
	name      string
	ratchet   bool // offenders may be listed as tolerated
	offenders func(files []*file, report reporter)
}

// reporter takes a finding at a node, or at the file when the node is nil.
type reporter func(f *file, at ast.Node, format string, args ...any)

var rules = []rule{
	{name: "imports", offenders: checkImports},
	{name: "outside-imports", offenders: checkOutsideImports},
	{name: "package-doc", offenders: checkPackageDoc},
	{name: "exported-doc", offenders: checkExportedDoc},
	{name: "file-length", ratchet: true, offenders: checkFileLength},
	{name: "function-length", ratchet: true, offenders: checkFunctionLength},
	{name: "machine-path", offenders: checkMachinePaths},
	{name: "unfinished", offenders: checkUnfinished},
	{name: "sleep", offenders: checkSleep},
	{name: "skip", offenders: checkSkip},
	{name: "formatted-errors", offenders: checkFormattedErrors},
}

func (r rule) run(files []*file) []finding {
	var found []finding
	r.offenders(files, func(f *file, at ast.Node, format string, args ...any) {
		next := finding{rule: r.name, path: f.path, line: 1, text: fmt.Sprintf(format, args...)}
		if at != nil {
			next.line = f.line(at)
		}
		if fn, ok := at.(*ast.FuncDecl); ok {
			next.name = functionName(fn)
		}
		found = append(found, next)
	})
	return found
}

// functionName returns "Type.Method" or "function".
func functionName(fn *ast.FuncDecl) string {
	if name := receiverName(fn); name != "" {
		return name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// receiverName returns the name of a method's type, or "".
func receiverName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	name := ""
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

// under reports whether dir is top or lies below it.
func under(dir, top string) bool {
	return dir == top || strings.HasPrefix(dir, top+"/")
}

// tools reports whether a directory holds code for tests only. The packages of
// the engine cannot import it, so its habits may be those of a test.
func tools(dir string) bool {
	if under(dir, "fuzz") {
		return true
	}
	_, drawn := picture[dir]
	return path.Dir(dir) == "internal" && !drawn
}
