package spec

import "strings"

// A row is what podlab does with one field of the upstream Pod type, or, if it
// is not honoured, with that field and all below it. Every upstream field has
// exactly one row; pod/spec/upstream counts them.
type row struct {
	path string
	verb verb
	text string // honoured: what it does here; else: why not, and what a cluster would do
	// keys are the steps of docs/steps.md that the field causes; for a field
	// that is refused, values that change nothing here and are let through.
	keys string
	hint string
}

type verb uint8

const (
	honours verb = iota
	notYet       // refused until a later version has it
	never        // refused: ignoring it would change what the pod means
	ignores      // a warning
)

// The rows are kept by topic; all are data, so that nothing runs before main.
var fieldTables = [...][]row{metaFields, podFields, containerFields, volumeFields}

// rowOf finds a field's row. Comparing a few hundred strings, whose lengths
// mostly differ, costs less than making a map at every start.
func rowOf(path string) *row {
	for _, table := range fieldTables {
		for i := range table {
			if table[i].path == path {
				return &table[i]
			}
		}
	}
	return nil
}

// harmless is true for a value that asks for what is done anyway.
func (r *row) harmless(n *node) bool {
	if r.verb == honours || n.class == listClass || n.class == mapClass {
		return false
	}
	for v := range strings.FieldsSeq(r.keys) {
		if n.text == v {
			return true
		}
	}
	return false
}

// message is the text for people, with the words "not supported" for what a
// cluster would take.
func (r *row) message() string {
	switch r.verb {
	case notYet:
		return "not yet supported: " + r.text
	case never:
		return "not supported: " + r.text
	case ignores:
		return "no effect here: " + r.text
	}
	return r.text
}

func (r *row) verdict() Verdict {
	switch r.verb {
	case honours:
		return Honoured
	case ignores:
		return Ignored
	}
	return Refused
}

func (r *row) info() FieldInfo {
	i := FieldInfo{Path: r.path, Verdict: r.verdict()}
	if r.verb == honours {
		i.Doc = r.text
		i.Steps = strings.Fields(r.keys)
	} else {
		i.Reason = r.message()
	}
	return i
}
