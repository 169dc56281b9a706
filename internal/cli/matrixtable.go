package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/podlab/podlab/internal/matrix"
)

// The marks of a cell. Each is another shape; colour only helps.
const (
	markReached = "✓"
	markBlocked = "✗"
	markUnsure  = "?"
)

// matrixCell is a cell as a person reads it: a mark, a word, and the colour of both.
type matrixCell struct {
	mark, word string
	color      color
	bad        bool // not as predicted
}

// cellOf says a cell in a mark and a word. Beyond the pod, what is reached is shared with strangers, and that is said.
func cellOf(c matrix.Cell, viewer matrix.Place) matrixCell {
	m := matrixCell{mark: markBlocked, word: c.Measured.Errno, color: boldRed, bad: c.Judgement != matrix.AsPredicted}
	switch {
	case c.Judgement == matrix.NotProven:
		m.mark, m.color = markUnsure, yellow
		if m.word == "" {
			m.word = "not proven"
		}
	case c.Measured.Reached && outside(viewer):
		m.mark, m.word, m.color = markReached, "shared", yellow
	case c.Measured.Reached:
		m.mark, m.color = markReached, green
	}
	if m.bad && m.mark != markUnsure {
		m.word, m.color = strings.TrimSpace(m.word+" !"), reverseRed
	}
	return m
}

// outside tells whether a viewer is no part of the owner's pod.
func outside(p matrix.Place) bool {
	return p.Column != matrix.SameContainer && p.Column != matrix.Sibling
}

func (m matrixCell) String() string { return strings.TrimSpace(m.mark + " " + m.word) }

const (
	boldRed    color = "1;31"
	reverseRed color = "1;7;31"
)

// matrixWhy says why a row has no cells: nothing is claimed, or the object could not be made, which is a failure.
func matrixWhy(l matrix.Line) (string, color) {
	if l.Fault {
		return markUnsure + " " + cleanString(l.Why), reverseRed
	}
	return "– " + cleanString(l.Why) + ", so no claim", dim
}

// matrixNumbers are the lines of numbers that explain the cells: one for each thing that decides.
func matrixNumbers(r *matrix.Report) (names []string, lines [][]string) {
	for _, n := range []struct {
		name string
		of   func(f, owner matrix.Facts) string
	}{
		{"ipc namespace", func(f, _ matrix.Facts) string { return fmt.Sprint(f.IPC) }},
		{"/dev/shm device", func(f, _ matrix.Facts) string { return f.Shm.Device.String() }},
		{"net namespace", func(f, _ matrix.Facts) string { return fmt.Sprint(f.Net) }},
		{"volume inode", volumeNumber},
	} {
		owner := n.of(r.Owner.Facts, r.Owner.Facts)
		if owner == "" {
			continue
		}
		var line []string
		for _, v := range r.Viewers {
			own := n.of(v.Facts, r.Owner.Facts)
			sign := "≠ "
			if own == owner {
				sign = "= "
			}
			line = append(line, sign+own)
		}
		names, lines = append(names, n.name), append(lines, line)
	}
	return names, lines
}

// volumeNumber is the inode of the directory that is the volume, with its device where that is not the owner's: inodes
// are numbered by each file system for itself.
func volumeNumber(f, owner matrix.Facts) string {
	switch {
	case f.Volume == nil || owner.Volume == nil:
		return ""
	case !f.Volume.File.Exists():
		return "none"
	case f.Volume.File.Device != owner.Volume.File.Device:
		return fmt.Sprintf("%d on %s", f.Volume.File.Inode, f.Volume.File.Device)
	}
	return fmt.Sprint(f.Volume.File.Inode)
}

// matrixNotes are the sentences below the matrix.
func matrixNotes(r *matrix.Report) (notes []string) {
	v := r.Verdict
	verdict := fmt.Sprintf("%d of %d cells as the numbers predict", v.AsPredicted, v.Cells)
	for _, bad := range []struct {
		n    int
		what string
	}{{v.Differ, "otherwise"}, {v.NotProven, "not proven"}, {v.Faults, "of the kinds of object not made"}} {
		if bad.n > 0 {
			verdict += fmt.Sprintf(", %d %s", bad.n, bad.what)
		}
	}
	notes = append(notes, verdict+".")
	for _, l := range r.Rows {
		for _, c := range l.Cells {
			if !c.Measured.Reached && c.Control != "" && len(notes) == 1 {
				notes = append(notes, "Each ✗ counts because "+c.Control+" reached the same object just before and just after.")
			}
		}
	}
	if vol := r.Owner.Facts.Volume; vol != nil {
		for _, p := range r.Viewers {
			if outside(p) && p.Facts.Volume.File == vol.File {
				notes = append(notes, fmt.Sprintf("The volume %s is %s for %s.", vol.Path, p.Facts.Volume.Path, p.Name))
			}
		}
	}
	return notes
}

