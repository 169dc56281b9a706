package spec

import (
	"os"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		in, path string
		verdict  Verdict
	}{
		{"spec.containers[].command", "spec.containers[].command", Honoured},
		{"spec.containers[0].command", "spec.containers[].command", Honoured},
		{"pod.spec.containers.command", "spec.containers[].command", Honoured},
		{"Spec.HostNetwork", "spec.hostNetwork", Honoured},
		{"hostNetwork", "spec.hostNetwork", Honoured},
		{"volumeMounts.subPath", "spec.containers[].volumeMounts[].subPath", Honoured},
		{"spec.affinity.nodeAffinity", "spec.affinity.nodeAffinity", Ignored},
		{"spec.initContainers[1].image", "spec.initContainers[].image", Refused},
		{"metadata.labels['app']", "metadata.labels", Honoured},
		{"metadata.labels.app", "metadata.labels", Honoured},
	} {
		f, ok := Explain(c.in)
		if !ok || f.Verdict != c.verdict || f.Path != c.path {
			t.Errorf("Explain(%q) = %+v, %v; want %s, %s", c.in, f, ok, c.path, c.verdict)
		}
	}
	for _, s := range []string{"", "spec.nonsense", "nonsense", ".", "spec..containers"} {
		if f, ok := Explain(s); ok {
			t.Errorf("Explain(%q) = %+v, want nothing", s, f)
		}
	}
}

// TestFields: no row twice, each with its text, steps only where there are any.
func TestFields(t *testing.T) {
	steps, err := os.ReadFile("../../docs/steps.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range Fields() {
		if seen[f.Path] {
			t.Errorf("%s is listed twice", f.Path)
		}
		seen[f.Path] = true
		if (f.Verdict == Honoured) != (f.Doc != "") || (f.Verdict == Honoured) != (f.Reason == "") {
			t.Errorf("%+v: want a doc if honoured, else a reason", f)
		}
		if f.Verdict != Honoured && len(f.Steps) > 0 {
			t.Errorf("%+v: a field without effect has steps", f)
		}
		for _, key := range f.Steps {
			if !strings.Contains(string(steps), "\n## "+key+"\n") {
				t.Errorf("%s: docs/steps.md has no section %q", f.Path, key)
			}
		}
	}
}
