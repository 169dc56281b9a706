package ns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Proc is a process to be born: data, so that it can be shown, compared and
// measured before it is alive.
type Proc struct {
	Name   string  // "web", "web/app": what people call it
	Clone  Kinds   // the namespaces that it gets; the others it inherits
	Host   []Step  // before the clone, by the parent
	Attach *IDMaps // after it, by the parent, who knows the pid by then
	Inside []Step  // by the child; the last step is an execve
}

// IDMaps is how the ids of a new user namespace map to those of the host. It is
// the one thing that can't be done inside: user_namespaces(7).
type IDMaps struct {
	UIDs, GIDs IDMap
	Helpers    bool // through newuidmap and newgidmap, for a user with a range in /etc/subuid
}

// Reports reads what a newborn says. It ends at execve, or after an error.
// watch hears of every step that is done, if the table was compiled to say so,
// and before the first of the birth, with an index that no step has.
// A failed child waits for Close.
type Reports struct {
	Terminal func(master int)         // takes the master of the child's terminal, if it has one
	Forked   func(id, pid, pidfd int) // hears of children of the child, see Spawn; pid as the child counts
	f        *os.File
	table    *Table
}

// NewReports is a socket pair: one end for the child, as fd, one to read.
func NewReports(t *Table) (fd int, r *Reports, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("socketpair: %w", err)
	}
	// Nonblocking, on our end only, so that waiting costs no thread.
	_ = unix.SetNonblock(fds[0], true) // a fresh socket has no reason to refuse
	return fds[1], &Reports{f: os.NewFile(uintptr(fds[0]), "reports"), table: t}, nil
}

// Wait returns nil when the program runs, or why it doesn't.
func (r *Reports) Wait(watch func(step int, at time.Duration)) error {
	for {
		rep, err := ReadReport(r.f)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed): // the latter by our own Close
			return nil
		case err != nil:
			return fmt.Errorf("report socket: %w", err)
		case rep.Failed:
			return r.table.Failed(rep.Index, rep.Errno)
		case rep.Terminal >= 0:
			if r.Terminal != nil {
				r.Terminal(rep.Terminal)
			} else {
				_ = unix.Close(rep.Terminal) // nobody asked for it
			}
		case rep.Forked != 0:
			if r.Forked != nil {
				r.Forked(rep.Index, rep.Forked, rep.Pidfd)
			} else {
				closeAll([]int{rep.Pidfd}) // nobody asked for it
			}
		case watch != nil:
			watch(rep.Index, rep.At)
		}
	}
}

// Release lets a child go on that stands at AwaitParent.
func (r *Reports) Release() error {
	if _, err := r.f.Write([]byte{1}); err != nil {
		return fmt.Errorf("report socket: %w", err)
	}
	return nil
}

// Table is the table that the child runs.
func (r *Reports) Table() *Table { return r.table }

// Close lets a failed child go. Hanging up needs shutdown(2): for a moment a
// process forked elsewhere may hold a copy of our end.
func (r *Reports) Close() error {
	if raw, err := r.f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // ENOTCONN: the child is gone
	}
	return r.f.Close()
}

// Child is a process that was born.
type Child struct {
	Pid     int
	Pidfd   int
	Reports *Reports
}

// Start makes the process. Its standard streams are /dev/null, and conn is its
// descriptor 3. It returns when the kernel has the process; Child.Reports tells
// when the program in it runs.
//
// The calling goroutine must stay locked to its thread for as long as the
// process lives, if Inside has a DeathSignal.
func (p *Proc) Start(conn int, trace bool) (*Child, error) {
	steps := []Step{{"stage.death", DeathSignal{}}}
	if p.Attach != nil {
		steps = append(steps, Step{"user.wait", AwaitParent{}})
	}
	steps = append(steps, p.Inside...)
	table := Compile(steps, trace)
	fd, reports, err := NewReports(table)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	defer unix.Close(null)
	// Above 3, so that no dup3 in the table closes what it still needs.
	fds := [4]int{fd, conn, null, null}
	for i, low := range fds {
		if fds[i], err = unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, 4); err != nil {
			return nil, fmt.Errorf("fcntl F_DUPFD_CLOEXEC: %w", err)
		}
		defer unix.Close(fds[i])
	}
	pid, pidfd, err := table.Fork(p.Clone, fds[:])
	if err != nil {
		_ = reports.Close() // nobody is there to be let go
		return nil, err
	}
	c := &Child{Pid: pid, Pidfd: pidfd, Reports: reports}
	if p.Attach != nil {
		if err := p.attach(c); err != nil {
			c.Abandon()
			return nil, err
		}
	}
	return c, nil
}

