package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// Rules of what decides where a cluster runs the pod. podlab ignores all of it,
// but a manifest that it takes is one that kubectl apply takes.

// scheduling judges names of classes and accounts, and what picks a node.
func (p podRules) scheduling() {
	s := p.spec
	for _, name := range []string{"serviceAccountName", "nodeName", "priorityClassName"} {
		if v := s.get(name); v.str() != "" {
			p.subdomain(v)
		}
	}
	p.subdomain(s.get("runtimeClassName")) // a pointer: an empty name is a fault
	if old := s.get("serviceAccount"); old.str() != "" && s.get("serviceAccountName").str() != "" && old.text != s.get("serviceAccountName").text {
		p.invalid(old, "want the same name as serviceAccountName, or none", "")
	}
	p.oneOf(s.get("preemptionPolicy"), "PreemptLowerPriority", "Never")
	p.labels(s.get("nodeSelector"))
	for _, t := range s.list("tolerations") {
		p.toleration(t)
	}
	a := s.get("affinity")
	p.nodeAffinity(a.get("nodeAffinity"))
	for _, kind := range []string{"podAffinity", "podAntiAffinity"} {
		for _, t := range a.get(kind).list("requiredDuringSchedulingIgnoredDuringExecution") {
			p.affinityTerm(t)
		}
		for _, w := range a.get(kind).list("preferredDuringSchedulingIgnoredDuringExecution") {
			p.weight(w)
			if t := w.get("podAffinityTerm"); t != nil {
				p.affinityTerm(t)
			} else {
				p.missing(w, "podAffinityTerm", "required, and not there")
			}
		}
	}
	p.spread()
	p.gates()
	if o := s.get("overhead"); o != nil {
		for i := range o.fields {
			p.resourceName(o, &o.fields[i], false)
		}
	}
	p.resources(s.get("resources"), true)
}

func (p podRules) gates() {
	for _, g := range p.spec.list("readinessGates") {
		p.qualified(p.need(g, "conditionType"))
	}
	seen := map[string]bool{}
	for _, g := range p.spec.list("schedulingGates") {
		name := p.need(g, "name")
		p.qualified(name)
		p.unique(seen, name)
	}
	if len(seen) > 0 && p.spec.get("nodeName").str() != "" {
		p.forbidden(p.spec, "nodeName", "may not be set together with schedulingGates")
	}
}

func (p podRules) toleration(t *node) {
	key, op, value, effect := t.get("key"), t.get("operator"), t.get("value"), t.get("effect")
	if key.str() != "" {
		p.qualified(key)
	} else if op.str() != "Exists" {
		p.invalid(firstOf(op, t), "want operator: Exists where there is no key", "")
	}
	p.oneOfSet(op, "Exists", "Equal", "Lt", "Gt")
	switch op.str() {
	case "", "Equal":
		p.labelValue(value)
	case "Exists":
		if value.str() != "" {
			p.invalid(value, "want no value with operator: Exists", "")
		}
	case "Lt", "Gt":
		if _, err := strconv.ParseInt(value.str(), 10, 64); err != nil {
			p.invalid(firstOf(value, t), "want a whole number in quotes with operator: "+op.text, "")
		}
	}
	p.oneOfSet(effect, "NoSchedule", "PreferNoSchedule", "NoExecute")
	if t.get("tolerationSeconds") != nil && effect.str() != "NoExecute" {
		p.invalid(firstOf(effect, t), "want effect: NoExecute with tolerationSeconds", "")
	}
}

// firstOf is where to point: at what is wrong, else at what it is missing from.
func firstOf(ns ...*node) *node {
	for _, n := range ns {
		if n != nil {
			return n
		}
	}
	return nil
}

func (p podRules) nodeAffinity(n *node) {
	if r := n.get("requiredDuringSchedulingIgnoredDuringExecution"); r != nil {
		p.need(r, "nodeSelectorTerms")
		for _, t := range r.list("nodeSelectorTerms") {
			p.selectorTerm(t, true)
		}
	}
	for _, w := range n.list("preferredDuringSchedulingIgnoredDuringExecution") {
		p.weight(w)
		if t := w.get("preference"); t != nil {
			p.selectorTerm(t, false)
		} else {
			p.missing(w, "preference", "required, and not there")
		}
	}
}

func (p podRules) weight(w *node) {
	if f := w.look("weight"); f == nil || f.value.class == nullClass {
		p.missing(w, "weight", "want a number from 1 to 100")
	}
	p.between(w.get("weight"), 1, 100)
}

