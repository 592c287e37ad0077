package lint

import (
	"go/ast"
	"strings"
)

const (
	maxFileLines     = 800
	maxFunctionLines = 70
)

func checkFileLength(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		if n := strings.Count(f.source, "\n"); n > maxFileLines {
			report(f, nil, "%d lines, at most %d: split it by noun", n, maxFileLines)
		}
	}
}

func checkFunctionLength(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil || isTable(fn.Body) {
				continue
			}
			if n := f.lines(fn); n > maxFunctionLines {
				report(f, fn, "%s has %d lines, at most %d: name its parts", functionName(fn), n, maxFunctionLines)
			}
		}
	}
}

// isTable reports whether a body is one switch, perhaps with a return behind
// it, whose cases are one statement each.
func isTable(body *ast.BlockStmt) bool {
	list := body.List
	if len(list) == 2 {
		if _, ok := list[1].(*ast.ReturnStmt); ok {
			list = list[:1]
		}
	}
	if len(list) != 1 {
		return false
	}
	var cases *ast.BlockStmt
	switch s := list[0].(type) {
	case *ast.SwitchStmt:
		cases = s.Body
	case *ast.TypeSwitchStmt:
		cases = s.Body
	default:
		return false
	}
	for _, c := range cases.List {
		if clause, ok := c.(*ast.CaseClause); !ok || len(clause.Body) > 1 {
			return false
		}
	}
	return true
}
