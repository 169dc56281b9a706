package cgroup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// A Mode says which versions of cgroups are in use.
type Mode uint8

const (
	None    Mode = iota // no cgroup file system is mounted
	Legacy              // version 1 alone
	Hybrid              // version 1 has controllers; version 2 is mounted, with the rest of them or none
	Unified             // version 2 has the controllers
)

// String is none, legacy, hybrid or unified.
func (m Mode) String() string {
	return [...]string{"none", "legacy", "hybrid", "unified"}[m]
}

// MarshalText is String, for JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Host is what Detect found.
type Host struct {
	Mode        Mode
	Hierarchies []Hierarchy // those that our process is in: v1 in the kernel's order, v2 last
	Subsystems  []Subsystem // the kernel's controllers, /proc/cgroups
}

// A Hierarchy is one tree of groups: version 2 is a single tree, version 1 has
// one per controller, or per set of controllers.
type Hierarchy struct {
	Version     int      // 1 or 2
	Controllers []string // v1: attached to the tree. v2: those that our group has (cgroup.controllers)
	Enabled     []string // v2: of these, what our group's children get (cgroup.subtree_control). Unless our group is the root, it can't give them any while processes are in it
	Name        string   // v1, without controllers: systemd
	Type        string   // v2: domain, threaded, … (cgroup.type); "" for the root of all

	Path  string // our group, as /proc/self/cgroup says it
	Mount string // where the tree is mounted; "" if nowhere
	Dir   string // our group's directory; "" if it is out of sight
	Top   string // the highest directory above Dir, or Dir itself, up to which we may do as below; "" for none

	Offered []string // v2: the controllers that Top has, and could pass down to us

	// Create tells whether we may make a group in Dir and move our own children
	// there. It is an answer from the permissions alone; cgroup.max.descendants
	// and the like can still refuse.
	Create bool
	Why    string // why not
	Do     string // and what would help, if there is something
}

// Hierarchy returns the tree that has the controller for us, by its name there:
// block I/O is blkio in version 1 and io in version 2.
func (h Host) Hierarchy(controller string) (Hierarchy, bool) {
	for _, t := range h.Hierarchies {
		if slices.Contains(t.Controllers, controller) || slices.Contains(t.Offered, controller) {
			return t, true
		}
	}
	return Hierarchy{}, false
}

// V2 returns the tree of version 2, if it is mounted.
func (h Host) V2() (Hierarchy, bool) {
	for _, t := range h.Hierarchies {
		if t.Version == 2 && t.Mount != "" {
			return t, true
		}
	}
	return Hierarchy{}, false
}

// Detect looks at this process's groups and at the mounts it sees.
func Detect() (Host, error) {
	const self, mounts, subsystems = "/proc/self/cgroup", "/proc/self/mountinfo", "/proc/cgroups"
	members, err := parseFile(self, ParseSelf)
	if errors.Is(err, os.ErrNotExist) {
		return Host{}, nil // a kernel without cgroups has no such file
	}
	if err != nil {
		return Host{}, err
	}
	infos, err := parseFile(mounts, parseMounts)
	if err != nil {
		return Host{}, err
	}
	h := layout(members, infos)
	h.Subsystems, err = parseFile(subsystems, ParseSubsystems)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without v1 may lack it
		return Host{}, err
	}
	for i := range h.Hierarchies {
		h.Hierarchies[i].look(os.Geteuid())
	}
	return h, nil
}

