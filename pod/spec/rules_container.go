package spec

import (
	"cmp"
	"slices"
	"strings"
)

// containerLists judges the three lists of containers; names are unique over
// all of them, ports of the host only where containers run at the same time.
func (p podRules) containerLists() {
	s := p.spec
	names := map[string]bool{}
	if f := s.look("containers"); f == nil || !f.value.wrong && f.value.empty() {
		p.missing(s, "containers", "a pod needs at least one container")
	}
	hostPorts := map[string]bool{}
	for _, c := range s.list("containers") {
		p.command(c)
		p.noNUL(c)
		p.unique(names, p.container(c))
		p.ports(c, hostPorts)
		p.hooks(c)
		p.restart(c)
	}
	for _, c := range s.list("initContainers") {
		p.unique(names, p.container(c))
		p.ports(c, map[string]bool{})
		p.restart(c)
		if c.get("restartPolicy").str() == "Always" {
			p.hooks(c)
			continue
		}
		for _, f := range []string{"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"} {
			p.forbidden(c, f, "an init container may have this only with restartPolicy: Always")
		}
	}
	if f := s.look("ephemeralContainers"); f != nil && !f.value.wrong && !f.value.empty() {
		p.fault(Invalid, f.line, f.col, f.value.path(), "may not be set when a pod is created", "kubectl debug adds them to a running pod")
	}
	for _, c := range s.list("ephemeralContainers") {
		p.unique(names, p.container(c))
		p.ports(c, map[string]bool{})
		for _, f := range []string{"ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources", "resizePolicy"} {
			if v := c.look(f); v != nil && !v.value.empty() {
				p.forbidden(c, f, "an ephemeral container may not have this")
			}
		}
	}
}

// noNUL: a string may hold a NUL byte, but the kernel's strings end at one.
func (p podRules) noNUL(n *node) {
	if n.class == stringClass && strings.Contains(n.text, "\x00") {
		p.fault(Unsupported, n.line, n.col, n.path(), "not supported: a NUL byte, where a string of the kernel would end", "")
	}
	for i := range n.fields {
		p.noNUL(n.fields[i].value)
	}
	for _, item := range n.items {
		p.noNUL(item)
	}
}

// command: a cluster would run the image's entrypoint where there is none, and
// podlab has no image to ask.
func (p podRules) command(c *node) {
	if f := c.look("workingDir"); f != nil && f.value.str() != "" && !strings.HasPrefix(f.value.str(), "/") {
		p.unsupported(f, "not supported: a working directory that isn't absolute", "write /"+f.value.str())
	}
	for i, word := range c.list("command") {
		if i == 0 && word.class == stringClass && word.text == "" {
			p.fault(Unsupported, word.line, word.col, word.path(), "not supported: an empty name of a program", "")
		}
	}
	if f := c.look("command"); f != nil && (f.value.wrong || !f.value.empty()) {
		return
	}
	for _, e := range p.errs {
		if strings.HasPrefix(e.Path, c.path()+".") {
			return // it may be there, misspelt
		}
	}
	at := c.look("args")
	if at == nil {
		at = c.look("image")
	}
	line, col := c.line, c.col
	if at != nil {
		line, col = at.line, at.col
	}
	p.fault(Unsupported, line, col, join(c.path(), "command"), "not supported: no command, and no image whose entrypoint podlab could take", `add command: [sh, -c, "…"]`)
}

// container judges what all containers have, and returns the name.
func (p podRules) container(c *node) (name *node) {
	name = p.need(c, "name")
	p.label(name)
	if i := c.get("image"); i != nil && strings.TrimSpace(i.text) != i.text {
		p.invalid(i, "want an image name without spaces around it, have "+quote(i.text), "")
	}
	p.oneOfSet(c.get("imagePullPolicy"), "Always", "IfNotPresent", "Never")
	p.oneOfSet(c.get("terminationMessagePolicy"), "File", "FallbackToLogsOnError")
	p.env(c)
	p.mounts(c)
	p.resources(c.get("resources"), false)
	p.containerSecurity(c)
	seen := map[string]bool{}
	for _, r := range c.list("resizePolicy") {
		what, how := p.need(r, "resourceName"), p.need(r, "restartPolicy")
		p.oneOf(what, "cpu", "memory")
		p.unique(seen, what)
		p.oneOf(how, "NotRequired", "RestartContainer")
		if how.str() == "RestartContainer" && p.spec.get("restartPolicy").str() == "Never" {
			p.invalid(how, "want NotRequired, as the pod's restartPolicy is Never", "")
		}
	}
	return name
}

