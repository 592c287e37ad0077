package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// What is forbidden is put together from pieces, so that these files do not
// break their own rules.
var (
	machinePaths = regexp.MustCompile(strings.Join([]string{
		`/wo` + `rk/`, `/fa` + `rm/`, `/ho` + `me/\w`, `/ro` + `ot/\w`, `/Us` + `ers/\w`, `[A-Z]:\\Us` + `ers`,
		`bash_` + `jobs`, `\.lib` + `rary\b`, `before-` + `stop`,
	}, "|"))
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
)

func checkMachinePaths(files []*file, report reporter) {
	for _, f := range files {
		reportLines(f, machinePaths, report, "the path %q is one of a single machine")
	}
}

func checkUnfinished(files []*file, report reporter) {
	for _, f := range goFiles(files) {
		reportLines(f, unfinished, report, "%q marks unfinished work: finish it, or say in prose what is not promised")
	}
}

func reportLines(f *file, what *regexp.Regexp, report reporter, format string) {
	for i, line := range strings.Split(f.source, "\n") {
		if word := what.FindString(line); word != "" {
			report(f, lineNode(f, i+1), format, word)
		}
	}
}

// lineNode is a node that starts at a line of any kind of file.
func lineNode(f *file, line int) ast.Node {
	if f.syntax == nil {
		f.fset = token.NewFileSet()
		f.fset.AddFile(f.path, -1, len(f.source)).SetLinesForContent([]byte(f.source))
	}
	var pos token.Pos
	f.fset.Iterate(func(t *token.File) bool {
		pos = t.LineStart(line)
		return false
	})
	return &ast.BadStmt{From: pos, To: pos}
}
