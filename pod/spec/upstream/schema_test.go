package upstream

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var update = flag.Bool("update", false, "write ../schema.txt")

// TestSchema keeps ../schema.txt, from which pod/spec knows every field of the
// three kinds it reads, equal to the upstream types.
func TestSchema(t *testing.T) {
	want := schema(corev1.Pod{}, corev1.ConfigMap{}, corev1.Secret{})
	if *update {
		if err := os.WriteFile("../schema.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("../schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("../schema.txt differs from k8s.io/api: run with -update and judge the new fields")
	}
}

// A line per type: its name, then field:kind for each of its JSON fields.
func schema(roots ...any) string {
	var todo []reflect.Type
	for _, r := range roots {
		todo = append(todo, reflect.TypeOf(r))
	}
	done := map[string]reflect.Type{}
	var b strings.Builder
	for len(todo) > 0 {
		t := todo[0]
		todo = todo[1:]
		if old, ok := done[t.Name()]; ok {
			if old != t {
				panic("two types are called " + t.Name())
			}
			continue
		}
		done[t.Name()] = t
		b.WriteString(t.Name())
		for _, f := range jsonFields(t) {
			kind, next := kindOf(f.Type)
			fmt.Fprintf(&b, " %s:%s", f.JSON, kind)
			if next != nil {
				todo = append(todo, next)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

type jsonField struct {
	JSON, Go string
	Type     reflect.Type
	Tag      string
}

// jsonFields lists a struct's fields as encoding/json sees them.
func jsonFields(t reflect.Type) []jsonField {
	var all []jsonField
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			all = append(all, jsonFields(f.Type)...)
		default:
			all = append(all, jsonField{name, f.Name, f.Type, f.Tag.Get("json")})
		}
	}
	return all
}

var special = map[reflect.Type]string{
	reflect.TypeFor[resource.Quantity]():    "quantity",
	reflect.TypeFor[intstr.IntOrString]():   "intstr",
	reflect.TypeFor[metav1.Time]():          "time",
	reflect.TypeFor[metav1.MicroTime]():     "time",
	reflect.TypeFor[metav1.FieldsV1]():      "any",
	reflect.TypeFor[runtime.RawExtension](): "any",
	reflect.TypeFor[[]byte]():               "bytes",
}

// kindOf names a type as schema.txt does, and the struct it leads to.
func kindOf(t reflect.Type) (string, reflect.Type) {
	if s, ok := special[t]; ok {
		return s, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Slice:
		k, next := kindOf(t.Elem())
		return "[]" + k, next
	case reflect.Map:
		k, next := kindOf(t.Elem())
		return "{}" + k, next
	case reflect.Struct:
		return t.Name(), t
	default:
		return t.Kind().String(), nil
	}
}
