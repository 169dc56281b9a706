package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Membership is one line of /proc/PID/cgroup: a hierarchy, and which group of
// it the process is in.
type Membership struct {
	ID          int      // of the hierarchy; 0 is cgroup v2
	Controllers []string // attached to it; none for v2 and for a named hierarchy
	Name        string   // of a hierarchy without controllers: systemd
	Path        string   // from the root of our cgroup namespace; /.. leads out of it
	Deleted     bool     // v2: somebody removed the group after its processes became zombies
}

// ParseSelf reads /proc/PID/cgroup, cgroups(7).
func ParseSelf(r io.Reader) ([]Membership, error) {
	var ms []Membership
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// The path may hold colons: systemd names units so.
		f := strings.SplitN(lines.Text(), ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			return nil, fmt.Errorf("line %d: want ID:controllers:/path, have %q", len(ms)+1, lines.Text())
		}
		id, err := strconv.Atoi(f[0])
		if err != nil || id < 0 {
			return nil, fmt.Errorf("line %d: want a hierarchy's number, have %q", len(ms)+1, f[0])
		}
		m := Membership{ID: id, Path: f[2]}
		for c := range strings.SplitSeq(f[1], ",") {
			if name, ok := strings.CutPrefix(c, "name="); ok {
				m.Name = name
			} else if c != "" {
				m.Controllers = append(m.Controllers, c)
			}
		}
		m.Path, m.Deleted = strings.CutSuffix(m.Path, " (deleted)")
		ms = append(ms, m)
	}
	return ms, lines.Err()
}

// A Subsystem is one line of /proc/cgroups: a controller of the kernel.
type Subsystem struct {
	Name      string
	Hierarchy int  // the v1 hierarchy it is attached to; 0 is v2, or none
	Groups    int  // how many there are in its hierarchy
	Enabled   bool // false: cgroup_disable= on the kernel's command line
}

// ParseSubsystems reads /proc/cgroups, cgroups(7). Kernels since 6.14 may leave
// out the controllers that v1 doesn't have.
func ParseSubsystems(r io.Reader) ([]Subsystem, error) {
	var subs []Subsystem
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		var n [3]int
		if len(f) != 4 {
			return nil, fmt.Errorf("want 4 fields, have %q", lines.Text())
		}
		for i := range n {
			var err error
			if n[i], err = strconv.Atoi(f[i+1]); err != nil {
				return nil, fmt.Errorf("want three numbers, have %q", lines.Text())
			}
		}
		subs = append(subs, Subsystem{f[0], n[0], n[1], n[2] != 0})
	}
	return subs, lines.Err()
}
