package ns

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Spawn is clone3(2) by the process that runs the table: its child goes on with
// a table of its own. So the containers of a pod are born while the pod stage
// is still on its way to its program. The parent reports the child's pid, with
// its pidfd (Reports.Forked), and closes its copies of the child's descriptors.
type Spawn struct {
	ID    uint32 // what the parent's report calls the child
	Clone Kinds
	Table *Table // what the child does; nil in a plan, where nobody has descriptors yet
	FDs   [4]int // the child's report socket, standard input, output and error
}

// section is a table that is to follow another one's calls, for the child of
// the fork at call.
type section struct {
	call  int
	table *Table
	fds   [4]int // what the child has
}

func (s Spawn) Calls(t *Table) {
	msg := t.words(reportForked<<32|uint64(s.ID), 0, 0)
	hdr, rights := t.message(msg)
	args := cloneArgs{flags: uint64(s.Clone.Flags()) | unix.CLONE_PIDFD, exitSignal: uint64(unix.SIGCHLD)}
	at := t.block(bytesOf(&args))
	t.point(at.v+uint64(unsafe.Offsetof(args.pidfd)), rights) // the kernel writes it where sendmsg wants it
	pid := t.newReg()
	t.sections = append(t.sections, section{len(t.calls), s.Table, s.FDs})
	t.call(callFork, at, num(0), t.words(uint64(s.FDs[0]), uint64(s.FDs[1]), uint64(s.FDs[2]), uint64(s.FDs[3]))).to(pid)
	t.call(callStore, arg{'m', msg.v + 8}, pid)
	t.call(unix.SYS_SENDMSG, arg{'r', regReport}, hdr, num(unix.MSG_NOSIGNAL))
	t.free(pid)
	for _, fd := range s.FDs {
		t.call(unix.SYS_CLOSE, num(fd))
	}
}

func (s Spawn) Shell() string {
	return "# clone3(2) of " + s.Clone.String() + ": see the end of this script"
}

// Refork is clone3(2) once more: the child goes on with the calls that follow,
// the parent ends. After a Setns that is what it takes to be in a PID namespace:
// a process keeps its own for life, pid_namespaces(7). The child's parent is the
// parent's parent (CLONE_PARENT), and it has no signal of its own to send when it
// ends: it takes its sibling's, the kernel says. The parent reports its pid, as
// the parent counts, with its pidfd (Reports.Forked).
type Refork struct{}

func (Refork) Calls(t *Table) {
	msg := t.words(reportForked<<32, 0, 0)
	hdr, rights := t.message(msg)
	args := cloneArgs{flags: unix.CLONE_PIDFD | unix.CLONE_PARENT}
	at := t.block(bytesOf(&args))
	t.point(at.v+uint64(unsafe.Offsetof(args.pidfd)), rights)
	pid, fork := t.newReg(), len(t.calls)
	t.call(callFork, at, num(0), num(0)).to(pid)
	t.call(callStore, arg{'m', msg.v + 8}, pid)
	t.call(unix.SYS_SENDMSG, arg{'r', regReport}, hdr, num(unix.MSG_NOSIGNAL))
	t.call(unix.SYS_EXIT_GROUP, num(0))
	t.free(pid)
	t.calls[fork].args[1] = uint64(len(t.calls))
}

func (Refork) Shell() string { return "# clone3(2) with CLONE_PARENT: nsenter(1) forks too" }

// message is a struct msghdr for a report with one descriptor; the descriptor
// itself belongs at rights.
func (t *Table) message(report arg) (hdr, rights arg) {
	cmsg := t.block(unix.UnixRights(0))
	iov := t.words(0, 24)
	t.point(iov.v, report)
	h := unix.Msghdr{Iovlen: 1, Controllen: uint64(unix.CmsgSpace(4))}
	hdr = t.block(bytesOf(&h))
	t.point(hdr.v+uint64(unsafe.Offsetof(h.Iov)), iov)
	t.point(hdr.v+uint64(unsafe.Offsetof(h.Control)), cmsg)
	return hdr, arg{'m', cmsg.v + uint64(unix.CmsgLen(0))}
}

// point puts a pointer to what into the table's memory.
func (t *Table) point(at uint64, what arg) {
	*(*uint64)(unsafe.Pointer(&t.mem[at])) = what.v
	t.ptrs = append(t.ptrs, uint32(at))
}

// link appends the sections, and tells each fork where its child goes on.
func (t *Table) link() {
	t.own = len(t.calls)
	for _, s := range t.sections {
		if s.table == nil {
			continue
		}
		for len(t.mem)%8 != 0 {
			t.mem = append(t.mem, 0)
		}
		base, first := uint64(len(t.mem)), len(t.calls)
		t.mem = append(t.mem, s.table.mem...)
		for _, c := range s.table.calls {
			for j := range c.args {
				if c.mem>>j&1 != 0 {
					c.args[j] += base
				}
			}
			t.calls = append(t.calls, c)
		}
		for _, p := range s.table.ptrs {
			at := base + uint64(p)
			*(*uint64)(unsafe.Pointer(&t.mem[at])) += base
			t.ptrs = append(t.ptrs, uint32(at))
		}
		t.calls[s.call].args[1] = uint64(first)
	}
}
