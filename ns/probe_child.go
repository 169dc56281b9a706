package ns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inChild clones a child with new namespaces, has it run the steps and end,
// and returns what went wrong. Nothing but the result outlives the child.
func inChild(clone Kinds, steps []Step) error {
	return withChild(clone, steps, nil)
}

// withChild is inChild with a visit: the child stays in its new namespaces,
// before its first step, until visit(pid) has returned.
func withChild(clone Kinds, steps []Step, visit func(pid int) error) error {
	report, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	// A goroutine that waits in a read of this costs a thread for some
	// milliseconds; the runtime's poller is not worth its setup.
	in := os.NewFile(uintptr(report[0]), "report")
	defer in.Close()
	// A child that waits for us is let go by shutdown(2): close(2) would not do,
	// since it has a copy of our end itself, as may others forked meanwhile.
	hangUp := func() { _ = unix.Shutdown(report[0], unix.SHUT_RDWR) } // ENOTCONN: it is gone

	all := []Step{{"wait", rawOp(func(t *Table) {
		if visit != nil {
			t.call(unix.SYS_READ, arg{'r', regReport}, t.block(make([]byte, 8)), num(1))
		}
	})}}
	all = append(all, steps...)
	// A mark says that all went well. End of file alone would say the same of
	// a child that was killed.
	all = append(all, Step{"end", rawOp(func(t *Table) {
		t.mark(t.step)
		t.call(unix.SYS_EXIT_GROUP, num(0))
	})})
	t := Compile(all, false)

	pid, pidfd, err := t.Fork(clone, []int{report[1], 0, 1, 2})
	_ = unix.Close(report[1]) // the child's; nothing was written to it
	if err != nil {
		return err
	}
	defer reap(pid, pidfd)

	if visit != nil {
		if err := visit(pid); err != nil {
			hangUp() // the child finds the end of file where it waits, goes on, and ends
			return err
		}
		if _, err := in.Write([]byte{0}); err != nil {
			return err
		}
	}
	rep, err := ReadReport(in)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("killed in the attempt")
	case err != nil:
		return err
	case rep.Failed:
		hangUp()
		return t.Failed(rep.Index, rep.Errno)
	}
	return nil
}

