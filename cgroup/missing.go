package cgroup

import (
	"fmt"
	"slices"
)

// Missing says why [Host.Hierarchy] finds no tree with the controller for us,
// and what would help, if there is something. It is a pure function of h.
func (h Host) Missing(controller string) (why, do string) {
	i := slices.IndexFunc(h.Subsystems, func(s Subsystem) bool { return s.Name == v1Name(controller) })
	v2, ok := h.V2()
	switch {
	case h.Mode == None:
		return "no cgroup file system is mounted", "as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup"
	case i >= 0 && !h.Subsystems[i].Enabled:
		// Debian's and Raspberry Pi's kernels come with memory switched off on some boards.
		return "switched off when this kernel was started", fmt.Sprintf("cgroup_enable=%s on the kernel's command line, or cgroup_disable taken away", v1Name(controller))
	case i >= 0 && h.Subsystems[i].Hierarchy != 0:
		return "its tree is a version 1 tree that isn't mounted here",
			fmt.Sprintf("as root: mkdir /sys/fs/cgroup/%[1]s; mount -t cgroup -o %[1]s cgroup /sys/fs/cgroup/%[1]s", v1Name(controller))
	case ok && v2.Dir != "" && v2.Dir != v2.Mount && i >= 0:
		why = "the groups above " + v2.Dir + " don't pass it down"
		if systemd() {
			do = "as root, in /etc/systemd/system/user@.service.d/delegate.conf: [Service] Delegate=cpu cpuset io memory pids; then log in again"
		}
		return why, do
	case i < 0:
		return "this kernel was built without it", ""
	}
	return "no tree that is mounted here has it", ""
}

// v1Name is the controller's name in /proc/cgroups, where io is blkio.
func v1Name(controller string) string {
	if controller == "io" {
		return "blkio"
	}
	return controller
}
