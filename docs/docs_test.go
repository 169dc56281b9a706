package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got := parse(`# Title

Preface.

## proc.mount
A new PID namespace needs
a new proc.

More about it.

And more.

man: proc(5)
look: ` + "`ls /proc`" + `

# Chapter

Preface.

## bare
Short.
`)
	want := map[string]Step{
		"proc.mount": {Key: "proc.mount", Why: "A new PID namespace needs a new proc.", More: "More about it.\n\nAnd more.", Man: "proc(5)", Look: "ls /proc"},
		"bare":       {Key: "bare", Why: "Short."},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got:\n" + d)
	}
}

// Every section is whole: a sentence that fits a line of --explain, and the
// manual page that its rule can be looked up in.
func TestSectionsAreWhole(t *testing.T) {
	page := regexp.MustCompile(`^[a-z0-9_.-]+\([1-8]\)(, [a-z0-9_.-]+\([1-8]\))*$`)
	if n := strings.Count("\n"+stepsFile, "\n## "); n != len(Steps()) {
		t.Errorf("%d headings but %d keys: one is written twice", n, len(Steps()))
	}
	for key, s := range Steps() {
		if !regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9-]+)*$`).MatchString(key) {
			t.Errorf("key %q: want topic.what in lower case", key)
		}
		if s.Why == "" || !strings.HasSuffix(s.Why, ".") {
			t.Errorf("%s: why %q is no sentence", key, s.Why)
		}
		if !page.MatchString(s.Man) {
			t.Errorf("%s: man %q: want page(section), …", key, s.Man)
		}
	}
}
