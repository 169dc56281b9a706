package cli

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// table is printed as kubectl prints its tables: upper-case heads, three spaces between columns, no lines.
type table struct {
	head  []string
	rows  [][]string
	paint func(row, col int, cell string) color // the colour of a cell, "" for none; may be nil
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// table prints t on standard output. The last column is cut to the width of the terminal, if it is one: what is piped
// is whole.
func (u *ui) table(t *table) {
	u.printf("%s", t.render(u.width(), u.outColor))
}

// width is that of the terminal, or 0: as wide as it takes.
func (u *ui) width() int {
	if u.columns > 0 {
		return u.columns
	}
	if !u.outTTY {
		return 0
	}
	w, _, err := term.GetSize(int(u.out.Fd()))
	if err != nil || w < 20 {
		return 0
	}
	return w
}

func (t *table) render(width int, coloured bool) string {
	rows := t.rows
	if t.head != nil {
		rows = append([][]string{t.head}, rows...)
	}
	var wide []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for n, r := range rows {
		at := 0
		for i, c := range r {
			cell := cleanString(c)
			last := i == len(r)-1
			if width > 0 && last {
				cell = cut(cell, width-at)
			}
			pad := wide[i] + 3 - utf8.RuneCountInString(cell)
			at += wide[i] + 3
			switch {
			case t.head != nil && n == 0:
			case coloured && t.paint != nil:
				if c := t.paint(n-(len(rows)-len(t.rows)), i, cell); c != "" {
					cell = "\x1b[" + string(c) + "m" + cell + "\x1b[0m"
				}
			}
			b.WriteString(cell)
			if !last {
				b.WriteString(strings.Repeat(" ", max(1, pad)))
			}
		}
		b.WriteByte('\n')
	}
	return trimRight(b.String())
}

// trimRight drops the spaces before line ends, where the last columns are empty.
func trimRight(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}

// cut shortens s to n columns, where that leaves something to read.
func cut(s string, n int) string {
	r := []rune(s)
	if n < 8 || len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// wrap breaks text into lines that begin with indent and fit the terminal (or 100 columns).
func (u *ui) wrap(text, indent string) string {
	width := u.width()
	if width == 0 || width > 100 {
		width = 100
	}
	var b strings.Builder
	at := 0
	for _, w := range strings.Fields(cleanString(strings.ReplaceAll(text, "\n", " "))) {
		n := utf8.RuneCountInString(w)
		switch {
		case at == 0:
			b.WriteString(indent)
			at = len(indent)
		case at+1+n > width:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += n
	}
	return b.String()
}
