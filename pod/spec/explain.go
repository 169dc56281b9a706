package spec

import (
	"regexp"
	"slices"
	"strings"
)

// A Verdict is what podlab does with a field of the upstream Pod type.
type Verdict uint8

const (
	Honoured Verdict = iota
	Refused          // an error: ignoring it would change what the pod means
	Ignored          // a warning: it has no effect on one machine
)

func (v Verdict) String() string { return [...]string{"honoured", "refused", "ignored"}[v] }

// A FieldInfo is what podlab explain prints of a field.
type FieldInfo struct {
	Path    string // "spec.containers[].command"
	Verdict Verdict
	Reason  string   // why it is refused or ignored
	Doc     string   // one line: what it does here
	Steps   []string // keys of docs/steps.md that it causes
}

// Fields lists all, by path. A field that is not honoured stands for all below it.
func Fields() []FieldInfo {
	var all []FieldInfo
	for _, table := range fieldTables {
		for i := range table {
			all = append(all, table[i].info())
		}
	}
	slices.SortFunc(all, func(a, b FieldInfo) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// Explain finds a field by its path: with indices, with [] or without, with
// "pod." before it, or by its last names alone, when the shortest path that has them is
// meant. A field below one that is not honoured has that one's verdict.
func Explain(name string) (FieldInfo, bool) {
	name = regexp.MustCompile(`\[[^]]*\]`).ReplaceAllString(name, "")
	name = strings.TrimPrefix(strings.ToLower(strings.Trim(name, ". ")), "pod.")
	if path, row := follow(strings.Split(name, ".")); row != nil {
		info := row.info()
		info.Path = path
		return info, true
	}
	var found []FieldInfo
	for _, f := range Fields() {
		bare := strings.ToLower(strings.ReplaceAll(f.Path, "[]", ""))
		if strings.HasSuffix(bare, "."+name) {
			found = append(found, f)
		}
	}
	// "hostPath" is the volume, not something deeper of the same name.
	slices.SortStableFunc(found, func(a, b FieldInfo) int { return len(a.Path) - len(b.Path) })
	if len(found) == 0 || name == "" {
		return FieldInfo{}, false
	}
	return found[0], true
}

// follow walks the upstream type along names in lower case, and returns the
// path in its proper spelling and the row that covers it.
func follow(names []string) (path string, covers *row) {
	typ := "Pod"
	for i, name := range names {
		kind := ""
		for _, f := range fieldsOf(typ) {
			if strings.ToLower(f.name) == name {
				path, kind = strings.TrimPrefix(path+"."+f.name, "."), f.kind
			}
		}
		if kind == "" {
			return "", nil
		}
		if r := rowOf(path); r != nil {
			covers = r
		}
		typ = strings.TrimLeft(kind, "[]{}")
		if i < len(names)-1 && strings.HasPrefix(kind, "[]") {
			path += "[]"
		}
		if strings.HasPrefix(kind, "{}") {
			return path, covers // labels.app: the key is the user's
		}
	}
	return path, covers
}
