package lesson

import (
	"strings"
	"unicode/utf8"
)

// Role is what a stretch of text is, for whoever paints it.
type Role int

const (
	Plain Role = iota
	Title
	Section // a heading below the title
	Strong
	Emphasis
	Verbatim // code, and tables
)

// Paint gives a text the looks of its role.
type Paint func(Role, string) string

// Render is a part as text for a terminal that is so many columns wide, with a
// line end. It knows what lessons are written in: headings, paragraphs, lists,
// tables, code, and `code`, **strong**, *emphasis* and [links](url) in them.
func Render(p Part, width int, paint Paint) string {
	switch {
	case p.Kind == Heading && p.Level == 1:
		return paint(Title, " "+plain(p.Text)+" ") + "\n"
	case p.Kind == Heading:
		return paint(Section, plain(p.Text)) + "\n"
	case p.Kind == Code:
		return each(p.Text, func(line string) string { return "    " + paint(Verbatim, line) })
	case p.Kind == Text && strings.HasPrefix(p.Text, "|"):
		return renderTable(p.Text, paint)
	case p.Kind == Text:
		return renderText(p.Text, width, paint)
	}
	return ""
}

func each(text string, f func(string) string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(strings.TrimRight(f(line), " ") + "\n")
	}
	return b.String()
}

// renderText wraps a paragraph, or the items of a list, each with its bullet.
func renderText(text string, width int, paint Paint) string {
	var b strings.Builder
	var item []string
	bullet := ""
	flush := func() {
		if len(item) > 0 {
			b.WriteString(wrap(spans(strings.Join(item, " ")), width, bullet, paint))
		}
		item = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if mark := bulletOf(line); mark != "" {
			flush()
			bullet, line = mark, line[len(mark):]
		}
		item = append(item, line)
	}
	flush()
	return b.String()
}

// bulletOf is the "- " or "1. " that a list's item begins with.
func bulletOf(line string) string {
	if strings.HasPrefix(line, "- ") {
		return line[:2]
	}
	n := 0
	for n < len(line) && line[n] >= '0' && line[n] <= '9' {
		n++
	}
	if n > 0 && strings.HasPrefix(line[n:], ". ") {
		return line[:n+2]
	}
	return ""
}

// span is a stretch of one role.
type span struct {
	role Role
	text string
}

// spans takes the marks out of a text.
func spans(text string) (all []span) {
	marks := []struct {
		mark string
		role Role
	}{{"`", Verbatim}, {"**", Strong}, {"*", Emphasis}}
	add := func(r Role, s string) {
		if s != "" {
			all = append(all, span{r, s})
		}
	}
	from := 0
next:
	for i := 0; i < len(text); {
		if text[i] == '[' {
			if label, n := link(text[i:]); n > 0 {
				add(Plain, text[from:i])
				all = append(all, spans(label)...)
				i += n
				from = i
				continue
			}
		}
		for _, m := range marks {
			rest, ok := strings.CutPrefix(text[i:], m.mark)
			if !ok {
				continue
			}
			// Code may begin with a space; a star with a space after it is a star.
			inner, _, ok := strings.Cut(rest, m.mark)
			if !ok || inner == "" || m.role != Verbatim && inner[0] == ' ' {
				continue
			}
			add(Plain, text[from:i])
			add(m.role, inner)
			i += 2*len(m.mark) + len(inner)
			from = i
			continue next
		}
		i++
	}
	add(Plain, text[from:])
	return all
}

// link reads "[label](url)" and is its label and length.
func link(s string) (label string, n int) {
	label, rest, ok := strings.Cut(s[1:], "](")
	if !ok || strings.ContainsAny(label, "[]") {
		return "", 0
	}
	url, _, ok := strings.Cut(rest, ")")
	if !ok || strings.ContainsAny(url, " \n") {
		return "", 0
	}
	return label, len("[](") + len(label) + len(url) + len(")")
}

// plain is a text without its marks.
func plain(text string) string {
	var b strings.Builder
	for _, s := range spans(text) {
		b.WriteString(s.text)
	}
	return b.String()
}

// wrap breaks spans into lines. bullet stands before the first, and as many
// spaces before the others.
func wrap(all []span, width int, bullet string, paint Paint) string {
	var b strings.Builder
	b.WriteString(bullet)
	indent := utf8.RuneCountInString(bullet)
	at, empty := indent, true
	for _, w := range words(all) {
		n := 0
		for _, s := range w {
			n += utf8.RuneCountInString(s.text)
		}
		switch {
		case empty:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		for _, s := range w {
			b.WriteString(paint(s.role, s.text))
		}
		at, empty = at+n, false
	}
	b.WriteByte('\n')
	return b.String()
}

// words are what no line may break: spans without a space between them.
func words(all []span) (ws [][]span) {
	open := false // the last word goes on
	for _, s := range all {
		for i, piece := range strings.Split(s.text, " ") {
			if i > 0 {
				open = false
			}
			if piece == "" {
				continue
			}
			if !open {
				ws = append(ws, nil)
			}
			last := len(ws) - 1
			ws[last] = append(ws[last], span{s.role, piece})
			open = true
		}
	}
	return ws
}

// renderTable aligns the cells of a table. It isn't wrapped: a lesson's table
// is narrow.
func renderTable(text string, paint Paint) string {
	var rows [][]string
	var wide []int
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Trim(line, "|-: ") == "" {
			continue // the line below the head
		}
		var row []string
		for i, cell := range strings.Split(strings.Trim(line, "| "), "|") {
			cell = plain(strings.TrimSpace(cell))
			row = append(row, cell)
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
		rows = append(rows, row)
	}
	var b strings.Builder
	for n, row := range rows {
		role := Plain
		if n == 0 {
			role = Strong
		}
		for i, cell := range row {
			b.WriteString(paint(role, cell))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell)+3))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
