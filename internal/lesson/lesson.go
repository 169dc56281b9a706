package lesson

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// A Lesson is one page, in pieces.
type Lesson struct {
	File  string // "docs/lessons/01-ipc.md": what faults are named by
	No    int    // 1, or 0 for a file without a number
	Name  string // "ipc"
	Title string // its first heading
	About string // the first sentence of its first paragraph
	Parts []Part
}

// Kind is what a part of a page is.
type Kind int

const (
	Heading   Kind = iota
	Text           // a paragraph, a list or a table
	Condition      // a paragraph that says what the rest of the section needs
	Code           // shown as it is, not run
	Session        // run
)

// A Part is a piece of a page: what lies between two empty lines, or in a
// fence.
type Part struct {
	Kind   Kind
	Line   int // in the file, of its first line
	Level  int // of a heading: 1 is the title
	Text   string
	Claims []Claim // of a session
	Needs  []Need  // all that must hold for it to be run
}

// A Need is a condition of a section.
type Need struct {
	What string // "root", "users", "feature:python3"
	Why  string // the paragraph, without the condition
}

// A Claim is a command and what it should do.
type Claim struct {
	Section string // the heading above it
	Line    int
	Command string
	Fails   bool
	Want    []Line
}

// Line is a line of expected output.
type Line struct {
	No   int
	Text string
}

// Prompt is the command as the page shows it.
func (c *Claim) Prompt() string {
	mark := "$ "
	if c.Fails {
		mark = "! "
	}
	return mark + strings.ReplaceAll(c.Command, "\n", "\n> ")
}

// Claims is how many claims the lesson makes.
func (l *Lesson) Claims() (n int) {
	for _, p := range l.Parts {
		n += len(p.Claims)
	}
	return n
}

// lastSection is the heading of what is to be run in any case.
const lastSection = "Afterwards"

// Afterwards returns the claims of the section that is also run when the
// lesson is given up.
func (l *Lesson) Afterwards() (all []Claim) {
	level := 0
	for _, p := range l.Parts {
		switch {
		case p.Kind == Heading && p.Text == lastSection:
			level = p.Level
		case p.Kind == Heading && p.Level <= level:
			level = 0
		case level > 0:
			all = append(all, p.Claims...)
		}
	}
	return all
}

// Parse reads a page. name is its path, as faults should show it.
func Parse(name string, page []byte) (*Lesson, error) {
	no, short := nameOf(name)
	r := reader{l: &Lesson{File: name, No: no, Name: short}}
	lines := strings.Split(strings.TrimSuffix(string(page), "\n"), "\n")
	for i := 0; i < len(lines); {
		n, err := r.part(lines[i:], i+1)
		if err != nil {
			return nil, err
		}
		i += n
	}
	if r.l.Title == "" {
		return nil, fmt.Errorf("%s: no title: want a line that begins with #", name)
	}
	return r.l, nil
}

// nameOf is a page's name, and the number before it that it is sorted by.
func nameOf(file string) (no int, name string) {
	base := strings.TrimSuffix(path.Base(file), ".md")
	number, rest, ok := strings.Cut(base, "-")
	if no, err := strconv.ParseUint(number, 10, 16); ok && err == nil {
		return int(no), rest
	}
	return 0, base
}

// reader is a page half read.
type reader struct {
	l       *Lesson
	level   int    // of the section
	section string // its heading
	needs   []levelNeed
}

type levelNeed struct {
	level int
	Need
}

