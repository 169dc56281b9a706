package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

const module = "github.com/podlab/podlab"

// arrows says which parts a part may import. A part is a folder with all that
// lies under it and isn't a part of its own; importing inside a part is its
// own affair. docs/architecture.md draws the same picture.
var arrows = map[string][]string{
	".":                  {"internal/cli", "ns/stage"},
	"internal/cli":       {"internal/lesson", "internal/matrix", "internal/inventory", "docs", "examples", "pod", "pod/spec", "cgroup", "ns", "ipc"},
	"internal/lesson":    {},
	"internal/matrix":    {"ipc"},
	"internal/inventory": {"ipc", "pod", "pod/spec", "ns", "cgroup"},
	"docs":               {},
	"examples":           {},
	"pod":                {"pod/spec", "cgroup", "ns"},
	"pod/spec":           {},
	"cgroup":             {},
	"ns":                 {},
	"ns/stage":           {"ns"},
	"ipc":                {},
	// Not for podlab itself.
	"internal/testenv": {},
	"internal/bench":   {"ipc"}, // a program of its own, that runs programs, and plays with ipc
}

// testArrows are open to every test: one that runs a pod needs a stage in its
// binary, and the examples are pods to run.
var testArrows = []string{"ns/stage", "internal/testenv", "examples"}

// outside says which modules a part may import; the others get by on the
// standard library and x/sys.
var outside = map[string][]string{
	"internal/cli": {"github.com/urfave/cli/v2", "golang.org/x/term"},
	"pod":          {"github.com/moby/sys/mountinfo", "github.com/vishvananda/netlink"},
	"ns":           {"github.com/moby/sys/mountinfo", "github.com/vishvananda/netlink"},
	"cgroup":       {"github.com/moby/sys/mountinfo"},
	"pod/spec":     {"go.yaml.in/yaml/v3"},
}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

func goList(t *testing.T, args ...string) (all []goPackage) {
	t.Helper()
	_, err := exec.LookPath("go")
	testenv.Need(t, "go", err == nil, "the go command isn't on PATH")
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// partOf returns the longest part that holds an import path, and whether it is ours.
func partOf(path string) (part string, ours bool) {
	rest, ours := strings.CutPrefix(path+"/", module+"/")
	if !ours {
		return "", false
	}
	part = "."
	for name := range arrows {
		if strings.HasPrefix(rest, name+"/") && (part == "." || len(name) > len(part)) {
			part = name
		}
	}
	if part == "." && rest != "" {
		part = strings.TrimSuffix(rest, "/") // a folder that nobody has drawn yet
	}
	return part, true
}

// forbidden says why a part may not import a path, or "".
func forbidden(part, path string, test bool) string {
	to, ours := partOf(path)
	switch {
	case ours && to == part:
		return ""
	case ours && slices.Contains(arrows[part], to):
		return ""
	case ours && test && (part == "." || slices.Contains(testArrows, to)):
		return ""
	case ours:
		return "no arrow from " + part + " to " + to
	case !strings.Contains(strings.Split(path, "/")[0], "."):
		return "" // the standard library
	case strings.HasPrefix(path, "golang.org/x/sys/") || test:
		return ""
	case slices.ContainsFunc(outside[part], func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }):
		return ""
	}
	return part + " may not use that module"
}

func TestArrowsPointDownwards(t *testing.T) {
	for _, p := range goList(t, "./...") {
		part, _ := partOf(p.ImportPath)
		if _, drawn := arrows[part]; !drawn {
			t.Errorf("%s: in no part: draw it in docs/architecture.md and in arrows", p.ImportPath)
			continue
		}
		check := func(imports []string, test bool) {
			for _, path := range imports {
				if why := forbidden(part, path, test); why != "" {
					t.Errorf("%s imports %s: %s", p.ImportPath, path, why)
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
}

// The test of the test: a rule that forbids nothing would pass as well.
func TestArrowsForbid(t *testing.T) {
	for _, c := range []struct {
		part, path string
		test       bool
		ok         bool
	}{
		{".", module + "/internal/cli", false, true},
		{".", module + "/pod", false, false},
		{"ns", module + "/cgroup", false, false},
		{"ns", module + "/pod/spec", false, false},
		{"cgroup", module + "/ns", false, false},
		{"pod/spec", module + "/ns", false, false},
		{"pod/spec", module + "/pod/spec/quantity", false, true},
		{"pod", module + "/pod/spec", false, true},
		{"pod", module + "/ns/seccomp", false, true},
		{"pod", module + "/ns/stage", false, false},
		{"pod", module + "/ns/stage", true, true},
		{"pod", module + "/internal/cli", false, false},
		{"pod", module + "/docs", false, false},
		{"ns/stage", module + "/ns", false, true},
		{"ns", module + "/ns/stage", false, false},
		{"internal/cli", module + "/internal/testenv", false, false},
		{"internal/cli", "github.com/urfave/cli/v2", false, true},
		{"pod", "github.com/urfave/cli/v2", false, false},
		{"ns/stage", "github.com/vishvananda/netlink", false, false},
		{"ns", "golang.org/x/sys/unix", false, true},
		{"docs", "encoding/json", false, true},
	} {
		if why := forbidden(c.part, c.path, c.test); (why == "") != c.ok {
			t.Errorf("%s imports %s: got %q, want allowed=%v", c.part, c.path, why, c.ok)
		}
	}
}

// Everything the stage imports is initialised again in every pod, before the
// stage runs: Go initialises packages before main, each after its imports.
func TestArrowsStageIsLight(t *testing.T) {
	heavy := []string{"github.com/", "go.yaml.in/", "encoding/json", "net", "net/http", "text/template", "regexp", "crypto/tls"}
	for _, p := range goList(t, "./ns/stage") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"/") {
				if part, _ := partOf(dep); part != "ns" && part != "ns/stage" {
					t.Errorf("the stage reaches %s", dep)
				}
				continue
			}
			for _, h := range heavy {
				if dep == h || strings.HasSuffix(h, "/") && strings.HasPrefix(dep, h) {
					t.Errorf("the stage reaches %s", dep)
				}
			}
		}
	}
}
