package spec

import (
	"encoding/base64"
	"reflect"
	"strconv"
	"strings"
)

// decode fills a struct of types.go from a node that was checked. Fields that
// the struct has not are those that podlab does not honour.
func decode(n *node, into any) { fill(n, reflect.ValueOf(into).Elem()) }

func fill(n *node, v reflect.Value) {
	if n == nil || n.wrong || n.class == nullClass {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(n, v.Elem())
	case reflect.String:
		v.SetString(n.text)
	case reflect.Bool:
		v.SetBool(n.text == "true")
	case reflect.Int32, reflect.Int64:
		i, _ := strconv.ParseInt(n.text, 10, 64)
		v.SetInt(i)
	case reflect.Slice:
		fillSlice(n, v)
	case reflect.Map:
		fillMap(n, v)
	case reflect.Struct:
		if q, ok := v.Addr().Interface().(*Quantity); ok {
			*q, _ = ParseQuantity(n.text)
			return
		}
		fillStruct(n, v)
	}
}

func fillSlice(n *node, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b, _ := base64.StdEncoding.DecodeString(n.text)
		v.SetBytes(b)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		fill(item, v.Index(i))
	}
}

func fillMap(n *node, v reflect.Value) {
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.fields)))
	for _, f := range n.fields {
		e := reflect.New(v.Type().Elem()).Elem()
		fill(f.value, e)
		v.SetMapIndex(reflect.ValueOf(f.name), e)
	}
}

func fillStruct(n *node, v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" { // embedded
			fillStruct(n, v.Field(i))
		} else if value := n.get(name); value != nil {
			fill(value, v.Field(i))
		}
	}
}