// attach maps the ids and lets the child go on.
func (p *Proc) attach(c *Child) error {
	if err := p.Attach.write(c.Pid); err != nil {
		return err
	}
	return c.Reports.Release()
}

// Abandon kills and reaps a child that never got to its program.
func (c *Child) Abandon() {
	_ = unix.Kill(c.Pid, unix.SIGKILL) // it may be dead already, but not waited for
	_ = c.Reports.Close()
	_, _ = syscall.Wait4(c.Pid, nil, 0, nil) // the kernel frees the pid, whatever became of it
	_ = unix.Close(c.Pidfd)
}

// WaitExit waits until the process has ended, without reaping it: poll(2) of its
// pidfd.
func (c *Child) WaitExit(limit time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(c.Pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(limit.Milliseconds()))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n == 0:
			return fmt.Errorf("process %d: still there after %v", c.Pid, limit)
		}
		return nil
	}
}

// write fills the maps of the process in /proc. setgroups must be denied before
// a user without privilege may write gid_map: EPERM otherwise, and the reason
// is that a group can also take permissions away (user_namespaces(7)).
func (m *IDMaps) write(pid int) error {
	proc := "/proc/" + strconv.Itoa(pid) + "/"
	if m.Helpers {
		for _, h := range [...]struct {
			prog string
			m    IDMap
		}{{"newuidmap", m.UIDs}, {"newgidmap", m.GIDs}} {
			path, err := lookPath(h.prog) // where the plan has found it, PATH or not
			if err != nil {
				return fmt.Errorf("user.map: %w", err)
			}
			if out, err := exec.Command(path, h.m.Args(pid)...).CombinedOutput(); err != nil {
				return fmt.Errorf("user.map: %s: %s: %w", h.prog, bytes.TrimSpace(out), err)
			}
		}
		return nil
	}
	var steps []Step
	if os.Geteuid() != 0 {
		steps = append(steps, Step{"user.setgroups", WriteFile{Path: proc + "setgroups", Data: "deny"}})
	}
	return Compile(append(steps,
		Step{"user.map", WriteFile{Path: proc + "uid_map", Data: m.UIDs.Text()}},
		Step{"user.map", WriteFile{Path: proc + "gid_map", Data: m.GIDs.Text()}}), false).Run()
}

// AwaitParent reads a byte from the report socket: Release sends it. What must
// be done to a process from outside before it goes on is done while it waits.
// Until its ids are mapped, for one, it is nobody, user 65534, and an execve
// would take its capabilities away. ECANCELED: the parent is gone.
type AwaitParent struct{}

func (AwaitParent) Calls(t *Table) {
	t.call(callAwait, arg{'r', regReport}, t.block(make([]byte, 8)), num(1))
}
func (AwaitParent) Shell() string { return "# read(2): until the parent has done its part" }

// Errno is the errno in err, or EIO where there is none.
func Errno(err error) syscall.Errno {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return syscall.EIO
}

// SetThreadName is what ps and top call this thread: prctl(2) PR_SET_NAME.
func SetThreadName(name *[16]byte) {
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0) // can't fail for a string of 16 bytes
}

// SiginfoPid is si_pid of what waitid(2) filled in; 0 where no child has ended.
func SiginfoPid(info *unix.Siginfo) int {
	// struct siginfo: three ints, padding to a pointer's alignment, then a union
	// that begins with the pid.
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), 16)))
}
