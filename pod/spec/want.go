package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Judgements that many rules need. All take a node that may be nil: what is
// absent, null or already reported is not reported again.

// need is a required field; an empty string counts as absent.
func (j *judge) need(in *node, name string) *node {
	if f := in.look(name); f != nil && f.value.wrong {
		return nil
	}
	v := in.get(name)
	if v == nil || v.empty() {
		j.missing(in, name, "required, and not there")
		return nil
	}
	return v
}

func (j *judge) label(n *node) {
	if n != nil && !n.wrong && !isLabel(n.text) {
		j.named(n, "want at most 63 of a-z, 0-9 and -, with a letter or digit at both ends, have ", false)
	}
}

func (j *judge) subdomain(n *node) {
	if n != nil && !n.wrong && !isSubdomain(n.text) {
		j.named(n, "want a-z, 0-9, - and ., with a letter or digit at both ends of each part, have ", true)
	}
}

func (j *judge) named(n *node, msg string, dots bool) {
	hint := ""
	if tidy := tidyName(n.text, dots); tidy != "" && tidy != n.text {
		hint = "write " + tidy
	}
	j.invalid(n, msg+quote(n.text), hint)
}

func (j *judge) qualified(n *node) {
	if n != nil && !n.wrong && !isQualified(n.text) {
		j.invalid(n, "want a name of letters, digits, -, _ and ., perhaps with example.com/ before it, have "+quote(n.text), "")
	}
}

func (j *judge) labelValue(n *node) {
	if n != nil && !n.wrong && !isLabelValue(n.text) {
		j.invalid(n, "want at most 63 letters, digits, -, _ and ., with a letter or digit at both ends, have "+quote(n.text), "")
	}
}

// oneOf wants one of a few words; an empty one counts as absent.
func (j *judge) oneOf(n *node, words ...string) {
	if n == nil || n.wrong || slices.Contains(words, n.text) {
		return
	}
	hint := ""
	for _, w := range words {
		if strings.EqualFold(w, n.text) || editDistance(w, n.text, 2) <= 2 {
			hint = "write " + w
		}
	}
	j.invalid(n, "want "+anyOf(quoteEmpty(words))+", have "+quote(n.text), hint)
}

// oneOfSet is oneOf for fields whose default replaces an empty string.
func (j *judge) oneOfSet(n *node, words ...string) {
	if n.str() != "" {
		j.oneOf(n, words...)
	}
}

func anyOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func (j *judge) between(n *node, least, most int64) {
	if n != nil && !n.wrong && (n.num() < least || n.num() > most) {
		j.invalid(n, fmt.Sprintf("want a number from %d to %d, have %d", least, most, n.num()), "")
	}
}

func (j *judge) atLeast(n *node, least int64) {
	if n != nil && !n.wrong && n.num() < least {
		j.invalid(n, fmt.Sprintf("want %d or more, have %d", least, n.num()), "")
	}
}

// id is a user or group.
func (j *judge) id(n *node) { j.between(n, 0, 1<<31-1) }

// mode is what chmod takes, without the set-id and sticky bits.
func (j *judge) mode(n *node) {
	if n != nil && !n.wrong && (n.num() < 0 || n.num() > 0o777) {
		j.invalid(n, "want a mode from 0 to 0777 (511), have "+n.text, "octal modes begin with 0")
	}
}

// below is a relative path that stays below where it starts.
func (j *judge) below(n *node) {
	switch p := n.str(); {
	case n == nil:
	case strings.HasPrefix(p, "/"):
		j.invalid(n, "want a relative path, have "+quote(p), "")
	default:
		j.noClimbing(n)
	}
}

func (j *judge) noClimbing(n *node) {
	if climbs(n.str()) {
		j.invalid(n, "want a path without .., have "+quote(n.text), "")
	}
}

// item is a file's path in a volume made of keys.
func (j *judge) item(n *node) {
	j.below(n)
	if n != nil && !n.wrong && strings.HasPrefix(n.text, "..") {
		j.invalid(n, "want a path that does not begin with .., have "+quote(n.text), "")
	}
}

// oneSource wants exactly one of some fields of a mapping.
func (j *judge) oneSource(n *node, required bool, names ...string) {
	first := ""
	for i := range n.fields {
		f := &n.fields[i]
		if !slices.Contains(names, f.name) || f.value.class == nullClass {
			continue
		}
		if first != "" {
			j.fault(Invalid, f.line, f.col, f.value.path(), "may not be set together with "+first, "keep one")
			return
		}
		first = f.name
	}
	if first == "" && required && !n.wrong {
		j.invalid(n, "want one of "+anyOf(names), "")
	}
}

// unique reports what comes a second time in a list.
func (j *judge) unique(seen map[string]bool, n *node) {
	if n == nil || n.wrong || n.text == "" {
		return
	}
	if seen[n.text] {
		j.invalid(n, quote(n.text)+" is already taken", "")
	}
	seen[n.text] = true
}

// forbidden reports a field that may not be set where it is.
func (j *judge) forbidden(in *node, name, why string) {
	if f := in.look(name); f != nil && f.value.class != nullClass {
		j.fault(Invalid, f.line, f.col, f.value.path(), why, "")
	}
}

// quoteEmpty makes an empty word visible.
func quoteEmpty(words []string) []string {
	if i := slices.Index(words, ""); i >= 0 {
		words = slices.Clone(words)
		words[i] = `""`
	}
	return words
}
