package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestStyle holds the rules of CONTRIBUTING.md that a machine can see.
func TestStyle(t *testing.T) {
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || hasGoMod(name)) {
			return filepath.SkipDir
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "_test"), "_linux") {
			t.Errorf("%s: the module is for Linux only: drop the suffix", name)
		}
		if n := bytes.Count(src, []byte("\n")); n > 400 {
			t.Errorf("%s: %d lines, want 400 at most", name, n)
		}
		f, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		for _, fault := range styleFaults(set, f, name) {
			t.Error(fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func hasGoMod(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// styleFaults returns what is wrong in one file.
func styleFaults(set *token.FileSet, f *ast.File, name string) (faults []string) {
	name = filepath.ToSlash(name)
	fault := func(pos token.Pos, msg string) {
		faults = append(faults, set.Position(pos).String()+": "+msg)
	}
	isTest := strings.HasSuffix(name, "_test.go")
	inStage := strings.HasPrefix(name, "ns/stage/")
	isMain := name == "main.go" || name == "internal/bench/main.go"
	for _, group := range f.Comments {
		for _, mark := range []string{"TO" + "DO", "FIX" + "ME", "XX" + "X"} {
			if strings.Contains(group.Text(), mark) {
				fault(group.Pos(), "an unfinished mark")
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil && !inStage {
				fault(n.Pos(), "an init() beside the stage's")
			}
			if lines := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1; lines > 60 && !isTest {
				fault(n.Pos(), "func "+n.Name.Name+" is longer than 60 lines")
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch call := pkg.Name + "." + n.Sel.Name; call {
			case "time.Sleep":
				fault(n.Pos(), "time.Sleep: wait for the event itself")
			case "os.Exit":
				if !isMain && !inStage && !isTest {
					fault(n.Pos(), "os.Exit outside main.go and ns/stage")
				}
			case "os.Stdout", "os.Stderr", "fmt.Print", "fmt.Printf", "fmt.Println", "log.Print", "log.Printf", "log.Fatal", "log.Fatalf":
				if !isMain && !strings.HasPrefix(name, "internal/cli/") && !inStage && !isTest {
					fault(n.Pos(), call+" outside internal/cli")
				}
			case "t.Skip", "t.Skipf", "t.SkipNow", "tb.Skip", "tb.Skipf", "b.Skip", "b.Skipf":
				if !strings.HasPrefix(name, "internal/testenv/") {
					fault(n.Pos(), call+": skip through testenv.Need, which PODLAB_MUST turns into a failure")
				}
			}
		}
		return true
	})
	return faults
}

// The test of the test.
func TestStyleFinds(t *testing.T) {
	for src, want := range map[string]string{
		"package p\nfunc init() {}\n":                                              "init()",
		"package p\nimport \"time\"\nfunc f() { time.Sleep(1) }\n":                 "time.Sleep",
		"package p\nimport \"os\"\nfunc f() { os.Exit(1) }\n":                      "os.Exit",
		"package p\nimport \"fmt\"\nfunc f() { fmt.Println() }\n":                  "outside internal/cli",
		"package p\n// TO" + "DO: later\nfunc f() {}\n":                            "unfinished",
		"package p\nimport \"testing\"\nfunc f(t *testing.T) { t.Skip(\"no\") }\n": "testenv.Need",
		"package p\nfunc f() {" + strings.Repeat("\n", 60) + "}\n":                 "longer than 60",
		"package p\nfunc f() {}\n":                                                 "",
	} {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, "pod/x.go", src, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(styleFaults(set, f, "pod/x.go"), "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", src, got, want)
		}
	}
}
