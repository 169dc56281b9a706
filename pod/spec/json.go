package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// looksLikeJSON is kubectl's test: the first character is a brace. KYAML begins
// so too, and is read as YAML when it turns out not to be JSON.
func (j *judge) looksLikeJSON() bool {
	return bytes.HasPrefix(bytes.TrimLeft(j.data, " \t\r\n"), []byte("{"))
}

// A jsonReader makes nodes of JSON text. The YAML reader could read most of it,
// but not surrogate pairs, and it takes 1.0 for a whole number.
type jsonReader struct {
	j      *judge
	d      *json.Decoder
	values int
	line   int
	start  int // offset of the line
	seen   int // offset up to which lines are counted
	full   bool
}

// jsonDocuments reads the concatenated objects of the file. Not ok means that
// it is not JSON, and that nothing was reported.
func (j *judge) jsonDocuments() (docs []*node, ok bool) {
	faults := len(j.errs)
	r := &jsonReader{j: j, d: json.NewDecoder(bytes.NewReader(j.data)), line: 1}
	r.d.UseNumber()
	for !r.full {
		t, err := r.d.Token()
		if err == io.EOF {
			return docs, true
		}
		var n *node
		if err == nil {
			n, err = r.value(t, node{}, 0)
		}
		if err != nil {
			j.errs = j.errs[:faults]
			return nil, false
		}
		docs = append(docs, n)
	}
	return nil, true
}

// place sets the position of the token that was just read.
func (r *jsonReader) place(n *node, width int) {
	at := int(r.d.InputOffset()) - width
	for ; r.seen < at; r.seen++ {
		if r.j.data[r.seen] == '\n' {
			r.line++
			r.start = r.seen + 1
		}
	}
	n.line, n.col = r.line, at-r.start+1
}

// value reads the rest of the value that t begins.
func (r *jsonReader) value(t json.Token, at node, depth int) (n *node, err error) {
	n = &at
	r.values++
	switch t := t.(type) {
	case nil:
		r.place(n, len("null"))
	case bool:
		n.class, n.text = boolClass, strconv.FormatBool(t)
		r.place(n, len(n.text))
	case json.Number:
		n.class, n.text = floatClass, t.String()
		if _, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			n.class = intClass
		}
		r.place(n, len(n.text))
	case string:
		n.class, n.text = stringClass, t
		r.place(n, r.quoted())
	case json.Delim:
		r.place(n, 1)
		if depth > maxDepth || r.values > maxValues {
			r.full = true
			r.j.fault(Invalid, n.line, n.col, n.path(), fmt.Sprintf("deeper than %d levels or more than %d values", maxDepth, maxValues), "")
		}
		if t == '{' {
			n.class = mapClass
			err = r.object(n, depth)
		} else {
			n.class = listClass
			err = r.array(n, depth)
		}
	}
	n.raw = n.text
	return n, err
}

// quoted is the width of the string literal that was just read: back from its
// closing quote to the first one that is not escaped.
func (r *jsonReader) quoted() int {
	end := int(r.d.InputOffset())
	for i := end - 2; i > r.seen; i-- {
		if r.j.data[i] != '"' {
			continue
		}
		slashes := 0
		for i-1-slashes >= 0 && r.j.data[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end - i
		}
	}
	return end - r.seen
}

func (r *jsonReader) array(n *node, depth int) error {
	for r.d.More() && !r.full {
		t, err := r.d.Token()
		if err != nil {
			return err
		}
		item, err := r.value(t, node{up: n, index: len(n.items)}, depth+1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	return r.end()
}

func (r *jsonReader) object(n *node, depth int) error {
	seen := &seenSet{}
	for r.d.More() && !r.full {
		t, err := r.d.Token()
		if err != nil {
			return err
		}
		f := field{name: t.(string)}
		at := node{}
		r.place(&at, r.quoted())
		f.line, f.col = at.line, at.col
		if t, err = r.d.Token(); err != nil {
			return err
		}
		if f.value, err = r.value(t, node{up: n, key: f.name}, depth+1); err != nil {
			return err
		}
		if first, dup := seen.add(f.name, f.line); dup {
			r.j.fault(Invalid, f.line, f.col, f.value.path(), fmt.Sprintf("the key is already on line %d", first), "keep one of the two")
			continue
		}
		n.fields = append(n.fields, f)
	}
	return r.end()
}

// end reads the closing brace or bracket.
func (r *jsonReader) end() error {
	if r.full {
		return nil
	}
	_, err := r.d.Token()
	return err
}
