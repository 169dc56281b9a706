package pod

import (
	"errors"
	"fmt"
	"strings"

	"github.com/podlab/podlab/ns"
)

// shares: the pod is in the machine's namespace of kind k, because its manifest
// says so or because an experiment leaves it out (PlanOptions.Without).
func (pl *planner) shares(k ns.Kind) bool {
	s := &pl.pod.Spec
	switch {
	case pl.opts.Without.Has(k):
		return true
	case k == ns.IPC:
		return s.HostIPC
	case k == ns.PID:
		return s.HostPID
	case k == ns.Net:
		return s.HostNetwork
	case k == ns.UTS:
		return s.HostNetwork // as the kubelet: the node's network comes with its name
	}
	return false
}

// planWithout says what an experiment changes beside the namespaces, and refuses
// what would change the machine instead of the pod.
func (pl *planner) planWithout() error {
	w := pl.opts.Without
	if w.Has(ns.User) && pl.host.UID != 0 {
		return &HintError{errors.New("without user: an ordinary user's pod needs a user namespace: without one the kernel gives nobody but root any other (EPERM, clone(2))"),
			"leave out another kind, or try it as root"}
	}
	if sc := pl.pod.Spec.SecurityContext; sc != nil {
		for _, ctl := range sc.Sysctls {
			if k, ok := sysctlKind(ctl.Name); ok && w.Has(k) {
				return &HintError{fmt.Errorf("without %s: spec.securityContext.sysctls: %s would be set for the whole machine", k, ctl.Name), "leave the sysctl out of the manifest"}
			}
		}
	}
	if w.Has(ns.Mnt) {
		pl.tree.Notes = append(pl.tree.Notes, "without mount: the containers see this machine's files, /proc and /dev/shm as they are; none of their volumes is mounted, nothing is hidden or read-only")
	}
	return nil
}

// sysctlKind is the kind of namespace that a setting belongs to: ipc_namespaces(7),
// uts_namespaces(7), network_namespaces(7).
func sysctlKind(name string) (ns.Kind, bool) {
	name = strings.ReplaceAll(name, "/", ".")
	for _, p := range []struct {
		prefix string
		kind   ns.Kind
	}{
		{"kernel.shm", ns.IPC}, {"kernel.msg", ns.IPC}, {"kernel.sem", ns.IPC}, {"fs.mqueue.", ns.IPC},
		{"kernel.hostname", ns.UTS}, {"kernel.domainname", ns.UTS}, {"net.", ns.Net},
	} {
		if strings.HasPrefix(name, p.prefix) {
			return p.kind, true
		}
	}
	return 0, false
}