// part reads what lines begin with, and says how many lines it was.
func (r *reader) part(lines []string, no int) (int, error) {
	first := lines[0]
	switch {
	case strings.TrimSpace(first) == "":
		return 1, nil
	case strings.HasPrefix(first, "```"):
		return r.fence(lines, no)
	case strings.HasPrefix(first, "#"):
		r.heading(first, no)
		return 1, nil
	}
	n := 0
	for n < len(lines) && strings.TrimSpace(lines[n]) != "" && !strings.HasPrefix(lines[n], "```") {
		n++
	}
	text := strings.Join(lines[:n], "\n")
	if what, why, ok := condition(text); ok {
		// A condition that nobody knows would leave the section out for ever.
		if !known(what) {
			return 0, fmt.Errorf("%s:%d: condition [%s]: want [root], [users] or [feature:NAME]", r.l.File, no, what)
		}
		r.needs = append(r.needs, levelNeed{r.level, Need{what, why}})
		r.add(Part{Kind: Condition, Line: no, Text: text})
		return n, nil
	}
	if r.l.About == "" {
		r.l.About = firstSentence(text)
	}
	r.add(Part{Kind: Text, Line: no, Text: text})
	return n, nil
}

func (r *reader) heading(line string, no int) {
	text := strings.TrimLeft(line, "#")
	r.level = len(line) - len(text)
	text = strings.TrimSpace(text)
	r.section = text
	if r.l.Title == "" {
		r.l.Title = text
	}
	kept := r.needs[:0]
	for _, n := range r.needs {
		if n.level < r.level {
			kept = append(kept, n)
		}
	}
	r.needs = kept
	r.add(Part{Kind: Heading, Line: no, Level: r.level, Text: text})
}

func (r *reader) add(p Part) {
	for _, n := range r.needs {
		p.Needs = append(p.Needs, n.Need)
	}
	r.l.Parts = append(r.l.Parts, p)
}

// fence reads a block between two lines of backquotes.
func (r *reader) fence(lines []string, no int) (int, error) {
	end := 1
	for end < len(lines) && lines[end] != "```" {
		end++
	}
	if end == len(lines) {
		return 0, fmt.Errorf("%s:%d: the block has no end", r.l.File, no)
	}
	body := lines[1:end]
	if lines[0] != "```console" {
		r.add(Part{Kind: Code, Line: no, Text: strings.Join(body, "\n")})
		return end + 1, nil
	}
	claims, err := session(r.l.File, body, no+1)
	if err != nil {
		return 0, err
	}
	for i := range claims {
		claims[i].Section = r.section
	}
	r.add(Part{Kind: Session, Line: no, Claims: claims})
	return end + 1, nil
}

// session reads the lines of a console block, of which the first is line no.
func session(file string, lines []string, no int) (claims []Claim, err error) {
	for i, line := range lines {
		last := len(claims) - 1
		switch {
		case strings.HasPrefix(line, "$ "), strings.HasPrefix(line, "! "):
			if last >= 0 {
				claims[last].trim()
			}
			claims = append(claims, Claim{Line: no + i, Command: line[2:], Fails: line[0] == '!'})
		case last < 0:
			return nil, fmt.Errorf("%s:%d: want a command, $ or !, have %q", file, no+i, line)
		case strings.HasPrefix(line, "> ") && len(claims[last].Want) == 0:
			claims[last].Command += "\n" + line[2:]
		default:
			claims[last].Want = append(claims[last].Want, Line{no + i, line})
		}
	}
	if len(claims) == 0 {
		return nil, fmt.Errorf("%s:%d: a session without a command", file, no-1)
	}
	claims[len(claims)-1].trim()
	return claims, nil
}

// trim drops the empty lines before the next command.
func (c *Claim) trim() {
	for n := len(c.Want); n > 0 && c.Want[n-1].Text == ""; n-- {
		c.Want = c.Want[:n-1]
	}
}

// condition takes "`[root]` because …" to pieces.
func condition(text string) (what, why string, ok bool) {
	rest, ok := strings.CutPrefix(text, "`[")
	if !ok {
		return "", "", false
	}
	what, why, ok = strings.Cut(rest, "]`")
	if !ok || what == "" || strings.ContainsAny(what, " `\n") {
		return "", "", false
	}
	return what, strings.Join(strings.Fields(why), " "), true
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		return text[:i+1]
	}
	return text
}
