package lesson

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "# A *title*\n\nWhat it is about. More.\n\n## One\n\n`[root]` since it is so.\n\n" +
	"```console\n$ one \\\n> two\na\n...\nb <X> c\n\n! three\n> kept\n```\n\n### Deeper\n\n```yaml\n$ no\n```\n## Two\n\n" +
	"```console\n$ four\n```\n\n## Afterwards\n```console\n$ rm it\n```\n"

func TestParse(t *testing.T) {
	l, err := Parse("docs/lessons/07-some-thing.md", []byte(page))
	if err != nil {
		t.Fatal(err)
	}
	if l.No != 7 || l.Name != "some-thing" || l.Title != "A *title*" || l.About != "What it is about." || l.Claims() != 4 {
		t.Errorf("got %q, %q, %q, %d claims", l.Name, l.Title, l.About, l.Claims())
	}
	root := []Need{{"root", "since it is so."}}
	want := []Part{
		{Kind: Heading, Line: 1, Level: 1, Text: "A *title*"},
		{Kind: Text, Line: 3, Text: "What it is about. More."},
		{Kind: Heading, Line: 5, Level: 2, Text: "One"},
		{Kind: Condition, Line: 7, Text: "`[root]` since it is so.", Needs: root},
		{Kind: Session, Line: 9, Needs: root, Claims: []Claim{
			{Section: "One", Line: 10, Command: "one \\\ntwo", Want: []Line{{12, "a"}, {13, "..."}, {14, "b <X> c"}}},
			{Section: "One", Line: 16, Command: "three\nkept", Fails: true},
		}},
		{Kind: Heading, Line: 20, Level: 3, Text: "Deeper", Needs: root},
		{Kind: Code, Line: 22, Text: "$ no", Needs: root},
		{Kind: Heading, Line: 25, Level: 2, Text: "Two"},
		{Kind: Session, Line: 27, Claims: []Claim{{Section: "Two", Line: 28, Command: "four"}}},
		{Kind: Heading, Line: 31, Level: 2, Text: "Afterwards"},
		{Kind: Session, Line: 32, Claims: []Claim{{Section: "Afterwards", Line: 33, Command: "rm it"}}},
	}
	if d := cmp.Diff(want, l.Parts); d != "" {
		t.Error("-want +got:\n" + d)
	}
	if after := l.Afterwards(); len(after) != 1 || after[0].Command != "rm it" {
		t.Errorf("afterwards: got %+v", after)
	}
	if got := l.Parts[4].Claims[1].Prompt(); got != "! three\n> kept" {
		t.Errorf("prompt: got %q", got)
	}
}

