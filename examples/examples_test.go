package examples

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// An example is for reading: it opens with a sentence, says what to look at,
// needs no image, and is called what its pod is called.
func TestExamplesReadWell(t *testing.T) {
	names := Names()
	if !slices.Contains(names, "hello") || len(names) < 7 {
		t.Fatalf("names: got %q, want hello and at least six more", names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			data, err := Read(name)
			if err != nil {
				t.Fatal(err)
			}
			if about := About(name); !strings.HasSuffix(about, ".") && !strings.HasSuffix(about, "?") {
				t.Errorf("first line: got %q, want a comment of one sentence", about)
			}
			comment, _, _ := strings.Cut(string(data), "\napiVersion:")
			if !strings.Contains(comment, "\n# Look at: ") {
				t.Error("the opening comment doesn't say what to look at")
			}
			if got := podName(t, data); got != name {
				t.Errorf("metadata.name: got %q, want %q", got, name)
			}
			if bytes.Contains(data, []byte("image:")) {
				t.Error("an example names an image, so that it needs a network")
			}
		})
	}
}

// podName decodes every document and returns the name of the only Pod.
func podName(t *testing.T, data []byte) (name string) {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := dec.Decode(&doc); err != nil {
			break
		}
		if doc.Kind == "Pod" {
			if name != "" {
				t.Error("two Pods in one example")
			}
			name = doc.Metadata.Name
		}
	}
	return name
}

func TestReadUnknown(t *testing.T) {
	for _, name := range []string{"", "nosuch", "../examples/hello", "hello.yaml", "."} {
		if _, err := Read(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Read(%q): got %v, want fs.ErrNotExist", name, err)
		}
	}
}
