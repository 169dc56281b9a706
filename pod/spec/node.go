package spec

import "strconv"

// A node is a value of a manifest after aliases, merge keys and scalar types
// are resolved: what the API server would see as JSON, with its place.
type node struct {
	class     class
	text      string  // scalars: the JSON form without quotes
	raw       string  // scalars: as written
	fields    []field // mappings, in the order written
	items     []*node // lists
	line, col int
	up        *node  // the mapping or list it is in
	key       string // its name there, if up is a mapping
	index     int    // its number there, if up is a list
	wrong     bool   // a fault was reported: nothing more is said about it
}

type field struct {
	name      string
	line, col int
	value     *node
}

type class uint8

const (
	nullClass class = iota
	boolClass
	intClass
	floatClass
	stringClass
	listClass
	mapClass
)

// look finds a field's value even if it is null or wrong.
func (n *node) look(name string) *field {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].name == name {
			return &n.fields[i]
		}
	}
	return nil
}

// get is the value of a field that is set to something usable, or nil. Like all
// readers of nodes it may be called on nil, so that paths can be chained.
func (n *node) get(name string) *node {
	f := n.look(name)
	if f == nil || f.value.class == nullClass || f.value.wrong {
		return nil
	}
	return f.value
}

// list is the items of a field.
func (n *node) list(name string) []*node {
	if v := n.get(name); v != nil {
		return v.items
	}
	return nil
}

// str is the text of a scalar, "" for nil.
func (n *node) str() string {
	if n == nil || n.wrong {
		return ""
	}
	return n.text
}

// num is the value of a whole number.
func (n *node) num() int64 {
	i, _ := strconv.ParseInt(n.str(), 10, 64)
	return i
}

// yes is true for a boolean that is set and true.
func (n *node) yes() bool { return n != nil && n.class == boolClass && n.text == "true" }

// empty is true for what says nothing: null, "", {} and [].
func (n *node) empty() bool {
	switch n.class {
	case nullClass:
		return true
	case stringClass:
		return n.text == ""
	case listClass:
		return len(n.items) == 0
	case mapClass:
		return len(n.fields) == 0
	}
	return false
}

// path is where a node is, as "spec.containers[0].name".
func (n *node) path() string {
	if n == nil || n.up == nil {
		return ""
	}
	p := n.up.path()
	if n.up.class == listClass {
		return p + "[" + strconv.Itoa(n.index) + "]"
	}
	return join(p, n.key)
}

// join appends a field to a path; a key that could be mistaken is quoted.
func join(path, key string) string {
	for i := range len(key) {
		c := key[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if i == 0 || c < '0' || c > '9' {
				return path + "[" + quote(key) + "]"
			}
		}
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// quote shows a user's text safely: no control codes, and not for ever.
func quote(s string) string {
	if len(s) > 80 {
		cut := 77
		for cut > 0 && s[cut]&0xC0 == 0x80 {
			cut--
		}
		s = s[:cut] + "..."
	}
	return strconv.Quote(s)
}

// describe names what a node is, for "want a list, have ...".
func (n *node) describe() string {
	switch n.class {
	case nullClass:
		return "nothing"
	case boolClass:
		return "the boolean " + n.raw
	case intClass, floatClass:
		return "the number " + quoteless(n.raw)
	case listClass:
		return "a list"
	case mapClass:
		return "a mapping"
	}
	return "the string " + quote(n.text)
}

func quoteless(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}
