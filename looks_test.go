package main_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podlab/podlab/docs"
)

// Each "look:" of docs/steps.md works in a container, and shows something.
func TestLooksShowSomething(t *testing.T) {
	var script strings.Builder
	looks := 0
	steps := docs.Steps()
	for _, key := range slices.Sorted(maps.Keys(steps)) {
		look := steps[key].Look
		if look == "" {
			continue
		}
		looks++
		// The output may be empty of sense, not of bytes; a pipe's code is its last command's.
		fmt.Fprintf(&script, "out=$(\n%s\n) 2>&1 && [ -n \"$out\" ] || echo \"%s: code $?: $out\"\n", look, key)
	}
	fmt.Fprintf(&script, "echo looked at %d\n", looks)
	if looks < 20 {
		t.Fatalf("%d looks: too few to be all", looks)
	}
	// The script is a file of a ConfigMap: in args, $(…) would be expanded.
	manifest := `apiVersion: v1
kind: ConfigMap
metadata: {name: looks}
data:
  run: |
    ` + strings.ReplaceAll(script.String(), "\n", "\n    ") + `
---
apiVersion: v1
kind: Pod
metadata: {name: looks}
spec:
  restartPolicy: Never
  containers:
  - name: eye
    command: [sh, /looks/run]
    volumeMounts: [{name: looks, mountPath: /looks}]
  volumes:
  - {name: looks, configMap: {name: looks}}
`
	file := filepath.Join(t.TempDir(), "looks.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "run", "--output", "raw", file)
	if want := fmt.Sprintf("looked at %d\n", looks); r.code != 0 || r.stdout != want {
		t.Errorf("code %d, got:\n%swant:\n%s%s", r.code, r.stdout, want, r.stderr)
	}
}