func parseFile[T any](path string, parse func(io.Reader) (T, error)) (T, error) {
	var none T
	f, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer f.Close()
	v, err := parse(f)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func parseMounts(r io.Reader) ([]*mountinfo.Info, error) {
	return mountinfo.GetMountsFromReader(r, nil)
}

// layout finds the tree of each membership among the mounts. It is a pure
// function of the texts in /proc.
func layout(members []Membership, mounts []*mountinfo.Info) Host {
	var h Host
	var v1, v2 bool // is there one with controllers, is there one at all
	for _, m := range members {
		t := Hierarchy{Version: 1, Controllers: m.Controllers, Name: m.Name, Path: m.Path}
		if m.ID == 0 {
			t.Version = 2
		}
		t.place(mounts)
		if t.Mount != "" {
			v1 = v1 || len(t.Controllers) > 0
			v2 = v2 || t.Version == 2
		}
		if t.Dir != "" && m.Deleted {
			t.Dir, t.Why = "", "our group was removed"
		}
		h.Hierarchies = append(h.Hierarchies, t)
	}
	// The kernel lists v1's trees from the youngest to the oldest, v2 last.
	slices.SortStableFunc(h.Hierarchies, func(a, b Hierarchy) int { return a.Version - b.Version })
	switch {
	case v1 && v2:
		h.Mode = Hybrid
	case v1:
		h.Mode = Legacy
	case v2:
		h.Mode = Unified // a named v1 tree beside it has no controllers
	}
	return h
}

// place fills in Mount and Dir: the first mount of the tree that shows our
// group, or else the first of the tree.
func (t *Hierarchy) place(mounts []*mountinfo.Info) {
	for i, m := range mounts {
		if !filepath.IsAbs(m.Mountpoint) || !t.mountedAs(m) || covered(m, mounts[i+1:]) {
			continue
		}
		if t.Mount == "" {
			t.Mount = m.Mountpoint
		}
		// A mount need not show the whole tree: Docker's begin at the
		// container's group, and the field root says so (proc_pid_mountinfo(5)),
		// counted like Path from the root of the cgroup namespace.
		if rest, ok := below(t.Path, m.Root); ok {
			t.Mount, t.Dir = m.Mountpoint, filepath.Join(m.Mountpoint, rest)
			return
		}
	}
	if t.Mount != "" {
		t.Why = "our group " + t.Path + " is out of sight of the mount " + t.Mount
	}
}

// mountedAs tells whether m is a mount of the tree. What a v1 mount shows is
// in the options of its super block: cpu,cpuacct or name=systemd.
func (t *Hierarchy) mountedAs(m *mountinfo.Info) bool {
	if t.Version == 2 {
		return m.FSType == "cgroup2"
	}
	if m.FSType != "cgroup" {
		return false
	}
	options := strings.Split(m.VFSOptions, ",")
	if len(t.Controllers) == 0 {
		return t.Name != "" && slices.Contains(options, "name="+t.Name)
	}
	for _, c := range t.Controllers {
		if !slices.Contains(options, c) {
			return false
		}
	}
	return true
}

// covered tells whether one of the later mounts lies over m. A mount is listed
// after its parent, so a later one at the same place or above isn't what m is
// mounted on, and hides it.
func covered(m *mountinfo.Info, later []*mountinfo.Info) bool {
	return slices.ContainsFunc(later, func(l *mountinfo.Info) bool {
		_, ok := below(m.Mountpoint, l.Mountpoint)
		return ok
	})
}

// below returns the rest of path under dir. Paths with /.. at their beginning
// (groups outside our cgroup namespace) have a known place only below a root
// that begins the same way.
func below(path, dir string) (string, bool) {
	if path == dir {
		return "", true
	}
	if dir != "/" {
		dir += "/"
	}
	rest, ok := strings.CutPrefix(path, dir)
	return rest, ok && filepath.IsLocal(rest)
}

// look asks for our group's directory what can be asked without a change to it.
func (t *Hierarchy) look(uid int) {
	if t.Dir == "" {
		if t.Why == "" {
			t.Why = "not mounted"
		}
		if t.Version == 2 && t.Mount == "" {
			t.Do = "as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup"
		}
		return
	}
	if t.Version == 2 {
		t.Controllers = words(filepath.Join(t.Dir, "cgroup.controllers"))
		t.Enabled = words(filepath.Join(t.Dir, "cgroup.subtree_control"))
		t.Type = strings.Join(words(filepath.Join(t.Dir, "cgroup.type")), " ")
	}
	err := t.mayCreate(t.Dir)
	if err != nil {
		t.Why, t.Do = t.because(err, uid)
		return
	}
	t.Create, t.Top = true, t.Dir
	for t.Top != t.Mount {
		up := filepath.Dir(t.Top)
		if t.mayCreate(up) != nil {
			break
		}
		t.Top = up
	}
	if t.Version == 2 {
		t.Offered = words(filepath.Join(t.Top, "cgroup.controllers"))
	}
}

// mayCreate asks for the permissions that making a group in dir and filling it
// take: mkdir(2) wants to write the directory. In version 2, moving a process
// wants to write cgroup.procs of the common ancestor of where it was and where
// it goes ("Delegation Containment" in cgroup-v2.rst), and giving children a
// controller wants to write cgroup.subtree_control.
func (t *Hierarchy) mayCreate(dir string) error {
	names := []string{"."}
	if t.Version == 2 {
		names = append(names, "cgroup.procs", "cgroup.subtree_control")
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		// By the effective ids, as the deed itself.
		if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
			return &os.PathError{Op: "access", Path: path, Err: err}
		}
	}
	return nil
}

// because explains a refusal.
func (t *Hierarchy) because(err error, uid int) (why, do string) {
	switch {
	case errors.Is(err, unix.EROFS):
		return t.Mount + " is mounted read-only, as in a container", "in Docker: --privileged; in Podman: --security-opt unmask=/sys/fs/cgroup"
	case !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM):
		return err.Error(), ""
	case t.Version == 1:
		// Its controllers trust whoever may write, all the way up.
		why = t.Dir + " belongs to another user; version 1 can't be given to ordinary users safely"
		if systemd() {
			do = "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line: version 2"
		}
		return why, do
	case uid == 0:
		return t.Dir + " belongs to another user: this root is one of a user namespace", ""
	case systemd():
		return t.Dir + " isn't delegated to this user", "systemd-run --user --scope --property=Delegate=yes podlab run …"
	}
	g := filepath.Join(t.Mount, "user-"+strconv.Itoa(uid))
	return t.Dir + " isn't delegated to this user", fmt.Sprintf(
		"as root: mkdir %[1]s; chown %d %[1]s %[1]s/cgroup.procs %[1]s/cgroup.subtree_control; echo PID of your shell > %[1]s/cgroup.procs", g, uid)
}

// systemd tells whether systemd is running, sd_booted(3).
func systemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// words are the words in a file, none if it can't be read.
func words(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}