// reap waits for a child that is about to end. One that isn't (a system call
// that hangs) is killed.
func reap(pid, pidfd int) {
	defer unix.Close(pidfd)
	poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	end := time.Now().Add(2 * time.Second) // a clone's whole life is a millisecond or two
	for {
		n, err := unix.Poll(poll, max(0, int(time.Until(end).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if n == 0 || err != nil {
			// It may have ended meanwhile, which is as good.
			_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		}
		break
	}
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// run starts a program and waits for it. The error is what the program wrote
// to standard error, if anything: for newuidmap(1) that is the reason.
func run(path string, args ...string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = w.Close() // nothing was written
		return err
	}
	p, err := os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{Files: []*os.File{null, null, w}})
	_ = w.Close()    // the child has its own
	_ = null.Close() // likewise
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(r, 4096))
	state, werr := p.Wait()
	if err = errors.Join(err, werr); err != nil {
		return err
	}
	if !state.Success() {
		if line, _, _ := strings.Cut(string(text), "\n"); line != "" {
			return errors.New(strings.TrimSpace(line))
		}
		return fmt.Errorf("%s: %s", path, state)
	}
	return nil
}

// askRange tells whether a pod can have more than one user id in a user
// namespace: as root by writing the map, as a user with the help of
// newuidmap(1) and newgidmap(1).
func (m *machine) askRange(userns Finding) Finding {
	f := Finding{Key: "userns.range", What: "a range of user ids in a user namespace"}
	if userns.Is != Yes {
		f.Why = "needs a user namespace: see userns"
		return f
	}
	var visit func(pid int) error
	if m.caps&(1<<unix.CAP_SETUID) != 0 && m.caps&(1<<unix.CAP_SETGID) != 0 {
		// Any range will do for the kernel; nothing is ever owned by these.
		ids := RangeIDs(1<<31, 65536)
		visit = func(pid int) error {
			if err := writeMap(pid, "uid_map", ids); err != nil {
				return err
			}
			return writeMap(pid, "gid_map", ids)
		}
	} else {
		uids, gids, err := SubIDs(m.user, m.uid)
		if err != nil {
			f.Why = err.Error()
			return f
		}
		name := m.user
		if name == "" {
			name = fmt.Sprint(m.uid)
		}
		newuid, err1 := IDHelper("newuidmap")
		newgid, err2 := IDHelper("newgidmap")
		if err := errors.Join(err1, err2); err != nil {
			f.Is, f.Why = No, strings.ReplaceAll(err.Error(), "\n", "; ")
			f.Do = "apt install uidmap, dnf install shadow-utils, or your distribution's package with newuidmap"
			return f
		}
		if len(uids) == 0 || len(gids) == 0 {
			f.Is, f.Why = No, fmt.Sprintf("%s has no range in /etc/subuid and /etc/subgid: only one user id per pod", name)
			first := max(nextSubID("/etc/subuid"), nextSubID("/etc/subgid"))
			f.Do = fmt.Sprintf("as root: usermod --add-subuids %d-%d --add-subgids %[1]d-%[2]d %s", first, first+65535, name)
			return f
		}
		visit = func(pid int) error {
			if err := run(newuid, SpreadIDs(0, m.uid, uids).Args(pid)...); err != nil {
				return err
			}
			return run(newgid, SpreadIDs(0, m.gid, gids).Args(pid)...)
		}
		f.Why = fmt.Sprintf("%d ids by newuidmap", total(uids)+1)
	}
	// To become another user than 0 is the proof.
	become := []Step{{"do", SetGID{1}}, {"do", SetUID{1}}}
	if err := withChild(Of(User), become, visit); err != nil {
		f.Is, f.Why = No, err.Error()
		return f
	}
	f.Is = Yes
	return f
}

func total(ranges []IDRange) (n int) {
	for _, r := range ranges {
		n += r.Count
	}
	return n
}

func writeMap(pid int, name string, ids IDMap) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, name), []byte(ids.Text()), 0)
}

// askIDMapped tells whether the root's file system can be mounted with other
// owners, mount_setattr(2) MOUNT_ATTR_IDMAP: how volumes get the right owners
// under hostUsers: false. It needs CAP_SYS_ADMIN in the user namespace that
// the file system was mounted from, so no ordinary user has it for the disk.
func (m *machine) askIDMapped(userns Finding) Finding {
	f := Finding{Key: "mount.idmap", What: "idmapped mounts of the root's file system"}
	if !m.direct() {
		f.Is, f.Why = No, "needs CAP_SYS_ADMIN where the file system was mounted, mount_setattr(2)"
		return f
	}
	if userns.Is != Yes {
		f.Why = "needs a user namespace: see userns"
		return f
	}
	// The map is that of a user namespace, held by one child while another mounts.
	err := withChild(Of(User), nil, func(pid int) error {
		ids := RangeIDs(1<<31, 65536)
		if err := errors.Join(writeMap(pid, "uid_map", ids), writeMap(pid, "gid_map", ids)); err != nil {
			return err
		}
		fd, err := open(procNS(pid, User))
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return inChild(Of(Mnt), mounts(rawOp(func(t *Table) { idmapped(t, fd) })))
	})
	if err != nil {
		f.Is, f.Why = No, err.Error()
		if errors.Is(err, unix.EINVAL) {
			f.Why += ": the kernel (5.12) or the file system has none"
		}
		return f
	}
	f.Is = Yes
	return f
}

// idmapped takes a copy of the root mount with the map of the user namespace
// that userns is a descriptor of.
func idmapped(t *Table, userns int) {
	t.inherit = append(t.inherit, userns)
	tree := t.newReg()
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns)}
	t.call(unix.SYS_OPEN_TREE, num(atCWD), t.str("/"), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)).to(tree)
	t.call(unix.SYS_MOUNT_SETATTR, tree, t.str(""), num(unix.AT_EMPTY_PATH), t.block(bytesOf(&attr)), num(unsafe.Sizeof(attr)))
}
