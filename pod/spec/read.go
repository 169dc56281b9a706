package spec

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Limits on one file. A manifest is untrusted text: without them a few hundred
// bytes of aliases are gigabytes of values.
const (
	maxFile   = 3 << 20 // what the API server reads of a request
	maxMarks  = 600_000 // structural characters, before anything is parsed
	maxValues = 250_000 // values after aliases are expanded
	maxDepth  = 100
)

// reader makes nodes of the documents of one file.
type reader struct {
	j      *judge
	values int
	full   bool // a limit was met and reported
}

// documents parses a file into the root nodes of its documents; empty ones are
// left out.
func (j *judge) documents() (docs []*node) {
	if !j.acceptable() {
		return nil
	}
	if j.looksLikeJSON() {
		if docs, ok := j.jsonDocuments(); ok {
			return docs
		}
	}
	r := &reader{j: j}
	d := yaml.NewDecoder(bytes.NewReader(j.data))
	for {
		root, err := parseOne(d)
		if err == io.EOF {
			return docs
		}
		if err != nil {
			j.syntax(err)
			return docs
		}
		n := r.node(root.Content[0], node{}, 0)
		if r.full {
			return nil // half a document says nothing
		}
		if n.class != nullClass {
			docs = append(docs, n)
		}
	}
}

// parseOne reads one document. The parser reports most faults as errors; for
// hostile input it has been known to panic.
func parseOne(d *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	root = new(yaml.Node)
	if err := d.Decode(root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 {
		return nil, io.EOF
	}
	return root, nil
}

// node resolves one YAML node; at says where it hangs. Its place is that of the
// text that wrote it, also if an alias brought it here.
func (r *reader) node(y *yaml.Node, at node, depth int) *node {
	n := &at
	n.line, n.col = y.Line, y.Column
	r.values++
	switch {
	case r.full:
		return n
	case r.values > maxValues:
		r.stop(n, fmt.Sprintf("more than %d values once aliases are expanded", maxValues))
		return n
	case depth > maxDepth:
		r.stop(n, fmt.Sprintf("nested deeper than %d levels, or an alias that contains itself", maxDepth))
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return r.node(y.Alias, at, depth+1)
	case yaml.SequenceNode:
		n.class = listClass
		n.items = make([]*node, 0, len(y.Content))
		for i, c := range y.Content {
			n.items = append(n.items, r.node(c, node{up: n, index: i}, depth+1))
		}
	case yaml.MappingNode:
		n.class = mapClass
		n.fields = make([]field, 0, len(y.Content)/2)
		r.mapping(y, n, depth)
	case yaml.ScalarNode:
		r.scalar(y, n)
	}
	return n
}

func (r *reader) stop(n *node, msg string) {
	if !r.full {
		r.full = true
		path := n.path()
		if len(path) > 60 {
			path = path[:60] + "..."
		}
		r.j.fault(Invalid, n.line, n.col, path, msg, "")
	}
}

// mapping fills n with the pairs of y. Merge keys come last: what the mapping
// itself says wins.
func (r *reader) mapping(y *yaml.Node, n *node, depth int) {
	seen := &seenSet{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content) && !r.full; i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
			merges = append(merges, v)
			continue
		}
		name, ok := r.key(k, n)
		if !ok {
			continue
		}
		if first, dup := seen.add(name, k.Line); dup {
			r.j.fault(Invalid, k.Line, k.Column, join(n.path(), name),
				fmt.Sprintf("the key is already on line %d", first), "keep one of the two")
			continue
		}
		r.add(n, name, k, v, depth)
	}
	for _, m := range merges {
		r.merge(m, n, seen, depth+1)
	}
}

func (r *reader) add(n *node, name string, k, v *yaml.Node, depth int) {
	value := r.node(v, node{up: n, key: name}, depth+1)
	n.fields = append(n.fields, field{name, k.Line, k.Column, value})
}

// key is the text of a mapping key; numbers and booleans are keys in their
// JSON form, as kubectl makes them.
func (r *reader) key(k *yaml.Node, in *node) (string, bool) {
	if k.Kind == yaml.ScalarNode {
		n := &node{line: k.Line, col: k.Column, up: in}
		if r.scalar(k, n); n.class != nullClass {
			return n.text, true
		}
	}
	r.j.fault(Invalid, k.Line, k.Column, in.path(), "want a name before the colon", "")
	return "", false
}

// merge adds the pairs of "<<: *anchor" that n has not.
func (r *reader) merge(y *yaml.Node, n *node, seen *seenSet, depth int) {
	if depth > maxDepth {
		r.stop(n, "merge keys nested too deep")
	}
	if r.values++; r.full || r.values > maxValues {
		return
	}
	switch y.Kind {
	case yaml.AliasNode:
		r.merge(y.Alias, n, seen, depth+1)
	case yaml.SequenceNode:
		for _, c := range y.Content {
			r.merge(c, n, seen, depth+1)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(y.Content) && !r.full; i += 2 {
			k, v := y.Content[i], y.Content[i+1]
			if k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
				r.merge(v, n, seen, depth+1)
				continue
			}
			if name, ok := r.key(k, n); ok {
				if _, dup := seen.add(name, k.Line); !dup {
					r.add(n, name, k, v, depth)
				}
			}
		}
	default:
		r.j.fault(Invalid, y.Line, y.Column, n.path(), "want a mapping or an alias of one after <<", "")
	}
}

// scalar sets class and text by the rules of kubectl's YAML.
func (r *reader) scalar(y *yaml.Node, n *node) {
	n.raw, n.class, n.text = y.Value, stringClass, y.Value
	quoted := y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	tag := ""
	if y.Style&yaml.TaggedStyle != 0 {
		tag = y.Tag
	}
	switch tag {
	case "":
		if !quoted {
			n.class, n.text = scalar(y.Value)
		}
	case "!!str":
	case "!!binary":
		b, err := base64.StdEncoding.DecodeString(y.Value)
		if err != nil {
			r.wrong(n, "want base64 after !!binary")
		}
		n.text = string(b)
	case "!!int", "!!float", "!!bool", "!!null":
		n.class, n.text = scalar(y.Value)
		if want := tagClass(tag); n.class != want && (want != floatClass || n.class != intClass) {
			r.wrong(n, "the value does not fit its tag "+tag)
		}
	}
	if n.class == floatClass && (n.text == "NaN" || n.text == "Inf") {
		r.wrong(n, "want a finite number, have "+n.raw)
	}
}

func (r *reader) wrong(n *node, msg string) {
	n.wrong = true
	r.j.fault(Invalid, n.line, n.col, n.path(), msg, "")
}

func tagClass(tag string) class {
	switch tag {
	case "!!int":
		return intClass
	case "!!float":
		return floatClass
	case "!!bool":
		return boolClass
	}
	return nullClass
}

// A seenSet remembers keys: a slice while they are few, then a map.
type seenSet struct {
	few  []seenKey
	many map[string]int
}

type seenKey struct {
	name string
	line int
}

// add says on which line a key was seen before.
func (s *seenSet) add(name string, line int) (int, bool) {
	if s.many == nil {
		for _, k := range s.few {
			if k.name == name {
				return k.line, true
			}
		}
		if s.few = append(s.few, seenKey{name, line}); len(s.few) < 32 {
			return 0, false
		}
		s.many = map[string]int{}
		for _, k := range s.few {
			s.many[k.name] = k.line
		}
		return 0, false
	}
	if first, ok := s.many[name]; ok {
		return first, true
	}
	s.many[name] = line
	return 0, false
}
