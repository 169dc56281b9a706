// Package docs holds the texts that podlab itself reads aloud: why each step of
// a pod's making is needed, and which rule of the kernel asks for it.
//
// It knows nothing of pods; a key is only a string here, and a test beside the
// plan keeps headings and keys equal.
package docs

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed steps.md
var stepsFile string

// Step explains one kind of step.
type Step struct {
	Key  string // "proc.mount"
	Why  string // the first paragraph, on one line
	More string // the paragraphs after it, as written; may be empty
	Man  string // "mount(2), pid_namespaces(7)"
	Look string // a shell command that shows, inside the container, what the step did; may be empty
}

// Parsed at the first question: a run that explains nothing pays nothing.
var (
	once  sync.Once
	steps map[string]Step
)

// Steps returns the sections of steps.md by their keys. The map is shared;
// don't change it.
func Steps() map[string]Step {
	once.Do(func() { steps = parse(stepsFile) })
	return steps
}

// parse reads the sections "## key", each of paragraphs, then "man:" and "look:" lines.
func parse(text string) map[string]Step {
	all := map[string]Step{}
	for _, section := range strings.Split("\n"+text, "\n## ")[1:] {
		key, body, _ := strings.Cut(section, "\n")
		s := Step{Key: strings.TrimSpace(key)}
		var prose []string
		for line := range strings.Lines(body) {
			line = strings.TrimRight(line, " \n")
			if strings.HasPrefix(line, "# ") {
				break // a new chapter, with a preface of its own
			}
			if man, ok := strings.CutPrefix(line, "man: "); ok {
				s.Man = man
			} else if look, ok := strings.CutPrefix(line, "look: "); ok {
				s.Look = strings.Trim(look, "`")
			} else {
				prose = append(prose, line)
			}
		}
		why, more, _ := strings.Cut(strings.TrimSpace(strings.Join(prose, "\n")), "\n\n")
		s.Why = strings.Join(strings.Fields(why), " ")
		s.More = strings.TrimSpace(more)
		all[s.Key] = s
	}
	return all
}
