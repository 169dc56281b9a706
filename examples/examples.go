// Package examples holds the Pod manifests that are built into podlab, so that
//
//	podlab run example:hello
//
// works from the bare binary. Each shows one thing and begins with a comment
// that says what to look at. Most end by themselves; the pods of the lessons
// (docs/lessons) wait for podlab exec, and end with podlab stop. None names an
// image: a container then sees the toolbox root, this machine's /usr read-only;
// give each container an image that has sh(1), and a cluster runs the same file.
//
// It is not a place for tests' manifests: those lie beside the tests.
package examples

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// FS holds NAME.yaml for every name in Names.
//
//go:embed *.yaml
var FS embed.FS

// Names lists the examples in alphabetical order.
func Names() []string {
	files, err := fs.Glob(FS, "*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// Read returns the manifest of an example; the error is fs.ErrNotExist for a
// name that isn't in Names.
func Read(name string) ([]byte, error) {
	if name == "" || strings.ContainsAny(name, "/.") {
		return nil, fmt.Errorf("example %q: %w", name, fs.ErrNotExist)
	}
	data, err := FS.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("example %q: %w", name, fs.ErrNotExist)
	}
	return data, nil
}

// About returns the first sentence of an example's opening comment.
func About(name string) string {
	data, err := Read(name)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, "#"))
}
