package spec

import (
	"strconv"
	"strings"
)

// Rules are what kube-apiserver refuses (pkg/apis/core/validation), for every
// field that can come with an accepted manifest: also those that podlab ignores,
// and the commonest of those that it refuses.

// podRules judges a pod that was checked against the schema.
func (j *judge) podRules(n *node) {
	meta := n.get("metadata")
	if meta == nil {
		if f := n.look("metadata"); f == nil || !f.value.wrong {
			j.missing(n, "metadata.name", "a pod needs a name")
		}
	} else {
		j.metaRules(meta, true)
	}
	spec := n.get("spec")
	if spec == nil {
		if f := n.look("spec"); f == nil || !f.value.wrong {
			j.missing(n, "spec", "a pod needs spec.containers")
		}
		return
	}
	p := podRules{judge: j, spec: spec, meta: meta}
	p.volumes = p.volumeRules()
	p.identity()
	p.host()
	p.containerLists()
	p.security()
	p.scheduling()
	p.network()
	p.claims()
	p.annotations()
}

// podRules are the rules of one pod; all of them see its spec.
type podRules struct {
	*judge
	meta, spec *node
	volumes    map[string]*node
}

// metaRules judges metadata. Names of ConfigMaps and Secrets are those of pods.
func (j *judge) metaRules(n *node, pod bool) {
	if f := n.look("name"); f == nil || f.value.empty() && !f.value.wrong {
		if g := n.get("generateName"); pod && g.str() != "" {
			j.unsupported(n.look("generateName"), "not supported: podlab does not make up names", "write metadata.name")
		} else {
			j.missing(n, "name", "required, and not there")
		}
	}
	if v := n.get("name"); v.str() != "" {
		j.subdomain(v)
	}
	if g := n.get("generateName"); g.str() != "" && !isSubdomain(strings.TrimSuffix(g.text, "-")) {
		j.named(g, "want the beginning of a name, have ", true)
	}
	if v := n.get("namespace"); v.str() != "" {
		j.label(v)
	}
	if v := n.get("uid"); pod && v.str() != "" && (len(v.text) > 128 || !within(v.text, alnum, "-_.")) {
		j.fault(Unsupported, v.line, v.col, v.path(), "not supported: podlab takes letters, digits and - for a uid, have "+quote(v.text), "")
	}
	j.labels(n.get("labels"))
	size := 0
	if a := n.get("annotations"); a != nil {
		for i := range a.fields {
			f := &a.fields[i]
			size += len(f.name) + len(f.value.text)
			if !isQualified(strings.ToLower(f.name)) {
				j.badKey(a, f)
			}
		}
		if size > 256<<10 {
			j.invalid(a, "want at most 262144 bytes of annotations, have "+strconv.Itoa(size), "")
		}
	}
	for _, f := range n.list("finalizers") {
		j.qualified(f)
	}
}

// labels judges a mapping of labels, such as metadata.labels or nodeSelector.
func (j *judge) labels(n *node) {
	if n == nil {
		return
	}
	for i := range n.fields {
		f := &n.fields[i]
		if !isQualified(f.name) {
			j.badKey(n, f)
		}
		j.labelValue(f.value)
	}
}

func (j *judge) badKey(in *node, f *field) {
	j.fault(Invalid, f.line, f.col, in.path(), "want a key of letters, digits, -, _ and ., perhaps with example.com/ before it, have "+quote(f.name), "")
}

// identity is what the pod says of itself and of its end.
func (p podRules) identity() {
	s := p.spec
	p.oneOfSet(s.get("restartPolicy"), "Always", "OnFailure", "Never")
	p.between(s.get("activeDeadlineSeconds"), 1, 1<<31-1)
	if h := s.get("hostname"); h.str() != "" {
		p.label(h)
	}
	if d := s.get("subdomain"); d.str() != "" {
		p.label(d)
	}
	if o := s.get("hostnameOverride"); o != nil {
		if len(o.text) > 64 {
			p.invalid(o, "want at most 64 characters", "")
		}
		p.subdomain(o)
		if s.get("setHostnameAsFQDN").yes() {
			p.forbidden(s, "hostnameOverride", "may not be set together with setHostnameAsFQDN")
		} else if s.get("hostNetwork").yes() {
			p.forbidden(s, "hostnameOverride", "may not be set with hostNetwork: true")
		}
	}
	if os := s.get("os"); os != nil {
		p.oneOf(p.need(os, "name"), "linux", "windows")
	}
	for _, a := range s.list("hostAliases") {
		if ip := p.need(a, "ip"); ip != nil && !isAddress(ip.text) {
			p.invalid(ip, "want an IP address, have "+quote(ip.text), "")
		}
		for _, h := range a.list("hostnames") {
			p.subdomain(h)
		}
	}
}

// host is about sharing the host's namespaces.
func (p podRules) host() {
	s := p.spec
	pid, ipc := s.get("hostPID").yes(), s.get("hostIPC").yes()
	if share := s.get("shareProcessNamespace"); share.yes() && pid {
		p.invalid(share, "may not be true together with hostPID", "hostPID already shares all processes")
	}
	if users := s.get("hostUsers"); users == nil || users.yes() || users.wrong {
		return
	}
	const why = "may not be true with hostUsers: false: the new user namespace has no say over the host's"
	for name, set := range map[string]bool{"hostPID": pid, "hostIPC": ipc, "hostNetwork": s.get("hostNetwork").yes()} {
		if set {
			p.forbidden(s, name, why)
		}
	}
}

// claims are resource claims, which podlab refuses; their names are judged.
func (p podRules) claims() {
	seen := map[string]bool{}
	for _, c := range p.spec.list("resourceClaims") {
		name := p.need(c, "name")
		p.label(name)
		p.unique(seen, name)
		p.oneSource(c, true, "resourceClaimName", "resourceClaimTemplateName")
	}
}
