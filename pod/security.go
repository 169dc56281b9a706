package pod

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// user is who a container runs as, in the pod's ids.
type user struct {
	UID, GID int
	Groups   []int // supplementary
}

// userOf is what the manifest says: the container's securityContext wins over
// the pod's, field by field.
func userOf(p *spec.Pod, c *spec.Container) user {
	var u user
	if sc := p.Spec.SecurityContext; sc != nil {
		u.UID, u.GID = id(sc.RunAsUser, 0), id(sc.RunAsGroup, 0)
		for _, g := range sc.SupplementalGroups {
			u.Groups = append(u.Groups, int(g))
		}
		if sc.FSGroup != nil {
			u.Groups = append(u.Groups, int(*sc.FSGroup))
		}
	}
	if sc := c.SecurityContext; sc != nil {
		u.UID, u.GID = id(sc.RunAsUser, u.UID), id(sc.RunAsGroup, u.GID)
	}
	slices.Sort(u.Groups)
	u.Groups = slices.Compact(u.Groups)
	return u
}

func id(p *int64, or int) int {
	if p == nil {
		return or
	}
	return int(*p)
}

// HintError is an error with advice on a line of its own.
type HintError struct {
	Err  error
	Hint string
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// idMaps decides on the pod's user namespace: none for root, unless the
// manifest says hostUsers: false, and always one for an ordinary user, who has
// no right to any other namespace without it.
func idMaps(p *spec.Pod, h Host, o PlanOptions) (*ns.IDMaps, error) {
	hostUsers := p.Spec.HostUsers == nil || *p.Spec.HostUsers || o.Without.Has(ns.User)
	switch {
	case h.UID == 0 && hostUsers:
		return nil, nil
	case h.UID == 0:
		m := ns.RangeIDs(o.IDBase, idRange)
		return &ns.IDMaps{UIDs: m, GIDs: m}, checkMapped(p, m, m)
	case len(h.SubUID) > 0:
		m := rangeIDs(h)
		return m, checkMapped(p, m.UIDs, m.GIDs)
	}
	return singleID(p, h)
}

// rangeIDs gives a pod the caller's own ids as 0 and his range from 1.
func rangeIDs(h Host) *ns.IDMaps {
	return &ns.IDMaps{UIDs: ns.SpreadIDs(0, h.UID, h.SubUID), GIDs: ns.SpreadIDs(0, h.GID, h.SubGID), Helpers: true}
}

const rangeHint = "give yourself a range: apt install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER"

// singleID maps the one user and group that all containers run as to the
// caller's own: all that the kernel allows without a range.
func singleID(p *spec.Pod, h Host) (*ns.IDMaps, error) {
	first := userOf(p, &p.Spec.Containers[0])
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		u := userOf(p, c)
		if u.UID != first.UID || u.GID != first.GID {
			return nil, &HintError{fmt.Errorf("%s runs as %d:%d and %s as %d:%d, but this user may give a pod only one user and group id",
				p.Spec.Containers[0].Name, first.UID, first.GID, c.Name, u.UID, u.GID), rangeHint}
		}
		for _, g := range u.Groups {
			if g != first.GID {
				return nil, &HintError{fmt.Errorf("group %d of securityContext: this user may give a pod only one group id, and that is %d", g, first.GID), rangeHint}
			}
		}
	}
	return &ns.IDMaps{UIDs: ns.SingleID(first.UID, h.UID), GIDs: ns.SingleID(first.GID, h.GID)}, nil
}

// checkMapped refuses ids that the pod's map has no room for.
func checkMapped(p *spec.Pod, uids, gids ns.IDMap) error {
	for i := range p.Spec.Containers {
		u := userOf(p, &p.Spec.Containers[i])
		if _, ok := uids.ToHost(u.UID); !ok {
			return fmt.Errorf("%s: user %d is outside the ids of the pod's user namespace", p.Spec.Containers[i].Name, u.UID)
		}
		for _, g := range append([]int{u.GID}, u.Groups...) {
			if _, ok := gids.ToHost(g); !ok {
				return fmt.Errorf("%s: group %d is outside the ids of the pod's user namespace", p.Spec.Containers[i].Name, g)
			}
		}
	}
	return nil
}

// ownRange: the pod has ids that are nobody's on the host, not even the
// caller's.
func (pl *planner) ownRange() bool { return pl.ids != nil && pl.host.UID == 0 }

// single: the kernel denies setgroups, and there is one user.
func (pl *planner) single() bool { return pl.ids != nil && pl.host.UID != 0 && !pl.ids.Helpers }

// needsAmbient: execve takes all capabilities from a user that is not root in
// its namespace, unless they are ambient (capabilities(7)), and the stage needs
// some.
func (pl *planner) needsAmbient() bool {
	return pl.single() && pl.ids.UIDs[0].Inside != 0
}

// stageCaps is what making a container takes, and joining one whose process has
// made itself undumpable (ptrace(2), PTRACE_MODE_READ).
const stageCaps = ns.DefaultCaps | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_PTRACE

// owner is the option of a tmpfs that gives it to the pod's root. Without it
// the file system belongs to whoever mounts it, who may be nobody in the pod.
func (pl *planner) owner() string {
	if pl.ids == nil {
		return ""
	}
	if pl.single() {
		return fmt.Sprintf(",uid=%d,gid=%d", pl.ids.UIDs[0].Inside, pl.ids.GIDs[0].Inside)
	}
	return ",uid=0,gid=0"
}

// credentials makes the container's process who it is to be. The order is the
// kernel's: dropping from the bounding set takes CAP_SETPCAP, groups and ids
// take CAP_SETGID and CAP_SETUID.
func (pl *planner) credentials(c *spec.Container, in *steps) {
	u := userOf(pl.pod, c)
	keep := ns.DefaultCaps
	in.add("caps.bound", ns.BoundCaps{Keep: keep, Last: pl.host.LastCap})
	if !pl.single() {
		gids := make([]uint32, len(u.Groups))
		for i, g := range u.Groups {
			gids[i] = uint32(g)
		}
		in.add("cred.setgroups", ns.SetGroups{GIDs: gids})
	}
	in.add("cred.setgid", ns.SetGID{GID: uint32(u.GID)})
	in.add("cred.setuid", ns.SetUID{UID: uint32(u.UID)})
	if u.UID != 0 {
		keep = 0
	}
	in.add("caps.set", ns.SetCaps{Keep: keep})
	in.add("cred.nnp", ns.NoNewPrivs{})
}

// session is what a process has for itself, and a child of it would not have. The
// parent-death signal is lost when the ids change.
func (pl *planner) session(in *steps) {
	in.add("cred.session", ns.Session{})
	in.add("cred.keyring", ns.Keyring{})
	in.add("cred.death", ns.DeathSignal{})
}

var errNoCommand = errors.New("no command: the manifest gives none, and without an image there is no entrypoint to fall back on")
