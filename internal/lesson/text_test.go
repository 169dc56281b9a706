package lesson

import (
	"fmt"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	paint := func(r Role, s string) string {
		if r == Plain {
			return s
		}
		return fmt.Sprintf("%d(%s)", r, s)
	}
	for _, c := range []struct {
		part  Part
		width int
		want  string
	}{
		{Part{Kind: Heading, Level: 1, Text: "A `b`"}, 80, "1( A b )\n"},
		{Part{Kind: Heading, Level: 2, Text: "A"}, 80, "2(A)\n"},
		{Part{Kind: Text, Text: "one two\nthree"}, 80, "one two three\n"},
		{Part{Kind: Text, Text: "one two\nthree"}, 8, "one two\nthree\n"},
		{Part{Kind: Text, Text: "a **b c**, *d* e"}, 80, "a 3(b) 3(c), 4(d) e\n"},
		{Part{Kind: Text, Text: "`a b`. 2 * 3 * 4"}, 80, "5(a) 5(b). 2 * 3 * 4\n"},
		{Part{Kind: Text, Text: "see [the `x` page](x.md#y), [not] this"}, 80, "see the 5(x) page, [not] this\n"},
		{Part{Kind: Text, Text: "- one\n  more\n- two"}, 7, "- one\n  more\n- two\n"},
		{Part{Kind: Text, Text: "1. one two\n2. three"}, 8, "1. one\n   two\n2. three\n"},
		{Part{Kind: Text, Text: "| a | b |\n|---|---|\n| long | `c` |"}, 80, "3(a)      3(b)\nlong   c\n"},
		{Part{Kind: Code, Text: "x\n\ny"}, 80, "    5(x)\n    5()\n    5(y)\n"},
		{Part{Kind: Session}, 80, ""},
	} {
		if got := Render(c.part, c.width, paint); got != c.want {
			t.Errorf("%q at %d:\ngot  %q\nwant %q", c.part.Text, c.width, got, c.want)
		}
	}
}

// Nothing of a paragraph is lost, and no line is longer than asked for, but one word.
func FuzzRender(f *testing.F) {
	f.Add("a **b c** `d` [e](f)\n- g", 9)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if width < 1 || width > 200 || strings.HasPrefix(text, "|") {
			return
		}
		got := Render(Part{Kind: Text, Text: text}, width, func(_ Role, s string) string { return s })
		if !strings.ContainsAny(text, "*`[\t") {
			if a, b := strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(got), " "); a != b {
				t.Errorf("got %q, want %q", b, a)
			}
		}
	})
}
