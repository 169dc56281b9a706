package spec

import "strings"

// An Input is what one invocation was given: pods, and the ConfigMaps and
// Secrets that serve them.
type Input struct {
	Pods       []*Pod
	ConfigMaps []*ConfigMap
	Secrets    []*Secret
}

// ConfigMap finds the one of that name, or nil.
func (in *Input) ConfigMap(namespace, name string) *ConfigMap {
	for _, c := range in.ConfigMaps {
		if c.Namespace == namespace && c.Name == name {
			return c
		}
	}
	return nil
}

// Secret finds the one of that name, or nil.
func (in *Input) Secret(namespace, name string) *Secret {
	for _, s := range in.Secrets {
		if s.Namespace == namespace && s.Name == name {
			return s
		}
	}
	return nil
}

// A File is a manifest to read; Name is only for messages ("-" is stdin).
type File struct {
	Name string
	Data []byte
}

// Options are what the command line adds to a manifest.
type Options struct {
	RootfsGiven        bool // --rootfs: image names are ignored with a warning instead of refused
	AllowUnsafeSysctls bool // --allow-unsafe-sysctls: namespaced ones beyond Kubernetes' safe list
}

// A Place is a position in a manifest.
type Place struct {
	File      string
	Line, Col int    // from 1; 0 where there is no place
	Source    string // the line itself, for a caret; cut when long
	Path      string // "spec.containers[0].name"
}

// A Warning is a field that is valid and has no effect here.
type Warning struct {
	Place
	Msg string // what a cluster would do with it
}

// An ErrorKind tells faults of the manifest from limits of podlab.
type ErrorKind uint8

const (
	Invalid     ErrorKind = iota // a cluster would refuse it too
	Unsupported                  // a cluster would take it, podlab does not (yet)
)

func (k ErrorKind) String() string {
	if k == Unsupported {
		return "not supported"
	}
	return "invalid"
}

// A FieldError is one fault at one place.
type FieldError struct {
	Kind ErrorKind
	Place
	Msg  string // what is wrong
	Hint string // what would be right, "" if nobody can know
}

func (e *FieldError) Error() string {
	s := e.Place.String()
	if s == "" {
		return e.Msg
	}
	return s + ": " + e.Msg
}

// Errors are all faults of an input, in the order of the files.
type Errors []*FieldError

func (e Errors) Error() string {
	var b strings.Builder
	for i, f := range e {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.Error())
	}
	return b.String()
}

// Parse decodes, completes and judges one file.
func Parse(name string, data []byte, o Options) (*Input, []Warning, error) {
	return ParseAll([]File{{name, data}}, o)
}
