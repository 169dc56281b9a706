package ns

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A callProbe asks for one system call by making it. Seccomp filters of
// containers answer ENOSYS or EPERM for calls that the kernel has.
type callProbe struct {
	name, since string
	try         func() error
}

var callProbes = []callProbe{
	{"clone3", "5.3", func() error { return inChild(0, nil) }},
	{"clone_into_cgroup", "5.7", tryCloneIntoCgroup},
	{"pidfd_open", "5.3", func() error {
		fd, err := unix.PidfdOpen(os.Getpid(), 0)
		return closed(fd, err)
	}},
	{"close_range", "5.9", func() error {
		// A range far above any descriptor: there is nothing to close.
		return unix.CloseRange(1<<30, 1<<30, unix.CLOSE_RANGE_CLOEXEC)
	}},
	{"openat2", "5.6", func() error {
		fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
		return closed(fd, err)
	}},
	{"open_tree", "5.2", func() error {
		// Without OPEN_TREE_CLONE it is an open with O_PATH, and needs no rights.
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLOEXEC)
		return closed(fd, err)
	}},
	{"mount_setattr", "5.12", func() error {
		// The size is looked at first, and 0 is too small: EINVAL, open or not.
		_, _, errno := unix.Syscall6(unix.SYS_MOUNT_SETATTR, ^uintptr(0), 0, 0, 0, 0, 0)
		if errno == unix.EINVAL {
			return nil
		}
		return errno
	}},
	{"memfd_create", "3.17", func() error {
		fd, err := unix.MemfdCreate("podlab-probe", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		return closed(fd, err)
	}},
}

func closed(fd int, err error) error {
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// tryCloneIntoCgroup asks for a child in a cgroup that isn't one: EBADF from a
// kernel that knows how, E2BIG or EINVAL from one that is older.
func tryCloneIntoCgroup() error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/", Err: err}
	}
	defer unix.Close(root)
	t := Compile([]Step{{"end", rawOp(func(t *Table) { t.call(unix.SYS_EXIT_GROUP, num(0)) })}}, false)
	t.load()
	args := &cloneArgs{flags: unix.CLONE_INTO_CGROUP, exitSignal: uint64(unix.SIGCHLD), cgroup: uint64(root)}
	var regs [maxRegs]uint64
	pid, errno := fork(args, t.calls, &regs, nil)
	if errno == 0 {
		_, err := unix.Wait4(int(pid), nil, 0, nil)
		return errors.Join(fmt.Errorf("clone3 took / for a cgroup"), err)
	}
	if errno == unix.EBADF {
		return nil
	}
	return errno
}

func (c callProbe) finding(m *machine) Finding {
	f := Finding{Key: "call." + c.name, What: c.name + ", since Linux " + c.since}
	err := c.try()
	switch {
	case err == nil:
		f.Is = Yes
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.E2BIG), errors.Is(err, unix.EINVAL):
		f.Is, f.Why = No, err.Error()
		if m.filtered() {
			f.Why += m.filterNote()
			f.Do = doSeccomp
		}
	default:
		f.Why = err.Error()
	}
	return f
}

// landlockVersion asks for the version of Landlock's interface, landlock(7).
func landlockVersion() (int, error) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(v), nil
}

// seccompAction asks whether a filter may answer with action, seccomp(2)
// SECCOMP_GET_ACTION_AVAIL. It installs nothing.
func seccompAction(action uint32) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return errno
	}
	return nil
}
