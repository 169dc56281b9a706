package lesson

import (
	"fmt"
	"slices"
	"strings"
)

// names is what each <NAME> of a lesson stands for.
type names map[string]bound

type bound struct {
	text string
	line int // of the page
}

// token is a piece of an expected line.
type token struct {
	kind tokenKind
	text string // a literal's, or a name without its brackets
}

type tokenKind int

const (
	literal  tokenKind = iota
	anything           // "..." inside a line
	name
	column // two spaces or more: as many as the other cells of a table make them
	gap    // "..." alone: any lines
)

// tokens takes an expected line to pieces.
func tokens(line string) (all []token) {
	if line == "..." {
		return []token{{kind: gap}}
	}
	from := 0
	for i := 0; i < len(line); {
		t, n := special(line[i:])
		if n == 0 {
			i++
			continue
		}
		if i > from {
			all = append(all, token{literal, line[from:i]})
		}
		all = append(all, t)
		i += n
		from = i
	}
	if from < len(line) {
		all = append(all, token{literal, line[from:]})
	}
	return all
}

// special is the token other than a literal that s begins with, and its
// length, or 0.
func special(s string) (token, int) {
	if strings.HasPrefix(s, "...") {
		return token{kind: anything}, 3
	}
	if n := len(s) - len(strings.TrimLeft(s, " ")); n > 1 {
		return token{kind: column}, n
	}
	if n := placeholder(s); n > 0 {
		return token{name, s[1 : n-1]}, n
	}
	return token{}, 0
}

// placeholder is the length of the <NAME> that s begins with, or 0.
func placeholder(s string) int {
	if len(s) < 3 || s[0] != '<' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '>' && i > 1:
			return i + 1
		case c >= 'A' && c <= 'Z', i > 1 && (c >= '0' && c <= '9' || c == '_'):
		default:
			return 0
		}
	}
	return 0
}

// matcher looks for a way to read got as what was wanted.
type matcher struct {
	want  []wanted
	names names // bound so far; with those of this output while one is looked for
	loose bool  // a name may stand for anything, each time
	seen  []use // the names of the way that is being tried
	far   int   // how many expected lines could be met, at best
}

type wanted struct {
	Line
	tokens []token
}

// use is a name and what it would have to stand for.
type use struct {
	name string
	bound
}

// lines matches want[at:] with got.
func (m *matcher) lines(at int, got []string) bool {
	m.far = max(m.far, at)
	if at == len(m.want) {
		return len(got) == 0
	}
	w := &m.want[at]
	if len(w.tokens) > 0 && w.tokens[0].kind == gap {
		for skip := 0; skip <= len(got); skip++ {
			if m.lines(at+1, got[skip:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && m.line(w, w.tokens, got[0], func() bool { return m.lines(at+1, got[1:]) })
}

// line matches one line, and then the rest.
func (m *matcher) line(w *wanted, ts []token, s string, rest func() bool) bool {
	if len(ts) == 0 {
		return s == "" && rest()
	}
	switch t := ts[0]; t.kind {
	case literal:
		after, ok := strings.CutPrefix(s, t.text)
		return ok && m.line(w, ts[1:], after, rest)
	case column:
		after := strings.TrimLeft(s, " ")
		return len(s)-len(after) > 1 && m.line(w, ts[1:], after, rest)
	case anything:
		for i := 0; i <= len(s); i++ {
			if m.line(w, ts[1:], s[i:], rest) {
				return true
			}
		}
		return false
	default:
		for i := 1; i <= len(s) && s[i-1] != ' ' && s[i-1] != '\t'; i++ {
			if m.bind(t.text, bound{s[:i], w.No}, func() bool { return m.line(w, ts[1:], s[i:], rest) }) {
				return true
			}
		}
		return false
	}
}

// bind lets a name stand for a text while the rest is tried, and for good if
// that matches.
func (m *matcher) bind(n string, b bound, rest func() bool) bool {
	if m.loose {
		m.seen = append(m.seen, use{n, b})
		if rest() {
			return true
		}
		m.seen = m.seen[:len(m.seen)-1]
		return false
	}
	if old, ok := m.names[n]; ok {
		return old.text == b.text && rest()
	}
	for _, other := range m.names {
		if other.text == b.text {
			return false
		}
	}
	m.names[n] = b
	if rest() {
		return true
	}
	delete(m.names, n)
	return false
}

// match compares output with what was wanted. It returns 0, "" and the names
// that are bound now in ns, or the line of the page that isn't met, and why.
func match(want []Line, output string, ns names) (line int, why string) {
	m := matcher{names: ns}
	for _, w := range byContainer(want, func(l Line) string { return l.Text }) {
		m.want = append(m.want, wanted{w, tokens(w.Text)})
	}
	var got []string
	if output != "" {
		got = strings.Split(strings.TrimSuffix(output, "\n"), "\n")
	}
	got = byContainer(got, func(s string) string { return s })
	if m.lines(0, got) {
		return 0, ""
	}
	m.loose, m.far = true, 0
	if m.lines(0, got) {
		return m.conflict()
	}
	if m.far == len(m.want) {
		return 0, "it printed more than that"
	}
	w := m.want[m.far]
	return w.No, "no line like: " + w.Text
}

// conflict says which name of the only reading would have to mean two things,
// or two names one.
func (m *matcher) conflict() (line int, why string) {
	all := names{}
	for n, b := range m.names {
		all[n] = b
	}
	for _, u := range m.seen {
		if old, ok := all[u.name]; ok {
			if old.text != u.text {
				return u.line, fmt.Sprintf("<%s> is %q here, and %q in line %d", u.name, u.text, old.text, old.line)
			}
			continue
		}
		for n, old := range all {
			if old.text == u.text {
				return u.line, fmt.Sprintf("<%s> is %q here, and so is <%s> in line %d: two names are two texts", u.name, u.text, n, old.line)
			}
		}
		all[u.name] = u.bound
	}
	return 0, "no reading of the names fits" // several readings, and each has a conflict of its own
}

// byContainer orders neighbouring lines of containers, which write when they
// like, by their names; the order within a container stays.
func byContainer[L any](lines []L, text func(L) string) []L {
	lines = slices.Clone(lines)
	for from := 0; from < len(lines); {
		to := from
		for to < len(lines) && container(text(lines[to])) != "" {
			to++
		}
		slices.SortStableFunc(lines[from:to], func(a, b L) int { return strings.Compare(container(text(a)), container(text(b))) })
		from = to + 1
	}
	return lines
}

// container is the name in "app | text" or "app ! text", or "".
func container(line string) string {
	n := strings.IndexFunc(line, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '/'
	})
	if n < 1 {
		return ""
	}
	rest := strings.TrimLeft(line[n:], " ")
	if strings.HasPrefix(rest, "| ") || strings.HasPrefix(rest, "! ") {
		return line[:n]
	}
	return ""
}