// ports judges a container's; those of the host are added to taken.
func (p podRules) ports(c *node, taken map[string]bool) {
	hostNetwork := p.spec.get("hostNetwork").yes()
	names := map[string]bool{}
	for _, port := range c.list("ports") {
		number := port.get("containerPort")
		if f := port.look("containerPort"); f == nil || !f.value.wrong && number.num() == 0 {
			p.missing(port, "containerPort", "required, and not there")
		}
		p.between(number, 1, 65535)
		if n := port.get("name"); n.str() != "" {
			if !isPortName(n.text) {
				p.invalid(n, "want at most 15 of a-z, 0-9 and -, at least one of them a letter, have "+quote(n.text), "")
			}
			p.unique(names, n)
		}
		protocol := port.get("protocol")
		p.oneOfSet(protocol, "TCP", "UDP", "SCTP")
		host := port.get("hostPort")
		if host.num() == 0 && hostNetwork {
			host = number // as the API server fills it in
		}
		if host.num() == 0 {
			continue
		}
		p.between(host, 1, 65535)
		if hostNetwork && number != nil && host.num() != number.num() {
			p.invalid(host, "want the same port as containerPort, as hostNetwork is true", "")
		}
		key := cmp.Or(protocol.str(), "TCP") + "/" + port.get("hostIP").str() + "/" + host.text
		if taken[key] {
			p.invalid(host, "the host's port "+host.text+" is already taken", "")
		}
		taken[key] = true
	}
}

var fieldPaths = []string{"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
	"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}

var volumeFieldPaths = []string{"metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"}

// env judges env and envFrom.
func (p podRules) env(c *node) {
	for _, e := range c.list("env") {
		name := p.need(e, "name")
		p.envName(name)
		from := e.get("valueFrom")
		if from == nil {
			continue
		}
		p.oneSource(from, true, "fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
		if e.get("value").str() != "" {
			p.invalid(from, "may not be set together with value", "keep one")
		}
		p.fieldRef(from.get("fieldRef"), fieldPaths)
		p.resourceRef(from.get("resourceFieldRef"), false)
		for _, kind := range []string{"configMapKeyRef", "secretKeyRef"} {
			if ref := from.get(kind); ref != nil {
				p.subdomain(p.need(ref, "name"))
				if key := p.need(ref, "key"); key != nil && !isDataKey(key.text) {
					p.invalid(key, "want letters, digits, -, _ and ., have "+quote(key.text), "")
				}
			}
		}
		p.fileRef(from.get("fileKeyRef"))
	}
	for _, e := range c.list("envFrom") {
		if prefix := e.get("prefix"); prefix.str() != "" {
			p.envName(prefix)
		}
		p.oneSource(e, true, "configMapRef", "secretRef")
		for _, kind := range []string{"configMapRef", "secretRef"} {
			if ref := e.get(kind); ref != nil {
				p.need(ref, "name")
			}
		}
	}
}

func (p podRules) envName(n *node) {
	if n != nil && !n.wrong && !isEnvName(n.text) {
		p.invalid(n, "want printable ASCII without =, have "+quote(n.text), "")
	}
}

// fieldRef judges a reference to a field of the pod.
func (p podRules) fieldRef(n *node, allowed []string) {
	if n == nil {
		return
	}
	if v := n.get("apiVersion"); v.str() != "" {
		p.oneOf(v, "v1")
	}
	path := p.need(n, "fieldPath")
	if path == nil || slices.Contains(allowed, path.text) {
		return
	}
	name, key, ok := subscript(path.text)
	switch {
	case !ok || name != "metadata.labels" && name != "metadata.annotations":
		if path.text == "spec.host" && slices.Contains(allowed, "spec.nodeName") {
			return // an old name that the API server still converts
		}
		p.oneOf(path, append([]string{"metadata.labels['key']", "metadata.annotations['key']"}, allowed...)...)
	case name == "metadata.labels" && !isQualified(key), !isQualified(strings.ToLower(key)):
		p.invalid(path, "want the key of a label or annotation in the brackets, have "+quote(key), "")
	}
}

// subscript splits metadata.labels['key'].
func subscript(path string) (name, key string, ok bool) {
	rest, ok := strings.CutSuffix(path, "']")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "['")
}

// resourceRef judges a reference to a request or limit.
func (p podRules) resourceRef(n *node, inVolume bool) {
	if n == nil {
		return
	}
	if inVolume {
		p.need(n, "containerName")
	}
	what := p.need(n, "resource")
	if what == nil {
		return
	}
	bound, name, _ := strings.Cut(what.text, ".")
	huge := strings.HasPrefix(name, "hugepages-")
	if bound != "limits" && bound != "requests" || !huge && !slices.Contains([]string{"cpu", "memory", "ephemeral-storage"}, name) {
		p.invalid(what, "want limits. or requests. and cpu, memory, ephemeral-storage or hugepages-SIZE, have "+quote(what.text), "")
		return
	}
	divisor := n.get("divisor")
	if divisor == nil {
		return
	}
	q, _ := ParseQuantity(divisor.text)
	allowed := []string{"0", "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}
	if name == "cpu" {
		allowed = []string{"0", "1m", "1"}
	}
	if !slices.Contains(allowed, q.String()) {
		p.invalid(divisor, "want "+anyOf(allowed[1:])+", have "+quote(divisor.text), "")
	}
}

func (p podRules) fileRef(n *node) {
	if n == nil {
		return
	}
	p.envName(p.need(n, "key"))
	p.noClimbing(p.need(n, "path"))
	name := p.need(n, "volumeName")
	p.label(name)
	if name == nil || name.wrong {
		return
	}
	if v := p.volumes[name.text]; v == nil {
		p.invalid(name, "there is no volume "+quote(name.text), p.volumeHint(name.text))
	} else if v.get("emptyDir") == nil {
		p.invalid(name, "want an emptyDir volume", "")
	}
}
