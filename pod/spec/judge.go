package spec

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFaults bounds what one file can make us say.
const maxFaults = 1000

// A judge reads one file and collects what is to be said about it.
type judge struct {
	name   string
	data   []byte
	o      Options
	errs   Errors
	warns  []Warning
	starts []int // offsets of the lines, made when first needed
}

// fault reports one, at a place of the file.
func (j *judge) fault(k ErrorKind, line, col int, path, msg, hint string) {
	if len(j.errs) < maxFaults {
		j.errs = append(j.errs, &FieldError{k, j.place(line, col, path), msg, hint})
	} else if len(j.errs) == maxFaults {
		j.errs = append(j.errs, &FieldError{Invalid, Place{File: j.name, Line: line, Col: col}, "and more faults, not listed", ""})
	}
}

// invalid reports a value that a cluster would refuse too.
func (j *judge) invalid(n *node, msg, hint string) {
	if n != nil && !n.wrong {
		n.wrong = true
		j.fault(Invalid, n.line, n.col, n.path(), msg, hint)
	}
}

// missing reports a required field that is not there.
func (j *judge) missing(in *node, name, msg string) {
	j.fault(Invalid, in.line, in.col, join(in.path(), name), msg, "")
}

// unsupported reports what is valid but not for podlab, at the field's name.
func (j *judge) unsupported(f *field, msg, hint string) {
	j.fault(Unsupported, f.line, f.col, f.value.path(), msg, hint)
}

func (j *judge) warn(f *field, msg string) {
	if len(j.warns) < maxFaults {
		j.warns = append(j.warns, Warning{j.place(f.line, f.col, f.value.path()), msg})
	}
}

// sort puts faults and warnings in the order of the file.
func (j *judge) sort() {
	order := func(a, b Place) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	}
	slices.SortStableFunc(j.errs, func(a, b *FieldError) int { return order(a.Place, b.Place) })
	slices.SortStableFunc(j.warns, func(a, b Warning) int { return order(a.Place, b.Place) })
}

func (j *judge) place(line, col int, path string) Place {
	return Place{File: j.name, Line: line, Col: col, Path: path, Source: j.source(line)}
}

// source is a line without control codes, for a caret under it; nothing if it
// is too long to be shown.
func (j *judge) source(line int) string {
	if j.starts == nil {
		j.starts = []int{0}
		for i, c := range j.data {
			if c == '\n' {
				j.starts = append(j.starts, i+1)
			}
		}
	}
	if line < 1 || line > len(j.starts) {
		return ""
	}
	text := j.data[j.starts[line-1]:]
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text = text[:end]
	}
	if len(text) > 300 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || 0x80 <= r && r < 0xA0 || r == utf8.RuneError {
			return ' '
		}
		return r
	}, strings.TrimSuffix(string(text), "\r"))
}

// acceptable is what is looked at before anything is parsed.
func (j *judge) acceptable() bool {
	if len(j.data) > maxFile {
		j.fault(Invalid, 0, 0, "", fmt.Sprintf("%d bytes; the API server reads %d of a manifest", len(j.data), maxFile), "")
		return false
	}
	if !utf8.Valid(j.data) {
		line, col := 1, 1
		for rest := j.data; len(rest) > 0; {
			r, size := utf8.DecodeRune(rest)
			if r == utf8.RuneError && size == 1 {
				break
			}
			if col++; r == '\n' {
				line, col = line+1, 1
			}
			rest = rest[size:]
		}
		j.fault(Invalid, line, col, "", "not UTF-8", "save the file as UTF-8 text")
		return false
	}
	marks := 0
	for _, c := range j.data {
		switch c {
		case ',', ':', '[', '{', '-', '?', '\n', '*', '&':
			marks++
		}
	}
	if marks > maxMarks {
		j.fault(Invalid, 0, 0, "", fmt.Sprintf("more than %d separators: too many values for a manifest", maxMarks), "")
		return false
	}
	return true
}

// syntaxHints say what to do about the parser's commonest complaints.
var syntaxHints = [...][2]string{
	{"cannot start any token", "indent with spaces; a tab, @, ` or % that begins a value needs quotes"},
	{"mapping values are not allowed", "a value with \": \" in it needs quotes; or the line is indented too far"},
	{"did not find expected key", "look at the indentation here and on the lines above"},
	{"did not find expected '-' indicator", "items of one list begin in one column"},
	{"could not find expected ':'", "a key ends in a colon"},
	{"did not find expected ',' or ']'", "a list in brackets is not closed"},
	{"did not find expected ',' or '}'", "a mapping in braces is not closed"},
	{"found unexpected end of stream", "a quote, bracket or brace is not closed"},
	{"unknown anchor", "the anchor, &name, has to come before its alias, *name"},
}

// syntax reports that the text is not YAML. The parser tells the line in words.
func (j *judge) syntax(err error) {
	var typed *strconv.NumError
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	hint := ""
	for _, h := range syntaxHints {
		if strings.Contains(msg, h[0]) {
			hint = h[1]
		}
	}
	if errors.As(err, &typed) {
		msg = "a number out of range"
	}
	j.fault(Invalid, line, 1, "", "not YAML: "+quoteless(msg), hint)
}
