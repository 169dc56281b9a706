package cli

import (
	"strings"

	"github.com/podlab/podlab/internal/matrix"
)

// matrixMarkdown prints the matrix as a table for a page.
func matrixMarkdown(u *ui, r *matrix.Report) error {
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(cleanString(c), "|", `\|`)
		}
		u.printf("| %s |\n", strings.Join(cells, " | "))
	}
	u.printf("**%s**\n\n", cleanString(matrixTitle(r)))
	head, rule := []string{"object", "follows"}, []string{"---", "---"}
	for _, v := range r.Viewers {
		head, rule = append(head, string(v.Column)+"<br>"+v.Name), append(rule, "---")
	}
	row(head...)
	row(rule...)
	for _, l := range r.Rows {
		cells := []string{l.Name, string(l.Follows)}
		for i, c := range l.Cells {
			m := cellOf(c, r.Viewers[i])
			if m.word != "" && !c.Measured.Reached {
				m.word = "`" + m.word + "`"
			}
			cells = append(cells, m.String())
		}
		if l.Why != "" {
			text, _ := matrixWhy(l)
			cells = append(cells, text)
		}
		for len(cells) < len(head) {
			cells = append(cells, "")
		}
		row(cells...)
	}
	names, lines := matrixNumbers(r)
	for i, n := range names {
		row(append([]string{"*" + n + "*", ""}, lines[i]...)...)
	}
	u.printf("\n%s\n", cleanString(strings.Join(matrixNotes(r), " ")))
	return nil
}
