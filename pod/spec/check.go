package spec

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// A checker holds a document against the upstream schema: unknown fields, wrong
// types, and the verdicts of the three lists.
type checker struct {
	*judge
}

// object checks a mapping against a type. pattern is the path as the lists
// spell it, "spec.containers[]"; "" below a field that is not honoured, where
// names and types still count.
func (c checker) object(n *node, typ, pattern string, judged bool) {
	if !c.want(n, mapClass, "a mapping") {
		return
	}
	fs := fieldsOf(typ)
	for i := range n.fields {
		f := &n.fields[i]
		kind := kindIn(fs, f.name)
		if kind == "" {
			if !c.talkative() {
				c.fault(Invalid, f.line, f.col, join(n.path(), f.name), "unknown field", suggest(f.name, fs))
			}
			continue
		}
		at, parts := "", false
		if judged {
			at = f.name
			if pattern != "" {
				at = pattern + "." + f.name
			}
			parts = c.verdict(f, at)
		}
		c.value(f.value, kind, at, parts)
	}
}

// verdict looks a field up in the lists and says whether its parts are listed
// too. Empty values and those that say what is done anyway cause no message.
func (c checker) verdict(f *field, pattern string) bool {
	row := rowOf(pattern)
	if row == nil || row.verb == honours {
		return true
	}
	if f.value.empty() || row.harmless(f.value) || pattern == hostPort && samePort(f.value) {
		return false
	}
	if pattern == "spec.containers[].image" && c.o.RootfsGiven {
		c.warn(f, "the image is not used: every container gets the root file system of --rootfs")
	} else if row.verdict() == Refused {
		c.unsupported(f, row.message(), row.hint)
	} else {
		c.warn(f, row.message())
	}
	return false
}

const hostPort = "spec.containers[].ports[].hostPort"

// samePort is true for a hostPort that hostNetwork gives anyway: the API server
// writes it into the pods that it stores.
func samePort(n *node) bool {
	port := n.up
	spec := port.up.up.up.up // ports, container, containers
	return spec.get("hostNetwork").yes() && port.get("containerPort").str() == n.text
}

// value checks a value against a kind of the schema.
func (c checker) value(n *node, kind, pattern string, judged bool) {
	if n.class == nullClass || n.wrong {
		return // null is as good as absent
	}
	switch kind {
	case "any":
	case "string":
		c.text(n)
	case "bool":
		c.boolean(n)
	case "int32":
		c.integer(n, math.MinInt32, math.MaxInt32)
	case "int64":
		c.integer(n, math.MinInt64, math.MaxInt64)
	case "intstr":
		if n.class != stringClass {
			c.integer(n, math.MinInt32, math.MaxInt32)
		}
	case "quantity":
		c.quantity(n)
	case "time":
		c.time(n)
	case "bytes":
		c.bytes(n)
	default:
		c.composite(n, kind, pattern, judged)
	}
}

func (c checker) composite(n *node, kind, pattern string, judged bool) {
	switch {
	case strings.HasPrefix(kind, "[]"):
		if !c.want(n, listClass, "a list") {
			return
		}
		for _, item := range n.items {
			c.value(item, kind[2:], pattern+"[]", judged)
		}
	case strings.HasPrefix(kind, "{}"):
		if !c.want(n, mapClass, "a mapping") {
			return
		}
		for i := range n.fields {
			c.value(n.fields[i].value, kind[2:], "", false)
		}
	default:
		c.object(n, kind, pattern, judged)
	}
}

func (c checker) want(n *node, cl class, name string) bool {
	if n.class == cl {
		return true
	}
	hint := ""
	switch {
	case cl == listClass && n.class == stringClass:
		hint = "write [" + quote(n.text) + "]"
	case cl == listClass && n.class == mapClass:
		hint = "begin each item with \"- \""
	case cl == mapClass && n.class == listClass:
		hint = "leave out the \"- \""
	}
	c.invalid(n, "want "+name+", have "+n.describe(), hint)
	return false
}

func (c checker) text(n *node) {
	switch n.class {
	case stringClass:
	case boolClass, intClass, floatClass:
		c.invalid(n, "want a string, have "+n.describe(), "write "+quote(n.raw))
	default:
		c.want(n, stringClass, "a string")
	}
}

func (c checker) boolean(n *node) {
	if n.class == boolClass {
		return
	}
	hint := ""
	if cl, text := scalar(n.text); n.class == stringClass && cl == boolClass {
		hint = "write " + text + " without quotes"
	}
	c.invalid(n, "want true or false, have "+n.describe(), hint)
}

func (c checker) integer(n *node, least, most int64) {
	i, err := strconv.ParseInt(n.text, 10, 64)
	switch {
	case n.class == stringClass && err == nil:
		c.invalid(n, "want a whole number, have "+n.describe(), "write "+n.text+" without quotes")
	case n.class != intClass && n.class != floatClass:
		c.invalid(n, "want a whole number, have "+n.describe(), "")
	case n.class == floatClass && err != nil:
		c.invalid(n, "want a whole number, have "+n.describe(), "")
	case err != nil || i < least || i > most:
		c.invalid(n, "the number "+quoteless(n.raw)+" does not fit into "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10), "")
	}
}

func (c checker) quantity(n *node) {
	if n.class == boolClass || n.class == listClass || n.class == mapClass {
		c.invalid(n, "want a quantity, have "+n.describe(), "")
	} else if _, err := ParseQuantity(n.text); err != nil {
		c.invalid(n, "want a quantity, have "+n.describe(), quantityHint(n.text))
	}
}

func (c checker) time(n *node) {
	if n.class != stringClass {
		c.want(n, stringClass, "a time")
	} else if _, err := time.Parse(time.RFC3339, n.text); err != nil && n.text != "" {
		c.invalid(n, "want a time, have "+n.describe(), "write it as 2006-01-02T15:04:05Z")
	}
}

// bytes are base64 in a manifest.
func (c checker) bytes(n *node) {
	if n.class != stringClass {
		c.text(n)
	} else if _, err := base64.StdEncoding.DecodeString(n.text); err != nil {
		c.invalid(n, "want base64", "encode the value, or put it under stringData")
	}
}
