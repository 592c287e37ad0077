package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

func checkPackageDoc(files []*file, report reporter) {
	documented := map[string]bool{}
	first := map[string]*file{}
	for _, f := range goFiles(files) {
		if first[f.dir()] == nil {
			first[f.dir()] = f
		}
		if f.isTest() || f.syntax.Doc == nil {
			continue
		}
		text := f.syntax.Doc.Text()
		if f.isMain() || strings.HasPrefix(text, "Package "+f.syntax.Name.Name+" ") {
			documented[f.dir()] = true
		}
	}
	for dir, f := range first {
		if !documented[dir] {
			report(f, nil, "package %s has no comment that starts with %q", dir, "Package "+f.syntax.Name.Name)
		}
	}
}

func checkExportedDoc(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		if f.isTest() {
			continue
		}
		for _, decl := range f.syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if needsDoc(d) && d.Doc == nil {
					report(f, d, "exported %s has no comment", functionName(d))
				}
			case *ast.GenDecl:
				checkSpecs(f, d, report)
			}
		}
	}
}

// wellKnown are methods whose meaning an interface of the standard library
// fixes.
var wellKnown = []string{"Error", "String", "Is", "As", "Unwrap", "Len", "Less", "Swap", "Format", "LogValue"}

func needsDoc(fn *ast.FuncDecl) bool {
	if !fn.Name.IsExported() {
		return false
	}
	receiver := receiverName(fn)
	return receiver == "" || ast.IsExported(receiver) && !slices.Contains(wellKnown, fn.Name.Name)
}

// checkSpecs accepts a comment before the name, behind it, or, for constants
// and variables, before their group.
func checkSpecs(f *file, d *ast.GenDecl, report reporter) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen.IsValid()) {
				report(f, s, "exported type %s has no comment", s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Doc == nil && s.Comment == nil && d.Doc == nil {
				reportNames(f, d.Tok, s, report)
			}
		}
	}
}

func reportNames(f *file, tok token.Token, s *ast.ValueSpec, report reporter) {
	for _, name := range s.Names {
		if name.IsExported() {
			report(f, name, "exported %s %s has no comment", tok, name.Name)
		}
	}
}
