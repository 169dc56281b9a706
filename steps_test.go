package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/podlab/podlab/docs"
)

// Every key that a step can have is a heading of docs/steps.md, and every
// heading is a key. Keys are read from the sources of the plan, so that one
// that no example needs is seen as well.
func TestStepsAreExplained(t *testing.T) {
	keys := map[string]string{}
	for _, pattern := range []string{"pod/*.go", "ns/*.go", "cgroup/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") && !strings.HasPrefix(file, "ns/probe") {
				collectKeys(t, file, keys)
			}
		}
	}
	if len(keys) < 30 {
		t.Fatalf("%d keys: the search finds too few", len(keys))
	}
	explained := docs.Steps()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if _, ok := explained[key]; !ok {
			t.Errorf("%s: docs/steps.md has no section %q", keys[key], key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(explained)) {
		if _, ok := keys[key]; !ok {
			t.Errorf("docs/steps.md: no step has the key %q", key)
		}
	}
}

// collectKeys finds s.add(KEY, …), key(WHAT) for the steps of a volume,
// Step{KEY, …} and Key: KEY in a Step or StepError.
func collectKeys(t *testing.T, file string, keys map[string]string) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := func(e ast.Expr, prefix string) {
		text, ok := leftmost(e)
		text, _, _ = strings.Cut(text, "[")
		if ok && text != "" && !strings.HasSuffix(text, ".") {
			keys[prefix+text] = set.Position(e.Pos()).String()
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			switch fn := n.Fun.(type) {
			case *ast.SelectorExpr:
				if fn.Sel.Name == "add" && len(n.Args) == 2 {
					found(n.Args[0], "")
				}
			case *ast.Ident:
				if fn.Name == "key" && len(n.Args) == 1 {
					found(n.Args[0], "volume.")
				}
			}
		case *ast.CompositeLit:
			typ := n.Type
			if a, ok := typ.(*ast.ArrayType); ok { // []Step{{KEY, …}, …}
				for _, e := range n.Elts {
					if c, ok := e.(*ast.CompositeLit); ok && c.Type == nil && isStep(a.Elt) {
						stepKey(c, found)
					}
				}
			} else if isStep(typ) {
				stepKey(n, found)
			}
		}
		return true
	})
}

func isStep(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Step" || e.Name == "StepError"
	case *ast.SelectorExpr:
		return e.Sel.Name == "Step" || e.Sel.Name == "StepError"
	}
	return false
}

func stepKey(c *ast.CompositeLit, found func(ast.Expr, string)) {
	for i, e := range c.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); !ok && i == 0 {
			found(e, "")
		} else if ok {
			if name, isIdent := kv.Key.(*ast.Ident); isIdent && name.Name == "Key" {
				found(kv.Value, "")
			}
		}
	}
}

// leftmost is the string that an expression like "a.b[" + name + "]" begins with.
func leftmost(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		return leftmost(e.X)
	}
	return "", false
}
