package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/podlab/podlab/docs"
)

// done is a step that was carried out, as --explain and --time see it.
type done struct {
	who   string // "web", "web/app"
	key   string // of the step
	doc   string // the heading in docs/steps.md
	calls []string
	took  time.Duration
	err   error
}

// narrator prints a line for every step as it happens, on standard error: what the containers write stays apart.
// Containers are born at the same time, hence the lock.
type narrator struct {
	u    *ui
	wide int // the longest name of a process
	mu   sync.Mutex
}

const wideKey = 26 // most keys fit

// foldCalls makes a call that comes again and again readable: the first of them, and how many more there are. A call
// with a file's content in it is cut.
func foldCalls(calls []string) []string {
	const rows, long = 4, 400
	var out []string
	for i := 0; i < len(calls); {
		name, _, _ := strings.Cut(calls[i], "(")
		n := 1
		for i+n < len(calls) && strings.HasPrefix(calls[i+n], name+"(") {
			n++
		}
		show := n
		if n > rows {
			show = 1
		}
		for _, c := range calls[i : i+show] {
			if len(c) > long {
				c = fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(c[:long-40], ""), len(c))
			}
			out = append(out, cleanString(c))
		}
		if n > show {
			out = append(out, fmt.Sprintf("… and %d more %s", n-show, name))
		}
		i += n
	}
	return out
}

func (n *narrator) step(d done) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = n.u.err.WriteString(n.line(d)) // nowhere left to say that stderr is gone
}

// line is: who, key, time, the system calls as strace prints them, and why, after a #.
func (n *narrator) line(d done) string {
	on := n.u.errColor
	calls := strings.Join(foldCalls(d.calls), "; ")
	if len(d.calls) == 0 {
		calls = "(no system call of its own)"
	}
	line := fmt.Sprintf("%s  %s  %s  %s",
		n.u.paint(on, colorsOf([]string{d.who})[d.who], pad(d.who, n.wide)),
		n.u.paint(on, bold, pad(d.key, wideKey)), millis(d.took), calls)
	if why := firstSentence(docs.Steps()[d.doc].Why); why != "" {
		line += n.u.paint(on, dim, "  # "+why)
	}
	if d.err != nil {
		line += n.u.paint(on, red, "  ! "+cleanString(d.err.Error()))
	}
	return line + "\n"
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-len(s))) }

// millis is a duration in milliseconds, aligned for what a step takes.
func millis(d time.Duration) string {
	return fmt.Sprintf("%8.3f ms", float64(d)/float64(time.Millisecond))
}

// firstSentence ends at the first full stop that is followed by a space, or nothing. A stop inside e.g. "0.1" isn't.
func firstSentence(text string) string {
	if i := strings.Index(text, ". "); i >= 0 {
		return text[:i+1]
	}
	return text
}

// timings is what --time shows: how long the phases of a run took, and each step of them.
type timings struct {
	mu     sync.Mutex
	phases []phase
	steps  []done
}

type phase struct {
	name string
	took time.Duration
}

func (t *timings) phase(name string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phases = append(t.phases, phase{name, took})
}

func (t *timings) step(d done) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, d)
}

// render is two tables: the phases, and the steps of each process in their order with the sum of them.
func (t *timings) render(coloured bool) string {
	phases := table{head: []string{"PHASE", "TIME"}}
	for _, p := range t.phases {
		phases.add(p.name, millis(p.took))
	}
	text := phases.render(0, coloured)
	if len(t.steps) == 0 {
		return text
	}
	steps := table{head: []string{"PROCESS", "STEP", "TIME", "CALLS"}}
	var order []string
	of := map[string][]done{}
	for _, d := range t.steps {
		if of[d.who] == nil {
			order = append(order, d.who)
		}
		of[d.who] = append(of[d.who], d)
	}
	for _, who := range order {
		var sum time.Duration
		calls := 0
		for _, d := range of[who] {
			steps.add(who, d.key, millis(d.took), fmt.Sprint(len(d.calls)))
			sum, calls = sum+d.took, calls+len(d.calls)
		}
		steps.add(who, "(all of them)", millis(sum), fmt.Sprint(calls))
	}
	return text + "\n" + steps.render(0, coloured)
}
