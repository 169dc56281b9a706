package spec

import (
	"slices"
	"strings"
)

// Rules of fields that podlab refuses for now: a fault in them is reported
// beside the refusal.

// hooks judges probes and lifecycle.
func (p podRules) hooks(c *node) {
	for _, name := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		probe := c.get(name)
		if probe == nil {
			continue
		}
		p.handler(probe, "exec", "httpGet", "tcpSocket", "grpc")
		for _, f := range []string{"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"} {
			p.atLeast(probe.get(f), 0)
		}
		// 0 means the default, 1.
		if s := probe.get("successThreshold"); name != "readinessProbe" && s.num() > 1 {
			p.invalid(s, "want 1, have "+s.text, "")
		}
		if name == "readinessProbe" {
			p.forbidden(probe, "terminationGracePeriodSeconds", "a readiness probe kills nothing, so it has no grace period")
		} else {
			p.atLeast(probe.get("terminationGracePeriodSeconds"), 1)
		}
	}
	l := c.get("lifecycle")
	for _, name := range []string{"postStart", "preStop"} {
		if h := l.get(name); h != nil {
			p.handler(h, "exec", "httpGet", "tcpSocket", "sleep")
		}
	}
	if l.get("stopSignal") == nil {
		return
	}
	if os := p.spec.get("os"); os.get("name").str() == "" {
		p.forbidden(l, "stopSignal", "may not be set without spec.os.name")
	} else {
		p.signal(l.get("stopSignal"), os.get("name").str())
	}
}

// handler judges one way to look at a container or to tell it something.
func (p podRules) handler(h *node, kinds ...string) {
	p.oneSource(h, true, kinds...)
	if e := h.get("exec"); e != nil {
		p.need(e, "command")
	}
	if g := h.get("httpGet"); g != nil {
		p.port(g, "port")
		p.oneOfSet(g.get("scheme"), "HTTP", "HTTPS")
		for _, header := range g.list("httpHeaders") {
			if name := p.need(header, "name"); name != nil && !within(name.text, headerByte, "") {
				p.invalid(name, "want the name of a header, have "+quote(name.text), "")
			}
		}
	}
	if t := h.get("tcpSocket"); t != nil {
		p.port(t, "port")
	}
	if g := h.get("grpc"); g != nil {
		p.port(g, "port")
	}
	if s := h.get("sleep"); s != nil {
		grace := int64(30)
		if g := p.spec.get("terminationGracePeriodSeconds"); g != nil {
			grace = max(g.num(), 1)
		}
		p.between(s.get("seconds"), 0, grace)
	}
}

func headerByte(c byte) bool { return alnum(c) || strings.IndexByte("-_", c) >= 0 }

// port is a number or the name of one.
func (p podRules) port(in *node, name string) {
	n := p.need(in, name)
	switch {
	case n == nil:
	case n.class != stringClass:
		p.between(n, 1, 65535)
	case !isPortName(n.text):
		p.invalid(n, "want a port's number or its name, have "+quote(n.text), "")
	}
}

func (p podRules) signal(n *node, os string) {
	if os == "windows" {
		p.oneOf(n, "SIGKILL", "SIGTERM")
		return
	}
	name, ok := strings.CutPrefix(n.str(), "SIG")
	names := strings.Fields("ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ")
	if ok && !slices.Contains(names, name) && !strings.HasPrefix(name, "RTM") || !ok && n.str() != "" {
		p.invalid(n, "want the name of a signal, such as SIGTERM, have "+quote(n.text), "")
	}
}

// restart judges the policy of one container.
func (p podRules) restart(c *node) {
	policy := c.get("restartPolicy")
	p.oneOf(policy, "Always", "Never", "OnFailure")
	rules := c.list("restartPolicyRules")
	if len(rules) > 0 && policy == nil {
		p.missing(c, "restartPolicy", "required with restartPolicyRules")
	}
	if len(rules) > 20 {
		p.invalid(c.get("restartPolicyRules"), "want at most 20 rules", "")
	}
	for _, r := range rules {
		p.oneOf(p.need(r, "action"), "Restart", "RestartAllContainers")
		if codes := p.need(r, "exitCodes"); codes != nil {
			p.oneOf(p.need(codes, "operator"), "In", "NotIn")
			if len(codes.list("values")) > 255 {
				p.invalid(codes.get("values"), "want at most 255 values", "")
			}
		}
	}
}

// resources judges requests and limits.
func (p podRules) resources(n *node, ofPod bool) {
	if n == nil {
		return
	}
	limits := map[string]*Quantity{}
	sizes := func(kind string, each func(f *field, q *Quantity)) {
		m := n.get(kind)
		if m == nil {
			return
		}
		for i := range m.fields {
			f := &m.fields[i]
			if f.value.wrong {
				continue
			}
			p.resourceName(m, f, ofPod)
			q, err := ParseQuantity(f.value.text)
			if err == nil && q.Sign() < 0 {
				p.invalid(f.value, "want 0 or more, have "+f.value.text, "")
			} else if !overcommits(f.name) && q.MilliValue()%1000 != 0 {
				p.invalid(f.value, "want a whole number, have "+f.value.text, "")
			}
			each(f, &q)
		}
	}
	sizes("limits", func(f *field, q *Quantity) { limits[f.name] = q })
	sizes("requests", func(f *field, q *Quantity) {
		limit, ok := limits[f.name]
		switch {
		case ok && q.Cmp(limit) > 0:
			p.invalid(f.value, "want at most the limit, "+limit.String()+", have "+q.String(), "")
		case overcommits(f.name):
		case !ok:
			p.invalid(f.value, "want a limit too: "+quoteless(f.name)+" can't be shared", "")
		case q.Cmp(limit) != 0:
			p.invalid(f.value, "want the limit, "+limit.String()+": "+quoteless(f.name)+" can't be shared", "")
		}
	})
	claims := map[string]bool{}
	for _, c := range p.spec.list("resourceClaims") {
		claims[c.get("name").str()] = true
	}
	for _, c := range n.list("claims") {
		if name := p.need(c, "name"); name != nil && !claims[name.text] {
			p.invalid(name, "there is no claim "+quote(name.text)+" in spec.resourceClaims", "")
		}
	}
	if ofPod {
		p.forbidden(n, "claims", "may not be set for the pod as a whole")
	}
}

// overcommits is true for resources of Kubernetes' own, huge pages excepted.
func overcommits(name string) bool {
	native := !strings.Contains(name, "/") || strings.Contains(name, "kubernetes.io/")
	return native && !strings.HasPrefix(name, "hugepages-")
}

func (p podRules) resourceName(in *node, f *field, ofPod bool) {
	known := slices.Contains([]string{"cpu", "memory"}, f.name) || strings.HasPrefix(f.name, "hugepages-") ||
		!ofPod && (f.name == "ephemeral-storage" || strings.Contains(f.name, "/") && isQualified(f.name))
	if !known {
		p.fault(Invalid, f.line, f.col, join(in.path(), f.name), "want cpu, memory, ephemeral-storage, hugepages-SIZE or example.com/device, have "+quote(f.name), "")
		f.value.wrong = true
	}
}
