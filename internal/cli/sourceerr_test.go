package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/podlab/podlab/pod/spec"
)

// excerptOf is what excerpt writes.
func excerptOf(t *testing.T, p spec.Place) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	(&ui{err: f}).excerpt(p)
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("x", 100) + " name: y " + strings.Repeat("z", 100)
	for _, c := range []struct {
		place spec.Place
		want  string
	}{
		{spec.Place{Line: 5, Col: 3, Source: "  comand: [sh]", Path: "spec.comand"}, "  5 |   comand: [sh]\n    |   ^^^^^^\n"},
		{spec.Place{Line: 12, Col: 8, Source: "value: 80, x", Path: "env[0].value"}, "  12 | value: 80, x\n     |        ^^\n"},
		{spec.Place{Line: 1, Col: 4, Source: "a: \"b c\"", Path: "a"}, "  1 | a: \"b c\"\n    |    ^^^^^\n"},
		{spec.Place{Line: 1, Col: 4, Source: "é: ü", Path: "x"}, "  1 | é: ü\n    |    ^\n"},
		{spec.Place{Line: 1, Col: 2, Source: "\tx: 1\r", Path: "x"}, "  1 | \tx: 1\n    | \t^\n"},
		{spec.Place{Line: 1, Col: 99, Source: "x: 1", Path: "x"}, "  1 | x: 1\n"},
		{spec.Place{Line: 1, Col: 102, Source: long, Path: "name"},
			"  1 | …" + strings.Repeat("x", 39) + " name: y " + strings.Repeat("z", 72) + "…\n    | " + strings.Repeat(" ", 41) + "^^^^\n"},
		{spec.Place{Line: 0, Source: "x"}, ""},
		{spec.Place{Line: 3, Col: 1, Source: "  "}, ""},
		{spec.Place{Line: 1, Col: 1, Source: "\x1b[31m: 1", Path: "x"}, "  1 | \\x1b[31m: 1\n    | ^^^^^^^^\n"},
	} {
		if got := excerptOf(t, c.place); got != c.want {
			t.Errorf("%+v:\ngot:\n%swant:\n%s", c.place, got, c.want)
		}
	}
}
