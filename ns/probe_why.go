package ns

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const doSeccomp = "in Docker or Podman: --security-opt seccomp=unconfined"

// because turns the error of a probe into an answer, the reason, and the way out.
// It is a pure function of the machine's facts.
func (m *machine) because(q probe, clone Kinds, err error) (is Feature, why, do string) {
	var step *StepError
	if !errors.As(err, &step) {
		return Unknown, err.Error(), "" // a socket, a pipe: not the question
	}
	why = step.Call + ": " + step.Err.Error()
	var more string
	switch step.Key {
	case "clone":
		more, do = m.becauseClone(clone, step.Err)
	case "map", "private":
		more, do = m.becauseUserNS(step.Err)
	default:
		more, do = m.becauseStep(q, clone, step.Err)
	}
	if more != "" {
		why += ": " + more
	}
	switch step.Err {
	case unix.ENOMEM, unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.EINTR:
		return Unknown, why, "" // short of something at the moment
	}
	return No, why, do
}

// becauseClone explains the errno of clone3(2), by the list in its manual page.
func (m *machine) becauseClone(clone Kinds, errno unix.Errno) (why, do string) {
	switch errno {
	case unix.ENOSYS:
		if m.filtered() {
			return "refused by the seccomp filter that podlab is under", doSeccomp
		}
		return "podlab needs Linux 5.3", ""
	case unix.EINVAL:
		return "a kind of namespace that this kernel was built without", ""
	case unix.ENOSPC, unix.EUSERS:
		for _, k := range clone.List() {
			knob := "user.max_" + k.String() + "_namespaces"
			if v := m.sysctl[knob]; v == "0" {
				return knob + " is 0", "as root: sysctl " + knob + "=10000"
			}
		}
		return "namespaces are nested 32 deep, or a limit user.max_*_namespaces is reached", ""
	case unix.EPERM:
		if clone.Has(User) {
			return m.becauseUserNS(errno)
		}
		return "needs CAP_SYS_ADMIN", ""
	}
	return "", ""
}

// becauseUserNS explains why a user namespace can't be had, or is of no use.
func (m *machine) becauseUserNS(errno unix.Errno) (why, do string) {
	const debian, ubuntu, limit = "kernel.unprivileged_userns_clone", "kernel.apparmor_restrict_unprivileged_userns", "user.max_user_namespaces"
	switch {
	case errno != unix.EPERM && errno != unix.EACCES:
		return "", ""
	case m.sysctl[debian] == "0" && !m.direct():
		return debian + " is 0", "as root: sysctl " + debian + "=1"
	case m.sysctl[limit] == "0":
		return limit + " is 0", "as root: sysctl " + limit + "=10000"
	case m.sysctl[ubuntu] == "1" && !m.direct():
		return ubuntu + " is 1: AppArmor takes the capabilities in a new user namespace away",
			"as root: sysctl " + ubuntu + "=0, or a profile for podlab with the rule userns"
	case m.chrooted():
		return "not inside a chroot: clone(2), EPERM", "pivot_root instead of chroot, or podlab outside of it"
	case m.filtered():
		return "refused by the seccomp filter that podlab is under, as in a container", doSeccomp
	}
	return "a security module, a chroot, or ids without a mapping in this user namespace", ""
}

// becauseStep explains the errno of what a probe does once it has its namespaces.
func (m *machine) becauseStep(q probe, clone Kinds, errno unix.Errno) (why, do string) {
	_, kind, isMount := strings.Cut(q.key, "mount.")
	switch {
	case q.key == "oom.lower" && (errno == unix.EACCES || errno == unix.EPERM):
		return "needs CAP_SYS_RESOURCE on the host: podlab leaves the value as it is and says so", ""
	case strings.HasSuffix(q.key, "pivot_root") && errno == unix.EINVAL:
		return "the root is the initial ramfs, which can't be left: pivot_root(2)", "boot from a root file system, or start podlab after switch_root(8)"
	case isMount && errno == unix.ENODEV:
		if kind == "overlay" {
			return "the kernel has no overlay", "as root: modprobe overlay"
		}
		return "this kernel was built without it", ""
	case (kind == "proc" || kind == "sysfs") && errno == unix.EPERM && !m.filtered():
		return m.tooRevealing(kind)
	case (kind == "proc" || kind == "sysfs") && errno == unix.EPERM && len(m.covered(mountedAt[kind])) > 0:
		return m.tooRevealing(kind)
	case kind == "cgroup2" && errno == unix.EPERM && !m.filtered():
		return "in a user namespace only where the whole cgroup2 tree is in sight already", ""
	case kind == "cgroup2" && errno == unix.EBUSY:
		return "every controller is taken by cgroup v1", ""
	case kind == "overlay" && errno == unix.EPERM && !m.filtered():
		return "in a user namespace since Linux 5.11", ""
	case isMount && errno == unix.EPERM && m.filtered():
		return "refused by the seccomp filter that podlab is under", doSeccomp
	case strings.HasPrefix(strings.TrimPrefix(q.key, "userns."), "ipc.") && (errno == unix.EACCES || errno == unix.EPERM):
		return "this kernel keeps it for the host's root: a later one gives it to the owner of the IPC namespace", ""
	case strings.HasPrefix(strings.TrimPrefix(q.key, "userns."), "ipc.") && errno == unix.EROFS:
		return "/proc/sys is mounted read-only here, as in a container", ""
	case errno == unix.ENOENT && strings.HasSuffix(q.key, "ipc.mqueue"):
		return "this kernel was built without CONFIG_POSIX_MQUEUE", ""
	case errno == unix.ENOSYS && m.filtered():
		return "refused by the seccomp filter that podlab is under", doSeccomp
	}
	return "", ""
}

// mountedAt is where the two file systems are that show the kernel.
var mountedAt = map[string]string{"proc": "/proc", "sysfs": "/sys"}

// tooRevealing explains EPERM for proc and sysfs in a user namespace: the
// kernel gives a new one only to a mount namespace in which one is in sight as a
// whole, so that a container can't get a look at what was hidden from it
// (user_namespaces(7); mount_too_revealing in fs/namespace.c). Mounts on
// directories that are always empty hide nothing.
func (m *machine) tooRevealing(kind string) (why, do string) {
	dir := mountedAt[kind]
	covered := m.covered(dir)
	if len(covered) == 0 {
		return fmt.Sprintf("no %s in sight as a whole here", dir), ""
	}
	if len(covered) > 3 {
		covered = append(covered[:3:3], fmt.Sprintf("%d more", len(covered)-3))
	}
	return fmt.Sprintf("parts of %s are covered (%s), as in a container", dir, strings.Join(covered, ", ")),
		"in Docker: --security-opt systempaths=unconfined; in Podman: --security-opt unmask=ALL"
}
