package lesson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// A Run is one passage through a lesson: it remembers what the names stand for.
type Run struct {
	place   *Place
	lesson  *Lesson
	names   names
	Timeout time.Duration          // of one command
	Columns int                    // how wide podlab may write; 0: as it likes
	Color   bool                   // podlab's own output is coloured
	Ignore  func(line string) bool // lines that are shown and not compared, if it isn't nil
}

// patience is how long a command may take, unless a Run says otherwise. The
// longest that lessons have take seconds.
const patience = time.Minute

// NewRun begins a passage.
func NewRun(l *Lesson, p *Place) *Run {
	return &Run{place: p, lesson: l, names: names{}, Timeout: patience, Columns: Columns, Ignore: Remark}
}

// Remark tells whether a line is podlab's remark on this machine, its user or
// an experiment (--without), which no prediction rests on.
func Remark(line string) bool {
	return strings.HasPrefix(line, "podlab: note: ") || strings.HasPrefix(line, "podlab: without ")
}

// A Result is what a command did.
type Result struct {
	Output string
	Code   int // -1: a signal ended it
	Took   time.Duration
	Fault  *Fault   // nil: as predicted
	New    []string // the names that got their texts here: "<IPC>"
	Same   []string // those that had one, and still do
}

// A Fault is a claim that doesn't hold.
type Fault struct {
	File   string
	Line   int // of the expectation that isn't met
	Claim  Claim
	Why    string
	Output string
}

// Error names the place, the command, what it should have done, and what it did.
func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s\n%s\ngot:\n%s", f.File, f.Line, f.Claim.Prompt(), f.Why, f.Output)
	if f.Output != "" && !strings.HasSuffix(f.Output, "\n") {
		b.WriteByte('\n')
	}
	b.WriteString("want:\n")
	for _, w := range f.Claim.Want {
		b.WriteString(w.Text + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Do runs a claim's command and compares. What it prints goes to live as it
// comes, which may be nil. The error is ctx's: a command that can't be run is a
// fault.
func (r *Run) Do(ctx context.Context, c Claim, live io.Writer) (Result, error) {
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	out := &output{live: live, full: cancel}
	began := time.Now()
	code, err := r.show(r.place.command(limited, c.Command), out)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	res := Result{Output: asPiped(out.buf.String()), Code: code, Took: time.Since(began)}
	known := maps.Clone(r.names)
	if line, why := r.judge(&c, &res, err, limited.Err(), out.over); why != "" {
		if line == 0 {
			line = c.Line
		}
		res.Fault = &Fault{r.lesson.File, line, c, why, res.Output}
		return res, nil
	}
	for _, n := range c.names() {
		if _, ok := known[n]; ok {
			res.Same = append(res.Same, "<"+n+">")
		} else {
			res.New = append(res.New, "<"+n+">")
		}
	}
	return res, nil
}

// names are the names in what is expected, each once.
func (c *Claim) names() (all []string) {
	for _, w := range c.Want {
		for _, t := range tokens(w.Text) {
			if t.kind == name && !slices.Contains(all, t.text) {
				all = append(all, t.text)
			}
		}
	}
	return all
}

// judge says which line of the page isn't met (0: the command's), and why.
func (r *Run) judge(c *Claim, res *Result, err, late error, over bool) (line int, why string) {
	var exit *exec.ExitError
	switch {
	case over:
		return 0, fmt.Sprintf("it printed more than %d bytes", maxOutput)
	case late != nil:
		return 0, fmt.Sprintf("it still ran after %s", r.Timeout)
	case errors.Is(err, exec.ErrWaitDelay):
		return 0, "it left a process in the background that holds its output open"
	case err != nil && !errors.As(err, &exit):
		return 0, err.Error()
	case err == nil && c.Fails:
		return 0, "it succeeded, and should fail"
	case err != nil && !c.Fails:
		return 0, fmt.Sprintf("it failed (%s), and should succeed", exit)
	}
	return match(c.Want, r.compared(res.Output), r.names)
}

// compared is the output without what Ignore says.
func (r *Run) compared(out string) string {
	if r.Ignore == nil {
		return out
	}
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !r.Ignore(strings.TrimSuffix(line, "\n")) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// Afterwards runs the section of that name, for a lesson that is given up. What
// was never made can't be removed, so nothing is compared.
func (r *Run) Afterwards() {
	for _, c := range r.lesson.Afterwards() {
		r.place.try(c.Command)
	}
}

// A Tally is how the claims of a lesson turned out.
type Tally struct {
	Checked int
	Faults  []*Fault
	LeftOut int // claims whose conditions didn't hold
}

// Add counts a result.
func (t *Tally) Add(r Result) {
	t.Checked++
	if r.Fault != nil {
		t.Faults = append(t.Faults, r.Fault)
	}
}

// String is the verdict, in one line.
func (t *Tally) String() string {
	claims := fmt.Sprintf("%d claims checked", t.Checked)
	if t.Checked == 1 {
		claims = "1 claim checked"
	}
	verdict := "all as predicted"
	if n := len(t.Faults); n > 0 {
		verdict = fmt.Sprintf("%d not as predicted", n)
	}
	if t.LeftOut > 0 {
		verdict += fmt.Sprintf("; %d left out", t.LeftOut)
	}
	return claims + ", " + verdict
}
