package ns

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file is where a process is born. It explains itself, because it does
// what Go tells people not to do.
//
// A Go program can't simply fork: the child has one thread, the runtime's other
// threads are gone, and whatever lock they held is held for ever. The standard
// library lives with that by doing nothing between fork and exec but raw system
// calls, from memory prepared beforehand. We do the same, with a longer list:
// the Table. The alternative, a second start of podlab for every container that
// builds the container in ordinary Go, costs 1.2–3 ms each (docs/benchmarks.md).
//
// Three functions of the runtime make it safe, the ones that the syscall
// package uses: they block signals around the fork, spoil the stack guard so
// that growing the stack in the child is caught, and give the child default
// signal handlers. They are reachable by linkname: the runtime's sources name
// them as used from outside. TestForkHooks fails if a release of Go changes that.

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

// cloneArgs is struct clone_args of clone3(2), version 2 of it.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

// Fork clones this process with new namespaces and lets the child run the
// table, whose last call should be execve. fds fill the first registers: report
// socket, standard input, output, error, and a pidfd for Setns where there is
// one. It returns at once; what becomes of the child is read from the other end
// of the report socket (Reports).
//
// The caller must be locked to its thread for as long as the child may live if
// the table asks for a parent-death signal: prctl(2) PR_SET_PDEATHSIG means the
// death of the thread that forked, not of the process.
func (t *Table) Fork(clone Kinds, fds []int) (pid, pidfd int, err error) {
	t.load()
	var regs [maxRegs]uint64
	for i, fd := range fds {
		regs[i] = uint64(fd)
	}
	fd := new(int32)
	var pin runtime.Pinner // the kernel gets its address as a number, and a stack may move
	pin.Pin(fd)
	defer pin.Unpin()
	args := &cloneArgs{
		flags:      uint64(clone.Flags()) | unix.CLONE_PIDFD,
		pidfd:      uint64(uintptr(unsafe.Pointer(fd))),
		exitSignal: uint64(unix.SIGCHLD),
	}
	keep := make([]uint64, 0, 64)
	keep = append(keep, regs[:len(fds)]...)
	for _, fd := range t.inherit {
		keep = append(keep, uint64(fd))
	}
	for _, s := range t.sections {
		for _, fd := range s.fds {
			keep = append(keep, uint64(fd))
		}
	}
	p, errno := fork(args, t.calls, &regs, keep)
	runtime.KeepAlive(t)
	if errno != 0 {
		return 0, 0, &StepError{Key: "clone", Call: "clone3 " + clone.String(), Err: errno}
	}
	return int(p), int(*fd), nil
}

// fork is clone3 without CLONE_VM, so that parent and child share nothing that
// either could spoil. In the child it does not return. keep is which descriptors
// the child keeps.
//
//go:noinline
//go:norace
//go:nocheckptr
func fork(args *cloneArgs, calls []call, regs *[maxRegs]uint64, keep []uint64) (uintptr, syscall.Errno) {
	runtimeBeforeFork()
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0)
	if errno != 0 || pid != 0 {
		runtimeAfterFork()
		return pid, errno
	}
	runtimeAfterForkInChild()
	closeOthers(keep)
	born(calls, regs)
	return 0, 0
}

// closeOthers closes every descriptor above standard error that is not in keep:
// close_range(2). What was forked has copies of all that its parent had open,
// close-on-exec or not, until its execve. While it held a copy of the parent's
// end of its own sockets it would never see that the parent is gone, and with
// one of a pod's lock the pod's name would stay taken.
//
//go:nosplit
//go:norace
//go:nocheckptr
func closeOthers(keep []uint64) {
	for low := uint64(3); ; {
		next := uint64(1 << 32)
		for i := 0; i < len(keep); i++ {
			if keep[i] >= low && keep[i] < next {
				next = keep[i]
			}
		}
		if next > low {
			syscall.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(low), uintptr(next-1), 0)
		}
		if next == 1<<32 {
			return
		}
		low = next + 1
	}
}

// born is the child's whole life before execve.
//
//go:nosplit
//go:norace
//go:nocheckptr
func born(calls []call, regs *[maxRegs]uint64) {
	i, errno := perform(calls, regs)
	report := uintptr(regs[regReport])
	msg := [3]uint64{reportFailed<<32 | uint64(i), errno, 0}
	syscall.RawSyscall(syscall.SYS_WRITE, report, uintptr(unsafe.Pointer(&msg)), unsafe.Sizeof(msg))
	// Wait until the reader has had a look at this root and hangs up: that is
	// how podlab finds out why an execve failed (a missing interpreter, say).
	var b byte
	syscall.RawSyscall(syscall.SYS_READ, report, uintptr(unsafe.Pointer(&b)), 1)
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

// perform makes the calls, one after the other, until one fails: call i, with
// errno. In a child that a call of the table has forked, i counts from the
// child's first call.
//
//go:nosplit
//go:norace
//go:nocheckptr
func perform(calls []call, regs *[maxRegs]uint64) (i int, errno uint64) {
	base, first := 0, 0 // where this process began, where the next child does
	for i = 0; i < len(calls); i++ {
		c := &calls[i]
		a := c.args
		for j := 0; j < 6; j++ {
			if c.reg>>j&1 != 0 {
				a[j] = regs[a[j]%maxRegs]
			}
		}
		nr := uintptr(c.nr)
		switch c.nr {
		case callStore:
			*(*uint32)(unsafe.Add(nil, uintptr(a[0]))) = uint32(a[1])
			continue
		case callFork:
			nr = unix.SYS_CLONE3
			first, a[1] = int(a[1]), uint64(unsafe.Sizeof(cloneArgs{}))
		case callAwait:
			nr = unix.SYS_READ
		}
		r, _, e := syscall.RawSyscall6(nr, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		switch {
		case e != 0:
			if uint32(e) != c.ok[0] && uint32(e) != c.ok[1] && uint32(e) != c.ok[2] {
				return i - base, uint64(e)
			}
			i += int(c.skip)
		case c.nr == callAwait && r == 0:
			return i - base, uint64(syscall.ECANCELED)
		case c.nr == callFork && r == 0 && a[2] == 0: // the child, which goes on in the same table
			i = first - 1
		case c.nr == callFork && r == 0: // the child
			fds := (*[4]uint64)(unsafe.Add(nil, uintptr(a[2])))
			closeOthers(fds[:])
			regs[regReport], regs[regStdin], regs[regStdout], regs[regStderr] = fds[0], fds[1], fds[2], fds[3]
			base, i = first, first-1
		case c.out != 0:
			regs[(c.out-1)%maxRegs] = uint64(r)
		}
	}
	return len(calls) - base, 0
}
