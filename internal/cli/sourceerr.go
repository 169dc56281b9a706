package cli

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/podlab/podlab/pod/spec"
)

// maxFieldErrors is how many faults of a manifest are shown in full: a file with more is not a manifest with typos.
const maxFieldErrors = 50

// sourceErrors is the faults of a manifest in err, if that is what it is.
func sourceErrors(err error) (spec.Errors, bool) {
	var many spec.Errors
	ok := errors.As(err, &many)
	return many, ok && len(many) > 0
}

// fieldErrors prints each fault of a manifest with the line it is in, a caret under it, and what would be right.
func (u *ui) fieldErrors(many spec.Errors) {
	for i, e := range many {
		if i == maxFieldErrors {
			u.note("%s: and %d more faults", u.verb, len(many)-i)
			return
		}
		u.message("", cleanString(u.verb+" "+e.Error()))
		u.excerpt(e.Place)
		if e.Hint != "" {
			u.hint(e.Hint)
		}
	}
}

// excerpt shows a place in a manifest as compilers do.
func (u *ui) excerpt(p spec.Place) {
	if p.Line == 0 || strings.TrimSpace(p.Source) == "" {
		return
	}
	text := cleanString(strings.TrimRight(p.Source, "\r\n"))
	text, p.Col = window(text, p.Col)
	number := fmt.Sprint(p.Line)
	bar := u.paint(u.errColor, dim, "|")
	out := fmt.Sprintf("  %s %s %s\n", u.paint(u.errColor, dim, number), bar, text)
	if at, n, ok := caret(text, p); ok {
		out += fmt.Sprintf("  %*s %s %s%s\n", len(number), "", bar, at, u.paint(u.errColor, red, strings.Repeat("^", n)))
	}
	_, _ = u.err.WriteString(out) // nowhere left to say that stderr is gone
}

// caret is what stands before the carets under text, and how many there are: as many as the field's name is long if
// that is what stands there, else as many as the word.
func caret(text string, p spec.Place) (before string, n int, ok bool) {
	runes := []rune(text)
	if p.Col < 1 || p.Col > len(runes) {
		return "", 0, false
	}
	var b strings.Builder
	for _, r := range runes[:p.Col-1] {
		if r == '\t' {
			b.WriteRune(r) // as wide as it is in the line above
		} else {
			b.WriteByte(' ')
		}
	}
	rest := string(runes[p.Col-1:])
	name := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
	if name != "" && strings.HasPrefix(rest, name) {
		return b.String(), utf8.RuneCountInString(name), true
	}
	if quoted := rest[0]; quoted == '"' || quoted == '\'' {
		if end := strings.IndexByte(rest[1:], quoted); end >= 0 {
			return b.String(), utf8.RuneCountInString(rest[:end+2]), true
		}
	}
	if end := strings.IndexAny(rest, " \t,:]}#"); end > 0 {
		rest = rest[:end]
	}
	return b.String(), utf8.RuneCountInString(rest), true
}

// window is the part of a long line around a column, and the column in it. One line of JSON may be a whole manifest.
func window(text string, col int) (string, int) {
	const wide, before = 120, 40
	r := []rune(text)
	if len(r) <= wide {
		return text, col
	}
	from := min(max(0, col-1-before), max(0, len(r)-wide))
	to := min(len(r), from+wide)
	text = string(r[from:to])
	if to < len(r) {
		text += "…"
	}
	if from > 0 {
		return "…" + text, col - from + 1
	}
	return text, col
}
