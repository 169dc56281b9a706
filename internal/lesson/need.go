package lesson

import (
	"os"
	"os/exec"
	"strings"
)

// known tells whether a condition is one that Met can judge.
func known(condition string) bool {
	feature, ok := strings.CutPrefix(condition, "feature:")
	return condition == "root" || condition == "users" || ok && feature != ""
}

// Met says whether a condition holds, and if not, why. "root" is uid 0;
// "users" is what lets a pod have several: root, or a range of user ids;
// "feature:NAME" is what has(NAME) says, or a program of that name on PATH.
func Met(condition string, has func(feature string) bool) (ok bool, why string) {
	switch {
	case condition == "root":
		return os.Geteuid() == 0, "needs root"
	case condition == "users" && (os.Geteuid() == 0 || has != nil && has(idRange)):
		return true, ""
	case condition == "users":
		return false, "needs root, or a range of user ids (podlab check: " + idRange + ")"
	}
	feature := strings.TrimPrefix(condition, "feature:")
	if has != nil && has(feature) {
		return true, ""
	}
	if _, err := exec.LookPath(feature); err == nil {
		return true, ""
	}
	return false, "needs " + feature + ", which isn't here"
}

// Unmet returns the first of a part's needs that doesn't hold.
func (p *Part) Unmet(has func(feature string) bool) (n Need, why string, unmet bool) {
	for _, n := range p.Needs {
		if ok, why := Met(n.What, has); !ok {
			return n, why, true
		}
	}
	return Need{}, "", false
}

// Feature is the name that PODLAB_MUST has for a need.
func (n Need) Feature() string {
	if n.What == "users" {
		return idRange
	}
	return strings.TrimPrefix(n.What, "feature:")
}

// idRange is podlab check's name of the feature that an ordinary user may map a
// range of user ids (subuid(5)).
const idRange = "userns.range"
