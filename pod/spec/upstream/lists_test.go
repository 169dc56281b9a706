package upstream

import (
	"reflect"
	"strings"
	"testing"

	"github.com/podlab/podlab/pod/spec"
	corev1 "k8s.io/api/core/v1"
)

// TestTypes: each field that our structs have, upstream's has too, with the
// same Go name, JSON name and kind.
func TestTypes(t *testing.T) {
	same(t, "Pod", reflect.TypeFor[spec.Pod](), reflect.TypeFor[corev1.Pod]())
	same(t, "ConfigMap", reflect.TypeFor[spec.ConfigMap](), reflect.TypeFor[corev1.ConfigMap]())
	same(t, "Secret", reflect.TypeFor[spec.Secret](), reflect.TypeFor[corev1.Secret]())
}

func same(t *testing.T, path string, ours, theirs reflect.Type) {
	if ours == reflect.TypeFor[spec.Quantity]() {
		if special[theirs] != "quantity" {
			t.Errorf("%s is a Quantity, upstream's is a %v", path, theirs)
		}
		return
	}
	if ours.Kind() != theirs.Kind() {
		t.Errorf("%s is a %v, upstream's is a %v", path, ours, theirs)
		return
	}
	switch ours.Kind() {
	case reflect.Pointer, reflect.Slice:
		same(t, path, ours.Elem(), theirs.Elem())
	case reflect.Map:
		same(t, path, ours.Key(), theirs.Key())
		same(t, path, ours.Elem(), theirs.Elem())
	case reflect.Struct:
		if ours.Name() != theirs.Name() {
			t.Errorf("%s is a %s, upstream's is a %s", path, ours.Name(), theirs.Name())
		}
		for _, f := range jsonFields(ours) {
			found := false
			for _, g := range jsonFields(theirs) {
				if f.JSON != g.JSON {
					continue
				}
				found = true
				// omitzero tells encoding/json nothing that concerns a reader.
				if f.Go != g.Go || strings.Contains(f.Tag, "omitempty") != strings.Contains(g.Tag, "omitempty") {
					t.Errorf("%s.%s: %s `%s`, upstream's is %s `%s`", path, f.JSON, f.Go, f.Tag, g.Go, g.Tag)
				}
				same(t, path+"."+f.JSON, f.Type, g.Type)
			}
			if !found {
				t.Errorf("%s.%s: upstream has no such field", path, f.JSON)
			}
		}
	}
}

// TestLists: every field of the upstream Pod is in exactly one of the lists,
// itself if it is honoured, else itself or one that it is below; and no list
// names a field that upstream has not.
func TestLists(t *testing.T) {
	rows := map[string]spec.FieldInfo{}
	for _, f := range spec.Fields() {
		if _, twice := rows[f.Path]; twice {
			t.Errorf("%s is listed twice", f.Path)
		}
		rows[f.Path] = f
	}
	used := map[string]bool{}
	var walk func(path string, typ reflect.Type, above string)
	walk = func(path string, typ reflect.Type, above string) {
		for _, f := range jsonFields(typ) {
			at := strings.TrimPrefix(path+"."+f.JSON, ".")
			row, listed := rows[at]
			covered := above
			switch {
			case listed && above != "":
				t.Errorf("%s is listed, and so is %s above it, which is not honoured", at, above)
			case !listed && above == "":
				t.Errorf("%s is in no list", at)
			case listed && row.Verdict != spec.Honoured:
				covered = at
			}
			used[at] = true
			if kind, next := kindOf(f.Type); next != nil && covered == "" {
				if strings.HasPrefix(kind, "[]") {
					at += "[]"
				}
				walk(at, next, covered)
			}
		}
	}
	walk("", reflect.TypeFor[corev1.Pod](), "")
	for path := range rows {
		if !used[path] {
			t.Errorf("%s is listed, and upstream has no such field", path)
		}
	}
	if len(used) < 200 {
		t.Errorf("walked %d fields, want the whole type", len(used))
	}
}
