package spec

import (
	"slices"
	"strconv"
	"strings"
)

// Annotations that mean something to a cluster. All others are kept as they are.

const appArmorPrefix = "container.apparmor.security.beta.kubernetes.io/"

func (p podRules) annotations() {
	a := p.meta.get("annotations")
	if a == nil {
		return
	}
	for i := range a.fields {
		f := &a.fields[i]
		v := f.value
		switch name := f.name; {
		case v.wrong:
		case strings.HasPrefix(name, appArmorPrefix):
			p.appArmor(f)
		case name == "kubernetes.io/config.mirror":
			if p.spec.get("nodeName").str() == "" {
				p.invalid(v, "a mirror pod needs spec.nodeName", "leave the annotation out")
			}
		case name == "controller.kubernetes.io/pod-deletion-cost":
			if n, err := strconv.ParseInt(v.text, 10, 32); err != nil || strconv.FormatInt(n, 10) != v.text {
				p.invalid(v, "want a whole number, have "+quote(v.text), "")
			}
		case name == "kubernetes.io/ingress-bandwidth" || name == "kubernetes.io/egress-bandwidth":
			if _, err := ParseQuantity(v.text); err != nil {
				p.unsupported(f, "not supported: a bandwidth that is not a quantity: "+quote(v.text), "")
			} else {
				p.unsupported(f, "not yet supported: a limit of network traffic", "")
			}
		case strings.HasPrefix(name, "seccomp.security.alpha.kubernetes.io/pod"), strings.HasPrefix(name, "container.seccomp.security.alpha.kubernetes.io/"):
			if !isSeccompWord(v.text) {
				p.invalid(v, "want runtime/default, unconfined or localhost/FILE, have "+quote(v.text), "")
			} else {
				p.warn(f, "no effect here: no cluster has heeded this annotation since 1.27; the field is seccompProfile")
			}
		}
	}
}

func isSeccompWord(s string) bool {
	file, local := strings.CutPrefix(s, "localhost/")
	return s == "runtime/default" || s == "docker/default" || s == "unconfined" || local && !climbs(file) && !strings.HasPrefix(file, "/")
}

// appArmor judges the annotation that came before appArmorProfile.
func (p podRules) appArmor(f *field) {
	v := f.value
	name := strings.TrimPrefix(f.name, appArmorPrefix)
	has := func(c *node) bool { return c.get("name").str() == name }
	if !slices.ContainsFunc(p.spec.list("containers"), has) && !slices.ContainsFunc(p.spec.list("initContainers"), has) {
		p.fault(Invalid, f.line, f.col, v.path(), "there is no container "+quote(name), "")
		return
	}
	file, local := strings.CutPrefix(v.text, "localhost/")
	switch {
	case v.text == "unconfined" || v.text == "":
	case v.text == "runtime/default", local && file != "":
		p.unsupported(f, "not yet supported: a profile of the AppArmor security module", "")
	default:
		p.invalid(v, "want runtime/default, unconfined or localhost/PROFILE, have "+quote(v.text), "")
	}
}
