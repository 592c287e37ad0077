package lint

import (
	"go/ast"
	"slices"
	"strings"
)

func checkSleep(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		if !f.isTest() || f.nameOf("testing/synctest") != "" {
			continue
		}
		f.uses("time", "Sleep", func(sel *ast.SelectorExpr) {
			report(f, sel, "a test that sleeps is slow or flaky: wait for a channel, or use testing/synctest")
		})
	}
}

// skipReasons are what the condition around a skip may ask for.
var skipReasons = []string{"testing.Short", "runtime.GOOS", "ErrNotExist", "IsNotExist"}

// dataVariable is the environment variable that says where the data sets are.
// A skip that names it tells its reader what to do.
const dataVariable = "SOMBRA_DATASETS"

var skipCalls = []string{"Skip", "Skipf", "SkipNow"}

func checkSkip(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		if f.isTest() {
			ast.Walk(skipFinder{f: f, report: report}, f.syntax)
		}
	}
}

// skipFinder walks a file and knows where it is: which conditions hold, and
// which names belong to rapid, whose Skip rejects a draw and skips no test.
type skipFinder struct {
	f      *file
	report reporter
	rapid  []string
	excuse bool
}

func (s skipFinder) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return s.inside(n.Type)
	case *ast.FuncLit:
		return s.inside(n.Type)
	case *ast.IfStmt:
		s.excuse = s.excuse || s.excuses(n)
	case *ast.CallExpr:
		s.call(n)
	}
	return s
}

// inside notes which parameters are rapid's.
func (s skipFinder) inside(fn *ast.FuncType) skipFinder {
	s.rapid = slices.Clone(s.rapid)
	for _, field := range fn.Params.List {
		for _, name := range field.Names {
			s.rapid = slices.DeleteFunc(s.rapid, func(known string) bool { return known == name.Name })
			if strings.HasSuffix(s.text(field.Type), "rapid.T") {
				s.rapid = append(s.rapid, name.Name)
			}
		}
	}
	return s
}

func (s skipFinder) text(n ast.Node) string {
	return s.f.source[s.f.fset.Position(n.Pos()).Offset:s.f.fset.Position(n.End()).Offset]
}

// excuses looks for a reason in the init and condition of an if, not in what
// it guards.
func (s skipFinder) excuses(n *ast.IfStmt) bool {
	text := s.text(n.Cond)
	if n.Init != nil {
		text += s.text(n.Init)
	}
	return slices.ContainsFunc(skipReasons, func(r string) bool { return strings.Contains(text, r) })
}

func (s skipFinder) call(n *ast.CallExpr) {
	sel, ok := n.Fun.(*ast.SelectorExpr)
	if !ok || s.excuse || !slices.Contains(skipCalls, sel.Sel.Name) || strings.Contains(s.text(n), dataVariable) {
		return
	}
	if receiver, ok := sel.X.(*ast.Ident); ok && !slices.Contains(s.rapid, receiver.Name) {
		s.report(s.f, n, "a test skips for -short, runtime.GOOS or absent data only, and asks for that right there")
	}
}

func checkFormattedErrors(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		if f.isTest() || under(f.dir(), "cmd") || under(f.dir(), "bench") || tools(f.dir()) {
			continue
		}
		f.uses("fmt", "Errorf", func(sel *ast.SelectorExpr) {
			report(f, sel, "an error of the engine has a type, or is made with github.com/cockroachdb/errors")
		})
		f.uses("github.com/cockroachdb/errors", "Mark", func(sel *ast.SelectorExpr) {
			report(f, sel, "errors.Is of the standard library does not see a mark: use a typed error")
		})
	}
}
