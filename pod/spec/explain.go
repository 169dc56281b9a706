package spec

// A Verdict is what podlab does with a field of the upstream Pod type.
type Verdict uint8

const (
	Honoured Verdict = iota
	Refused          // an error: ignoring it would change what the pod means
	Ignored          // a warning: it has no effect on one machine
)

func (v Verdict) String() string { return [...]string{"honoured", "refused", "ignored"}[v] }

// A FieldInfo is what podlab explain prints of a field.
type FieldInfo struct {
	Path    string // "spec.containers[].command"
	Verdict Verdict
	Reason  string   // why it is refused or ignored
	Doc     string   // one line: what it does here
	Steps   []string // keys of docs/steps.md that it causes
}

// Explain finds a field by its path, with or without indices.
func Explain(field string) (FieldInfo, bool) { return FieldInfo{}, false }

// Fields lists all.
func Fields() []FieldInfo { return nil }
