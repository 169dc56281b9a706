package spec

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
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
	if !j.talkative() {
		j.errs = append(j.errs, &FieldError{k, j.place(line, col, path), msg, hint})
	} else if len(j.errs) == maxFaults {
		j.errs = append(j.errs, &FieldError{Invalid, Place{File: j.name, Line: line, Col: col}, "and more faults, not listed", ""})
	}
}

// talkative is true when enough has been said.
func (j *judge) talkative() bool { return len(j.errs) >= maxFaults }

// invalid reports a value that a cluster would refuse too.
func (j *judge) invalid(n *node, msg, hint string) {
	if n != nil && !n.wrong {
		n.wrong = true
		j.fault(Invalid, n.line, n.col, n.path(), msg, hint)
	}
}

// missing reports a required field that is not there; name may have dots.
func (j *judge) missing(in *node, name, msg string) {
	j.fault(Invalid, in.line, in.col, strings.TrimPrefix(in.path()+"."+name, "."), msg, "")
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
	if len(path) > 300 {
		path = path[:300] + "..."
	}
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
	if !j.isText() {
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

// isText looks for what can't be in YAML or JSON, whose parsers don't say where.
func (j *judge) isText() bool {
	line, col := 1, 1
	for rest := j.data; len(rest) > 0; col++ {
		r, size := rune(rest[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(rest)
		}
		switch {
		case r == utf8.RuneError && size == 1:
			j.fault(Invalid, line, col, "", "not UTF-8", "save the file as UTF-8 text")
			return false
		case r == '\n':
			line, col = line+1, 0
		case r < ' ' && r != '\t' && r != '\r' || r == 0x7F:
			j.fault(Invalid, line, col, "", fmt.Sprintf("the control code %#02x", r), "in double quotes, write it as \\x and two digits")
			return false
		}
		rest = rest[size:]
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

// syntax reports that the text is not YAML.
func (j *judge) syntax(err error) {
	line, msg := complaint(err)
	if len(j.data) <= 256<<10 {
		line = j.firstLine(msg)
	}
	hint := ""
	for _, h := range syntaxHints {
		if strings.Contains(msg, h[0]) {
			hint = h[1]
		}
	}
	text := j.source(line)
	col := len(text) - len(strings.TrimLeft(text, " ")) + 1
	j.fault(Invalid, line, col, "", "not YAML: "+quoteless(msg), hint)
}

// complaint takes the parser's error apart.
func complaint(err error) (line int, msg string) {
	msg = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			line, _ = strconv.Atoi(number)
			return line, after
		}
	}
	return 1, msg
}

// firstLine is the line that a complaint is about. The parser names the line
// where the mapping around it began, or none; but the shortest beginning of the
// file that brings the same complaint ends with the line that is wrong.
func (j *judge) firstLine(msg string) int {
	j.source(1) // for the starts of lines
	return 1 + sort.Search(len(j.starts)-1, func(i int) bool {
		d := yaml.NewDecoder(bytes.NewReader(j.data[:j.starts[i+1]]))
		for {
			if _, err := parseOne(d); err != nil {
				_, same := complaint(err)
				return err != io.EOF && same == msg
			}
		}
	})
}
