package spec

import "strings"

// safeSysctls can be set by any pod: they change nothing outside it. Kubernetes
// keeps the list in pkg/kubelet/sysctl.
var safeSysctls = [...]string{
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_wmem",
	"net.ipv4.tcp_slow_start_after_idle",
	"net.ipv4.tcp_notsent_lowat",
}

// sysctlNamespace is which namespace a kernel parameter belongs to: "ipc",
// "net", or "" for one of the whole machine.
func sysctlNamespace(name string) string {
	for _, prefix := range [...]string{"kernel.shm", "kernel.msg", "fs.mqueue."} {
		if strings.HasPrefix(name, prefix) {
			return "ipc"
		}
	}
	switch {
	case name == "kernel.sem":
		return "ipc"
	case strings.HasPrefix(name, "net."):
		return "net"
	}
	return ""
}

// dotted is a sysctl's name with dots between its parts. As for sysctl(8), the
// first separator decides which of dot and slash separates.
func dotted(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '.' {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// security judges spec.securityContext.
func (p podRules) security() {
	s := p.spec.get("securityContext")
	p.hostProcess(s)
	if s == nil {
		return
	}
	p.users(s)
	p.id(s.get("fsGroup"))
	for _, g := range s.list("supplementalGroups") {
		p.id(g)
	}
	p.oneOf(s.get("supplementalGroupsPolicy"), "Merge", "Strict")
	p.oneOf(s.get("fsGroupChangePolicy"), "Always", "OnRootMismatch")
	p.oneOf(s.get("seLinuxChangePolicy"), "Recursive", "MountOption")
	seen := map[string]bool{}
	for _, ctl := range s.list("sysctls") {
		p.sysctl(ctl, seen)
	}
}

func (p podRules) sysctl(n *node, seen map[string]bool) {
	name := p.need(n, "name")
	if name == nil {
		return
	}
	if !isSysctlName(name.text) {
		p.invalid(name, "want a-z, 0-9, - and _ between dots, have "+quote(name.text), "")
		return
	}
	p.unique(seen, name)
	dots := dotted(name.text)
	space := sysctlNamespace(dots)
	f := n.look("name")
	for kind, field := range map[string]string{"net": "hostNetwork", "ipc": "hostIPC"} {
		if space == kind && p.spec.get(field).yes() {
			p.invalid(name, "may not be set with "+field+": true: it would change the host's "+dots, "")
			return
		}
	}
	switch {
	case name.wrong:
	case space == "":
		p.unsupported(f, "not supported: "+dots+" belongs to the whole machine; no kubelet starts a pod that sets it", "")
	case strings.Contains(dots, "/"):
		p.unsupported(f, "not supported: a slash within a part of the name", "")
	case !p.o.AllowUnsafeSysctls && !isSafe(dots):
		p.unsupported(f, "not supported: "+dots+" is not on Kubernetes' safe list; a kubelet has to allow it by name", "run with --allow-unsafe-sysctls")
	}
}

func isSafe(name string) bool {
	for _, s := range safeSysctls {
		if s == name {
			return true
		}
	}
	return false
}

// users judges what a pod's and a container's context share.
func (p podRules) users(s *node) {
	p.id(s.get("runAsUser"))
	p.id(s.get("runAsGroup"))
	p.profile(s.get("seccompProfile"), true)
	p.profile(s.get("appArmorProfile"), false)
	if w := s.look("windowsOptions"); w != nil && p.spec.get("os").get("name").str() == "linux" {
		p.forbidden(s, "windowsOptions", "may not be set for a Linux pod")
	}
}

// profile judges seccompProfile and appArmorProfile.
func (p podRules) profile(n *node, seccomp bool) {
	if n == nil {
		return
	}
	kind := p.need(n, "type")
	p.oneOf(kind, "RuntimeDefault", "Unconfined", "Localhost")
	local := n.get("localhostProfile")
	switch {
	case kind.str() != "Localhost":
		p.forbidden(n, "localhostProfile", "may be set with type: Localhost only")
	case local == nil:
		p.missing(n, "localhostProfile", "required with type: Localhost")
	case seccomp:
		p.below(local)
	case strings.TrimSpace(local.text) != local.text || local.text == "" || len(local.text) > 4095:
		p.invalid(local, "want the name of a profile, have "+quote(local.text), "")
	}
}

// containerSecurity judges a container's securityContext.
func (p podRules) containerSecurity(c *node) {
	s := c.get("securityContext")
	p.nonRoot(c, s)
	if s == nil {
		return
	}
	p.users(s)
	mount := s.get("procMount")
	p.oneOfSet(mount, "Default", "Unmasked")
	users := p.spec.get("hostUsers")
	if mount.str() == "Unmasked" && (users == nil || users.yes()) {
		p.invalid(mount, "Unmasked needs hostUsers: false", "")
	}
	escalate := s.get("allowPrivilegeEscalation")
	if escalate == nil || escalate.yes() {
		return
	}
	if s.get("privileged").yes() {
		p.invalid(escalate, "may not be false with privileged: true", "")
	}
	for _, name := range s.get("capabilities").list("add") {
		if name.text == "CAP_SYS_ADMIN" {
			p.invalid(escalate, "may not be false with the capability CAP_SYS_ADMIN", "")
		}
	}
}

// nonRoot: the API server accepts a pod that asks not to run as root and does;
// a kubelet refuses to start it, and so does podlab, before anything is started.
func (p podRules) nonRoot(c, s *node) {
	pod := p.spec.get("securityContext")
	f, user := s.look("runAsNonRoot"), s.get("runAsUser")
	if s.get("runAsNonRoot") == nil {
		f = pod.look("runAsNonRoot")
	}
	if user == nil {
		user = pod.get("runAsUser")
	}
	if f == nil || !f.value.yes() || user.num() != 0 {
		return
	}
	msg := "not supported: the container " + quoteless(c.get("name").str()) + " would run as uid 0; a kubelet does not start it"
	p.unsupported(f, msg, "set runAsUser to another uid")
}

// hostProcess is of Windows, where it needs the host's network.
func (p podRules) hostProcess(s *node) {
	host := s.get("windowsOptions").get("hostProcess").yes()
	all := true
	for _, kind := range []string{"containers", "initContainers"} {
		for _, c := range p.spec.list(kind) {
			if own := c.get("securityContext").get("windowsOptions").get("hostProcess"); own.yes() {
				host = true
			} else if !host {
				all = false
			}
		}
	}
	if host && !p.spec.get("hostNetwork").yes() {
		p.missing(p.spec, "hostNetwork", "hostProcess containers need hostNetwork: true")
	}
	if host && !all {
		p.missing(p.spec, "containers", "if one container is a hostProcess, all have to be")
	}
}