// matrixTable prints the matrix for a terminal.
func matrixTable(u *ui, r *matrix.Report) error {
	l := fitMatrix(r, u.width())
	u.printf("%s\n\n", u.paint(u.outColor, bold, cleanString(matrixTitle(r))))
	u.printf("%s", l.text(u.outColor))
	u.printf("\n")
	for _, n := range matrixNotes(r) {
		if n = cleanString(n); u.width() > 0 {
			n = u.wrap(n, "") // what is piped is whole
		}
		u.printf("%s\n", n)
	}
	return nil
}

func matrixTitle(r *matrix.Report) string { return "Who reaches the objects of " + r.Owner.Name + "?" }

// matrixLayout is a matrix as a grid of styled cells, one line of text each.
type matrixLayout struct {
	gap   int
	lines [][]styled
}

type styled struct {
	text  string
	color color
}

// matrixStyle is a way to lay a matrix out.
type matrixStyle struct {
	gap     int  // between columns
	follows bool // a column says what each row follows
	short   bool // short names
	under   bool // errnos stand under the marks
}

// fitMatrix takes the first, and widest, layout that fits into width; 0 is as wide as it takes.
func fitMatrix(r *matrix.Report, width int) matrixLayout {
	var l matrixLayout
	for _, how := range []matrixStyle{{3, true, false, false}, {3, false, false, false}, {2, false, true, false}, {2, false, true, true}} {
		if l = layMatrix(r, how); width == 0 || l.width() <= width {
			break
		}
	}
	return l
}

func layMatrix(r *matrix.Report, how matrixStyle) matrixLayout {
	l := matrixLayout{gap: how.gap}
	line := func(name, after string, c color, cells []styled) {
		all := []styled{{cleanString(name), c}}
		if how.follows {
			all = append(all, styled{after, dim})
		}
		l.lines = append(l.lines, append(all, cells...))
	}
	var heads, names []styled
	for _, v := range r.Viewers {
		head := strings.ToUpper(string(v.Column))
		if how.short {
			head = strings.Replace(head, "CONTAINER", "CONT.", 1)
		}
		heads = append(heads, styled{head, ""})
		names = append(names, styled{cleanString(v.Name), dim})
	}
	line("OBJECT", "FOLLOWS", "", heads)
	line("", "", "", names)
	for _, row := range r.Rows {
		title := row.Name
		if how.short {
			title = row.Short
		}
		var marks, words []styled
		for i, c := range row.Cells {
			m := cellOf(c, r.Viewers[i])
			if !how.under {
				marks = append(marks, styled{m.String(), m.color})
				continue
			}
			marks, words = append(marks, styled{m.mark, m.color}), append(words, styled{m.word, m.color})
		}
		if row.Why != "" {
			text, c := matrixWhy(row)
			marks = []styled{{text, c}}
		}
		line(title, string(row.Follows), "", marks)
		if how.under && anyText(words) {
			line("", "", "", words)
		}
	}
	l.lines = append(l.lines, nil)
	numbers, values := matrixNumbers(r)
	for i, n := range numbers {
		if how.short {
			n, _, _ = strings.Cut(n, " ")
		}
		line(n, "", dim, styledNumbers(values[i], how.short))
	}
	return l
}

func styledNumbers(numbers []string, short bool) (cells []styled) {
	for _, n := range numbers {
		text := n
		if short {
			text = shortNumber(n)
		}
		cells = append(cells, styled{text, equality(n)})
	}
	return cells
}

// shortNumber keeps the sign and the last digits of a number that some file systems make 20 digits long: the sign says
// what counts.
func shortNumber(number string) string {
	sign, digits, _ := strings.Cut(number, " ")
	if r := []rune(digits); len(r) > 13 {
		digits = "…" + string(r[len(r)-10:])
	}
	return sign + " " + digits
}

func anyText(cells []styled) bool {
	for _, c := range cells {
		if c.text != "" {
			return true
		}
	}
	return false
}

// equality is the colour of a number: plain if it is the owner's too.
func equality(number string) color {
	if strings.HasPrefix(number, "=") {
		return ""
	}
	return red
}

// widths are those of the columns. A row without cells says why in as much room as it takes, at its end.
func (l matrixLayout) widths() (wide []int) {
	wide = make([]int, len(l.lines[0]))
	for _, line := range l.lines {
		for i, c := range line {
			if len(line) == len(wide) || i < len(line)-1 {
				wide[i] = max(wide[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	return wide
}

func (l matrixLayout) width() (n int) {
	for _, w := range l.widths() {
		n += w + l.gap
	}
	return n - l.gap
}

func (l matrixLayout) text(coloured bool) string {
	wide := l.widths()
	var b strings.Builder
	for _, line := range l.lines {
		pad := 0
		for i, c := range line {
			b.WriteString(strings.Repeat(" ", pad))
			if coloured && c.color != "" && c.text != "" {
				b.WriteString("\x1b[" + string(c.color) + "m" + c.text + "\x1b[0m")
			} else {
				b.WriteString(c.text)
			}
			pad = wide[i] + l.gap - utf8.RuneCountInString(c.text)
		}
		b.WriteByte('\n')
	}
	return trimRight(b.String())
}
