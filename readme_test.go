package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// session is one command of a ```console block and what it should print.
type session struct {
	line    int
	command string
	fails   bool
	want    []string // "..." stands for any lines, and inside a line for any text
}

// sessions reads the console blocks of a Markdown page. "$ " begins a command
// that succeeds and "! " one that fails, "> " continues it, the lines up to the
// next command are its output.
func sessions(page string) (blocks [][]session) {
	inside := false
	for i, line := range strings.Split(page, "\n") {
		if strings.HasPrefix(line, "```") {
			if inside = !inside && line == "```console"; inside {
				blocks = append(blocks, nil)
			}
			continue
		}
		if !inside {
			continue
		}
		block := &blocks[len(blocks)-1]
		last := len(*block) - 1
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			*block = append(*block, session{line: i + 1, command: command})
		} else if command, ok := strings.CutPrefix(line, "! "); ok {
			*block = append(*block, session{line: i + 1, command: command, fails: true})
		} else if more, ok := strings.CutPrefix(line, "> "); ok && last >= 0 {
			(*block)[last].command += "\n" + more
		} else if last >= 0 {
			(*block)[last].want = append((*block)[last].want, line)
		}
	}
	return blocks
}

// pattern turns expected output into a regexp. "..." alone on a line stands for
// any lines, inside a line for any text, and <NAME> for one and the same word
// wherever it stands.
func pattern(want []string) (*regexp.Regexp, []string) {
	var b strings.Builder
	var names []string
	placeholder := regexp.MustCompile(`\.\.\.|<[A-Z]+>`)
	b.WriteString(`^`)
	for _, line := range want {
		if line == "..." {
			b.WriteString(`(?:.*\n)*?`)
			continue
		}
		at := 0
		for _, m := range placeholder.FindAllStringIndex(line, -1) {
			b.WriteString(regexp.QuoteMeta(line[at:m[0]]))
			if name := line[m[0]:m[1]]; name == "..." {
				b.WriteString(`.*?`)
			} else {
				b.WriteString(`(\S+?)`)
				names = append(names, name)
			}
			at = m[1]
		}
		b.WriteString(regexp.QuoteMeta(line[at:]) + `\n`)
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String()), names
}

// matches says why output isn't what was wanted, or "". names holds what each
// <NAME> stands for so far: two names never stand for one text.
func matches(want []string, got string, names map[string]string) string {
	re, order := pattern(want)
	m := re.FindStringSubmatch(got)
	if m == nil {
		return fmt.Sprintf("got:\n%swant:\n%s", got, strings.Join(want, "\n"))
	}
	for i, name := range order {
		text := m[i+1]
		if old, ok := names[name]; ok && old != text {
			return fmt.Sprintf("%s is %q here and was %q before", name, text, old)
		}
		for other, old := range names {
			if other != name && old == text {
				return fmt.Sprintf("%s and %s are both %q", name, other, text)
			}
		}
		names[name] = text
	}
	return ""
}

// byContainer orders the lines of containers, which write when they like, by
// their names; the order within a container stays.
func byContainer(lines []string) []string {
	who := regexp.MustCompile(`^[a-z0-9-]+ *[|!] `)
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b string) int {
		a, b = who.FindString(a), who.FindString(b)
		if a == "" || b == "" {
			return 0
		}
		return strings.Compare(a, b)
	})
	return lines
}

func byLine(text string) string { return strings.Join(byContainer(strings.SplitAfter(text, "\n")), "") }

// What README.md shows is what happens. Every console block is a shell of its
// own in the checkout, with podlab on PATH.
func TestReadmeSessions(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := sessions(string(page))
	if len(blocks) == 0 {
		t.Fatal("no console block in README.md")
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	podlab(t)
	for _, block := range blocks {
		root, names := stateDir(t), map[string]string{}
		for _, s := range block {
			t.Run(fmt.Sprintf("line %d", s.line), func(t *testing.T) {
				r := runIn(t, root, sh, "-c", s.command)
				if (r.code != 0) != s.fails {
					t.Errorf("README.md:%d: %s: exit code %d, want failing=%v", s.line, s.command, r.code, s.fails)
				}
				if why := matches(byContainer(s.want), byLine(r.stdout+r.stderr), names); why != "" {
					t.Errorf("README.md:%d: $ %s\n%s", s.line, s.command, why)
				}
			})
		}
	}
}

func TestReadmeRunner(t *testing.T) {
	blocks := sessions("text\n```console\n$ one \\\n> two\na\n...\nb <X> c\n$ three\n```\n```yaml\n$ no\n```\n")
	if len(blocks) != 1 || len(blocks[0]) != 2 || blocks[0][0].command != "one \\\ntwo" || len(blocks[0][0].want) != 3 {
		t.Fatalf("sessions: got %+v", blocks)
	}
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"a", "a\n", true},
		{"a", "a\nb\n", false},
		{"a\n...\nb", "a\nx\ny\nb\n", true},
		{"a ... z", "a b c z\n", true},
		{"<A> <A>", "1 1\n", true},
		{"<A> <A>", "1 2\n", false},
		{"<A> <B>", "1 2\n", true},
		{"<A> <B>", "1 1\n", false},
		{"a.c", "abc\n", false},
	} {
		why := matches(strings.Split(c.want, "\n"), c.got, map[string]string{})
		if (why == "") != c.ok {
			t.Errorf("%q against %q: got %q, want matching=%v", c.want, c.got, why, c.ok)
		}
	}
}

// Links between our pages lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		page, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