func (p podRules) selectorTerm(t *node, values bool) {
	for _, e := range t.list("matchExpressions") {
		p.requirement(e, "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
		for _, v := range e.list("values") {
			if values {
				p.labelValue(v)
			}
		}
	}
	for _, e := range t.list("matchFields") {
		p.oneOf(p.need(e, "key"), "metadata.name")
		p.oneOf(p.need(e, "operator"), "In", "NotIn")
		if len(e.list("values")) != 1 {
			p.invalid(firstOf(e.get("values"), e), "want exactly one value", "")
		}
		for _, v := range e.list("values") {
			p.subdomain(v)
		}
	}
}

// requirement judges key, operator and values of a selector.
func (p podRules) requirement(e *node, operators ...string) {
	p.qualified(p.need(e, "key"))
	op := p.need(e, "operator")
	p.oneOf(op, operators...)
	values := e.get("values")
	count := len(e.list("values"))
	if op == nil || op.wrong {
		return
	}
	switch op.text {
	case "In", "NotIn":
		if count == 0 {
			p.invalid(firstOf(values, e), "want values with operator: "+op.text, "")
		}
	case "Exists", "DoesNotExist":
		if count > 0 {
			p.invalid(values, "want no values with operator: "+op.text, "")
		}
	case "Gt", "Lt":
		if count != 1 {
			p.invalid(firstOf(values, e), "want exactly one value with operator: "+op.text, "")
		}
	}
}

// labelSelector judges matchLabels and matchExpressions.
func (p podRules) labelSelector(n *node) {
	p.labels(n.get("matchLabels"))
	for _, e := range n.list("matchExpressions") {
		p.requirement(e, "In", "NotIn", "Exists", "DoesNotExist")
		for _, v := range e.list("values") {
			p.labelValue(v)
		}
	}
}

func (p podRules) affinityTerm(t *node) {
	p.labelSelector(t.get("labelSelector"))
	p.labelSelector(t.get("namespaceSelector"))
	for _, n := range t.list("namespaces") {
		p.label(n)
	}
	p.qualified(p.need(t, "topologyKey"))
	p.matchKeys(t, "matchLabelKeys", "mismatchLabelKeys")
}

// matchKeys judges label keys whose values come from the pod itself.
func (p podRules) matchKeys(t *node, names ...string) {
	for _, name := range names {
		if len(t.list(name)) > 0 && t.get("labelSelector") == nil {
			p.forbidden(t, name, "may not be set without labelSelector")
		}
		for _, k := range t.list(name) {
			p.qualified(k)
		}
	}
	if len(names) < 2 {
		return
	}
	for _, k := range t.list(names[0]) {
		for _, other := range t.list(names[1]) {
			if k.text == other.text {
				p.invalid(k, quote(k.text)+" is in "+names[1]+" too", "")
			}
		}
	}
}

func (p podRules) spread() {
	seen := map[string]bool{}
	for _, c := range p.spec.list("topologySpreadConstraints") {
		skew := c.get("maxSkew")
		if f := c.look("maxSkew"); f == nil || f.value.class == nullClass {
			p.missing(c, "maxSkew", "want a number of 1 or more")
		}
		p.atLeast(skew, 1)
		key := p.need(c, "topologyKey")
		action := p.need(c, "whenUnsatisfiable")
		p.oneOf(action, "DoNotSchedule", "ScheduleAnyway")
		if pair := key.str() + " " + action.str(); key != nil && action != nil && !key.wrong {
			if seen[pair] {
				p.invalid(key, fmt.Sprintf("a second constraint for %s and %s", quote(key.text), action.text), "")
			}
			seen[pair] = true
		}
		if m := c.get("minDomains"); m != nil {
			p.atLeast(m, 1)
			if action.str() != "DoNotSchedule" {
				p.invalid(m, "want whenUnsatisfiable: DoNotSchedule with minDomains", "")
			}
		}
		p.oneOf(c.get("nodeAffinityPolicy"), "Ignore", "Honor")
		p.oneOf(c.get("nodeTaintsPolicy"), "Ignore", "Honor")
		p.labelSelector(c.get("labelSelector"))
		p.matchKeys(c, "matchLabelKeys")
	}
}

// network judges DNS, which podlab refuses for now.
func (p podRules) network() {
	policy, config := p.spec.get("dnsPolicy"), p.spec.get("dnsConfig")
	p.oneOfSet(policy, "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
	servers := config.list("nameservers")
	if policy.str() == "None" && len(servers) == 0 {
		p.missing(p.spec, "dnsConfig", "want nameservers with dnsPolicy: None")
	}
	if len(servers) > 3 {
		p.invalid(config.get("nameservers"), "want at most 3 nameservers", "")
	}
	for _, s := range servers {
		if !s.wrong && !isAddress(s.text) {
			p.invalid(s, "want an IP address, have "+quote(s.text), "")
		}
	}
	searches := config.list("searches")
	length := 0
	for _, s := range searches {
		length += len(s.text) + 1
		if name := strings.TrimSuffix(s.text, "."); !s.wrong && s.text != "." && !isSubdomain(strings.ReplaceAll(name, "_", "-")) {
			p.subdomain(s)
		}
	}
	if len(searches) > 32 || length > 2049 {
		p.invalid(config.get("searches"), "want at most 32 domains and 2048 characters", "")
	}
	for _, o := range config.list("options") {
		p.need(o, "name")
	}
}
