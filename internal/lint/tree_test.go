package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// modulePath is the prefix of the module's own imports.
const modulePath = "github.com/sombradb/sombra"

// file is one text file of the module.
type file struct {
	path   string // from the root of the module, with slashes
	source string
	syntax *ast.File // nil when it is no Go file
	fset   *token.FileSet
}

func (f *file) dir() string  { return path.Dir(f.path) }
func (f *file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }
func (f *file) isMain() bool { return f.syntax.Name.Name == "main" }

// line returns where a node starts.
func (f *file) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

// lines returns how many lines a node takes.
func (f *file) lines(n ast.Node) int {
	return f.fset.Position(n.End()).Line - f.line(n) + 1
}

// imports returns the imported paths with their specs.
func (f *file) imports() map[string]*ast.ImportSpec {
	all := map[string]*ast.ImportSpec{}
	for _, spec := range f.syntax.Imports {
		all[strings.Trim(spec.Path.Value, `"`)] = spec
	}
	return all
}

// nameOf returns the name under which the file uses an imported package, or "".
func (f *file) nameOf(importPath string) string {
	spec := f.imports()[importPath]
	switch {
	case spec == nil:
		return ""
	case spec.Name != nil:
		return spec.Name.Name
	}
	return path.Base(importPath)
}

// uses calls found for each mention of pkg.name, such as fmt.Errorf.
func (f *file) uses(importPath, name string, found func(*ast.SelectorExpr)) {
	local := f.nameOf(importPath)
	if local == "" {
		return
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != name {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == local {
			found(sel)
		}
		return true
	})
}

// newFile parses a file. Files of other kinds than Go are kept as text.
func newFile(name, source string) (*file, error) {
	f := &file{path: name, source: source, fset: token.NewFileSet()}
	if !strings.HasSuffix(name, ".go") {
		return f, nil
	}
	var err error
	f.syntax, err = parser.ParseFile(f.fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return f, nil
}

// goFiles returns the files that are Go and not in a testdata folder.
func goFiles(files []*file) []*file {
	return slices.DeleteFunc(slices.Clone(files), func(f *file) bool {
		return f.syntax == nil || slices.Contains(strings.Split(f.path, "/"), "testdata")
	})
}

const maxTextBytes = 1 << 20

// loadTree reads the text files of the module at root. Modules below it look
// after themselves.
func loadTree(root string) ([]*file, error) {
	var files []*file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // gone since it was listed
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name, entry.Name())
		}
		f, err := loadFile(root, name, entry)
		if f != nil {
			files = append(files, f)
		}
		return err
	})
	return files, err
}

// enter returns SkipDir for a directory that does not belong to the module.
func enter(root, name, base string) error {
	if name == root {
		return nil
	}
	if base == ".git" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// loadFile returns nil for a file that is not text or that nobody wrote.
func loadFile(root, name string, entry fs.DirEntry) (*file, error) {
	info, err := entry.Info()
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxTextBytes || entry.Name() == "go.sum" {
		return nil, err
	}
	source, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil || bytes.IndexByte(source, 0) >= 0 {
		return nil, err
	}
	short, err := filepath.Rel(root, name)
	if err != nil {
		return nil, err
	}
	return newFile(filepath.ToSlash(short), string(source))
}
