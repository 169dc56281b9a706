package cli

import (
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/docs"
	"github.com/podlab/podlab/pod/spec"
)

func explainCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "[FIELD…]",
		Description: "What podlab does with a field of a v1 Pod: honours it, and by which steps; refuses it, and why;\n" +
			"or ignores it, and what a cluster would do. Without a field: a table of all of them.\n\n" +
			"  $ podlab explain spec.shareProcessNamespace\n  $ podlab explain spec.containers.securityContext",
		Flags: []cli.Flag{outputFlag("text or json", "text")},
		Action: func(c *cli.Context) error {
			return explain(u, c.Args().Slice(), c.String("output"))
		},
	}
}

// explainedField is a field as explain -o json prints it.
type explainedField struct {
	Path    string   `json:"path"`
	Verdict string   `json:"verdict"`
	Doc     string   `json:"doc,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Steps   []string `json:"steps,omitempty"`
	Below   int      `json:"fieldsBelow,omitempty"`
}

func explain(u *ui, args []string, output string) error {
	if output != "text" && output != "json" {
		return usage("explain", oneOf("-o", output, "text", "json"))
	}
	var found []explainedField
	all := spec.Fields()
	if len(args) == 0 {
		for _, f := range all {
			found = append(found, asExplained(f, nil))
		}
	}
	for _, a := range args {
		f, ok := findField(a)
		if !ok {
			return context("explain", unknownField(a, all))
		}
		found = append(found, asExplained(f, all))
	}
	switch {
	case output == "json" && len(args) == 1:
		return u.json(found[0])
	case output == "json":
		return u.json(found)
	case len(args) == 0:
		explainTable(u, found)
		return nil
	}
	for i, f := range found {
		if i > 0 {
			u.printf("\n")
		}
		explainField(u, f)
		children(u, f.Path, all)
	}
	return nil
}

// findField also takes a path as kubectl writes it: pod.spec.containers, without brackets.
func findField(name string) (spec.FieldInfo, bool) {
	for _, prefix := range []string{"", "pod.", "pods.", "po.", "."} {
		if path, ok := strings.CutPrefix(name, prefix); ok {
			if f, ok := spec.Explain(path); ok {
				return f, true
			}
		}
	}
	bare := bareField(strings.TrimPrefix(name, "pod."))
	for _, f := range spec.Fields() {
		if bareField(f.Path) == bare {
			return f, true
		}
	}
	return spec.FieldInfo{}, false
}

// bareField is a path without indices.
func bareField(path string) string {
	var b strings.Builder
	in := false
	for _, r := range path {
		switch {
		case r == '[':
			in = true
		case r == ']':
			in = false
		case !in:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unknownField(name string, all []spec.FieldInfo) error {
	f := &failure{code: codeOwn, err: errors.New(quote(name) + ": a Pod has no such field")}
	last := name[strings.LastIndexByte(name, '.')+1:]
	var paths, same []string
	for _, x := range all {
		paths = append(paths, bareField(x.Path))
		if base := bareField(x.Path); base[strings.LastIndexByte(base, '.')+1:] == last {
			same = append(same, x.Path)
		}
	}
	switch near, ok := nearest(bareField(name), paths); {
	case len(same) > 3:
		f.hint = "did you mean " + strings.Join(same[:3], ", ") + " …?"
	case len(same) > 0:
		f.hint = "did you mean " + strings.Join(same, " or ") + "?"
	case ok:
		f.hint = "did you mean " + near + "?"
	default:
		f.hint = "podlab explain, without a field, lists them all"
	}
	return f
}

func asExplained(f spec.FieldInfo, all []spec.FieldInfo) explainedField {
	e := explainedField{Path: f.Path, Verdict: f.Verdict.String(), Doc: f.Doc, Reason: f.Reason, Steps: f.Steps}
	for _, x := range all {
		if isBelow(x.Path, f.Path) {
			e.Below++
		}
	}
	return e
}

// isBelow tells whether path is a field of the object or list at parent.
func isBelow(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

func explainField(u *ui, f explainedField) {
	u.printf("%s: %s\n", u.paint(u.outColor, bold, f.Path), u.paint(u.outColor, verdictColor(f.Verdict), f.Verdict))
	for _, text := range []string{f.Doc, f.Reason} {
		if text != "" {
			u.printf("\n%s\n", u.wrap(text, "  "))
		}
	}
	if len(f.Steps) == 0 {
		return
	}
	u.printf("\nSteps:\n")
	known := docs.Steps()
	for _, key := range f.Steps {
		s := known[key]
		u.printf("  %s\n", u.paint(u.outColor, bold, key))
		if s.Why != "" {
			u.printf("%s\n", u.wrap(s.Why, "      "))
		}
		if s.Man != "" {
			u.printf("      %s\n", u.paint(u.outColor, dim, s.Man))
		}
	}
}

// children lists the fields right below path.
func children(u *ui, path string, all []spec.FieldInfo) {
	var t table
	for _, f := range all {
		rest := strings.TrimLeft(strings.TrimPrefix(f.Path, path), "[].")
		if isBelow(f.Path, path) && !strings.ContainsAny(rest, ".") {
			t.add("  "+rest, f.Verdict.String(), firstText(f.Doc, f.Reason))
		}
	}
	if len(t.rows) > 0 {
		u.printf("\nFields:\n")
		u.table(&t)
	}
}

func explainTable(u *ui, fields []explainedField) {
	t := table{head: []string{"FIELD", "VERDICT", "WHAT PODLAB DOES"}}
	for _, f := range fields {
		t.add(f.Path, f.Verdict, firstText(f.Doc, f.Reason))
	}
	u.table(&t)
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func verdictColor(v string) color {
	switch v {
	case spec.Honoured.String():
		return green
	case spec.Refused.String():
		return red
	}
	return yellow
}
