package figures

import (
	"fmt"
	"strings"
)

// Page is a Markdown document that is being written.
type Page struct{ strings.Builder }

// F writes a line.
func (p *Page) F(format string, args ...any) { fmt.Fprintf(&p.Builder, format+"\n", args...) }

// Table writes a table whose first column is text and whose others are numbers.
func (p *Page) Table(head []string, rows [][]string) {
	p.F("| %s |", strings.Join(head, " | "))
	p.F("|---%s|", strings.Repeat("|---:", len(head)-1))
	for _, row := range rows {
		p.F("| %s |", strings.Join(row, " | "))
	}
	p.F("")
}
