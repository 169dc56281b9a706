package ns

import "strings"

// An Op is one operation of the kernel, as a value: it says which raw system
// calls it is made of, and what a shell user would type instead. An Op never
// prints, never branches and never looks at the machine: whoever planned it has
// looked already.
type Op interface {
	Calls(*Table)  // append the system calls
	Shell() string // the same for sh(1); a line beginning with # where sh has no word for it
}

// A Step is an Op with the key that people know it by: errors, --explain and
// docs/steps.md all use Key. A name in square brackets tells steps of one kind
// apart, as in "volume.mount[data]"; what explains it is found by the part
// before the bracket.
type Step struct {
	Key string
	Op  Op
}

// Doc is the heading in docs/steps.md that explains s.
func (s Step) Doc() string {
	doc, _, _ := strings.Cut(s.Key, "[")
	return doc
}