func TestParseFaults(t *testing.T) {
	for text, want := range map[string]string{
		"text\n":                         "no title",
		"# t\n```console\nout\n```\n":    "x.md:3: want a command",
		"# t\n```console\n```\n":         "x.md:2: a session without a command",
		"# t\n\n```console\n$ a\n":       "x.md:3: the block has no end",
		"# t\n\n`[rooot]` it says.\n":    "x.md:3: condition [rooot]",
		"# t\n\n`[feature:]` it says.\n": "x.md:3: condition [feature:]",
	} {
		if _, err := Parse("x.md", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		want, got string
		why       string // "" where it matches
	}{
		{"a", "a\n", ""},
		{"a", "a", ""},
		{"", "\n", ""},
		{"a", "a\nb\n", "more than that"},
		{"a\nb", "a\n", "no line like: b"},
		{"a\nb", "a\nc\n", "no line like: b"},
		{"a\n...\nb", "a\nx\ny\nb\n", ""},
		{"a\n...\nb", "a\nb\n", ""},
		{"...\nb", "a\nx\n", "no line like: b"},
		{"...", "", ""},
		{"a ... z", "a b c z\n", ""},
		{"a ... z", "a b c\n", "no line like"},
		{"<A> <A>", "1 1\n", ""},
		{"<A> <A>", "1 2\n", `<A> is "2" here, and "1" in line 1`},
		{"<A> <B>", "1 2\n", ""},
		{"<A> <B>", "1 1\n", `<B> is "1" here, and so is <A> in line 1: two names are two texts`},
		{"ipc:[<A>]", "ipc:[4026531839]\n", ""},
		{"<A>", "two words\n", "no line like"},
		{"a.c", "abc\n", "no line like"},
		{"<a> <", "<a> <\n", ""},
		{"a   b", "a  b\n", ""},
		{"a  <A>  ...c", "a     1   b c\n", ""},
		{"a  b", "a b\n", "no line like"},
		{"a b", "a  b\n", "no line like"},
		// A later line may be the one that is meant.
		{"x <A>\n...\ny <A>", "x 1\ny 2\ny 1\n", ""},
		{"...\nx <A>\n...\ny <A>", "x 1\nx 2\ny 2\n", ""},
		// Containers' lines come in any order, those of one in theirs.
		{"a | 1\nb | 1", "b | 1\na | 1\n", ""},
		{"a | 1\na | 2", "a | 2\na | 1\n", "no line like"},
		{"one | 1\ntwo ! 1\nend", "two ! 1\none | 1\nend\n", ""},
	} {
		var want []Line
		for i, text := range strings.Split(c.want, "\n") {
			want = append(want, Line{i + 1, text})
		}
		_, why := match(want, c.got, names{})
		if (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%q against %q: got %q, want %q", c.want, c.got, why, c.why)
		}
	}
}

// Names are the lesson's: what one command bound holds for the next.
func TestMatchRemembers(t *testing.T) {
	ns := names{}
	for i, c := range []struct{ want, got, why string }{
		{"mine <IPC>", "mine 5\n", ""},
		{"yours <IPC>", "yours 5\n", ""},
		{"...\nyours <IPC>", "yours 4\nyours 5\n", ""},
		{"yours <IPC>", "yours 6\n", `<IPC> is "6" here, and "5" in line 1`},
		{"other <OTHER>", "other 5\n", "<OTHER> is \"5\" here, and so is <IPC> in line 1"},
		{"other <OTHER>", "other 6\n", ""},
		{"a <NEW> b", "a 7 c\n", "no line like"},
		{"<NEW>", "8\n", ""}, // what didn't match bound nothing
	} {
		var want []Line
		for _, text := range strings.Split(c.want, "\n") {
			want = append(want, Line{i + 1, text})
		}
		if _, why := match(want, c.got, ns); (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%q against %q: got %q, want %q", c.want, c.got, why, c.why)
		}
	}
}

// FuzzMatch: nothing panics, and a text without marks matches itself alone.
func FuzzMatch(f *testing.F) {
	f.Add("a <A>\n...\nb ...", "a 1\nb 2\n")
	f.Fuzz(func(t *testing.T, want, got string) {
		if len(want) > 64 || len(got) > 64 {
			return
		}
		var lines []Line
		for i, text := range strings.Split(want, "\n") {
			lines = append(lines, Line{i + 1, text})
		}
		_, why := match(lines, got, names{})
		if !strings.Contains(want, "...") && !strings.Contains(want, "  ") && !strings.ContainsAny(want, "<|!") && !strings.ContainsAny(got, "|!") {
			if same := strings.TrimSuffix(got, "\n") == want && got != ""; same != (why == "") {
				t.Errorf("%q against %q: got %q", want, got, why)
			}
		}
	})
}

func TestMet(t *testing.T) {
	has := func(f string) bool { return f == "mount.mqueue" }
	for condition, want := range map[string]bool{"feature:sh": true, "feature:mount.mqueue": true, "feature:no-such-thing": false} {
		if ok, why := Met(condition, has); ok != want || (why == "") != want {
			t.Errorf("%s: got %v, %q", condition, ok, why)
		}
	}
	if ok, why := Met("users", func(f string) bool { return f == "userns.range" }); !ok || why != "" && os.Geteuid() == 0 {
		t.Errorf("users: got %v, %q", ok, why)
	}
	if n := (Need{What: "users"}).Feature(); n != "userns.range" {
		t.Errorf("users: got feature %q", n)
	}
	p := Part{Needs: []Need{{"feature:sh", ""}, {"feature:no-such-thing", "for a reason"}}}
	if n, why, unmet := p.Unmet(has); !unmet || n.Feature() != "no-such-thing" || n.Why != "for a reason" || !strings.Contains(why, "no-such-thing") {
		t.Errorf("unmet: got %+v, %q, %v", n, why, unmet)
	}
}
