package spec

import "strconv"

// String is "pod.yaml:5:7: spec.containers[0].name", as far as it is known.
func (p Place) String() string {
	s := p.File
	if p.Line > 0 {
		if s != "" {
			s += ":"
		}
		s += strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
	}
	if p.Path != "" {
		if s != "" {
			s += ": "
		}
		s += p.Path
	}
	return s
}
