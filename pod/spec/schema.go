package spec

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// schema.txt has a line per upstream type: its name, then field:kind for each
// field. pod/spec/upstream makes it from k8s.io/api and keeps it equal. Lines
// are read when a manifest first needs them: a small pod needs a dozen.
//
//go:embed schema.txt
var schemaText string

var schema struct {
	sync.Mutex
	types map[string][]schemaField
}

// A schemaField's kind is string, bool, int32, int64, quantity, intstr, time,
// bytes, any, the name of a type, or "[]" or "{}" (a mapping from names) and one.
type schemaField struct{ name, kind string }

// fieldsOf lists the fields of an upstream type.
func fieldsOf(typ string) []schemaField {
	schema.Lock()
	defer schema.Unlock()
	if fs, ok := schema.types[typ]; ok {
		return fs
	}
	var line string
	if strings.HasPrefix(schemaText, typ+" ") {
		line = schemaText[len(typ)+1:]
	} else if _, after, ok := strings.Cut(schemaText, "\n"+typ+" "); ok {
		line = after
	}
	line, _, _ = strings.Cut(line, "\n")
	fs := make([]schemaField, 0, strings.Count(line, ":"))
	for word := range strings.SplitSeq(line, " ") {
		if name, kind, ok := strings.Cut(word, ":"); ok {
			fs = append(fs, schemaField{name, kind})
		}
	}
	if schema.types == nil {
		schema.types = map[string][]schemaField{}
	}
	schema.types[typ] = fs
	return fs
}

// kindIn is the kind of a type's field, "" if it has none of that name.
func kindIn(fs []schemaField, name string) string {
	for i := range fs {
		if fs[i].name == name {
			return fs[i].kind
		}
	}
	return ""
}

// homes are the types whose fields people put one level too high or too low.
var homes = [...]struct{ typ, path string }{
	{"ObjectMeta", "metadata"},
	{"PodSpec", "spec"},
	{"Container", "spec.containers[]"},
	{"PodSecurityContext", "spec.securityContext"},
	{"SecurityContext", "spec.containers[].securityContext"},
	{"Volume", "spec.volumes[]"},
	{"VolumeMount", "spec.containers[].volumeMounts[]"},
}

// suggest is the hint for an unknown field: a name like it in the same type, or
// the place where there is one of that name.
func suggest(name string, fs []schemaField) string {
	best, distance := "", len(name)/3+1
	for _, f := range fs {
		if strings.EqualFold(f.name, name) {
			return "did you mean " + f.name + "?"
		}
		if d := editDistance(strings.ToLower(name), strings.ToLower(f.name), distance); d <= distance {
			if best == "" || d < distance {
				best, distance = f.name, d
			}
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	for _, h := range homes {
		if kindIn(fieldsOf(h.typ), name) != "" {
			return name + " is a field of " + h.path
		}
	}
	return ""
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours; more than most is as good as infinite.
func editDistance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most || len(a) > 64 {
		return most + 1
	}
	var before []int
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for k := 1; k <= len(b); k++ {
			cost := 1
			if a[i-1] == b[k-1] {
				cost = 0
			}
			next[k] = min(row[k]+1, next[k-1]+1, row[k-1]+cost)
			if i > 1 && k > 1 && a[i-1] == b[k-2] && a[i-2] == b[k-1] {
				next[k] = min(next[k], before[k-2]+1)
			}
		}
		before, row = row, slices.Clone(next)
	}
	return row[len(b)]
}
