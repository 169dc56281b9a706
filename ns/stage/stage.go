// Package stage is the pod stage: the process that holds the namespaces of a
// pod, as the pause container does in Kubernetes, and that containers are forked
// from. Importing it, for its side effect, lets a program be started as one.
//
// It starts in init, before the packages of the command line are initialised:
// that is 1 ms less for every pod (docs/benchmarks.md). For the same reason it
// imports nothing but ns and the standard library's smallest packages. Go
// initialises packages in the order of their import paths, as soon as what they
// import is: an import of runtime/debug would put the stage behind everything
// that sorts before "runtime". It also
// makes every test binary that imports it able to run pods.
//
// Don't import it into a program whose os.Args[0] others may choose.
package stage

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// Name is what a process must be called, argv[0], to become a pod stage.
const Name = "podlab-stage"

// socket is the descriptor of the supervisor's socket: the stage speaks on
// nothing else.
const socket = 3

// The only init of podlab.
func init() {
	if len(os.Args) == 0 || os.Args[0] != Name {
		return
	}
	if kind, err := syscall.GetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_TYPE); err != nil || kind != syscall.SOCK_SEQPACKET {
		os.Stderr.WriteString("podlab: podlab-stage is started by podlab, with a socket as descriptor 3\n")
		os.Exit(125)
	}
	// Children ask for a signal when their parent dies, and the kernel means the
	// thread that forked them: stay on this one, the first, which dies last.
	runtime.LockOSThread()
	s := &stage{conn: ns.NewConn(socket), orphans: -1}
	syscall.CloseOnExec(socket)
	// Not dumpable: /proc/PID of the stage, and of its children until they
	// execve, belongs to root of the host then, and a container can't reach the
	// program through /proc/PID/exe or its memory. prctl(2), proc(5). Those that
	// were forked before this program ran each have a PID namespace of their own,
	// where no other container can name them.
	syscall.RawSyscall6(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	setName()
	s.loop()
	end(0)
}

// end is the end of the stage, and of the pod. As PID 1 of the pod's PID
// namespace its end is that of every process there: pid_namespaces(7). In the
// host's it has to see to that itself.
func end(code int) {
	if os.Getpid() != 1 {
		ns.SweepChildren()
	}
	os.Exit(code)
}

// stage is what the pod stage knows: who its children are.
type stage struct {
	conn     *ns.Conn
	children []child
	orphans  int  // readable when there may be orphans to be waited for; -1: there are none
	ripe     bool // it's time to look for orphans that have ended
	expected int  // children that were ordered to be forked by a child, and not named yet
}

// child is the first process of a container.
type child struct {
	container uint32
	pid       int
	pidfd     int  // readable when the process has ended, pidfd_open(2)
	midway    bool // it is to fork the one that counts, and end
}

// loop is the life of the stage: orders in, news out, until the supervisor
// hangs up. It is one thread in one poll(2): an idle stage costs next to nothing.
func (s *stage) loop() {
	for {
		fds := []unix.PollFd{{Fd: socket, Events: unix.POLLIN}, {Fd: int32(s.orphans), Events: unix.POLLIN}}
		for _, c := range s.children {
			fds = append(fds, unix.PollFd{Fd: int32(c.pidfd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		}
		reaped := s.reap(fds[2:])
		if fds[1].Revents != 0 {
			var b [64]byte
			_, _ = syscall.Read(s.orphans, b[:]) // what counts is that something came
		}
		s.ripe = s.ripe || reaped || fds[1].Revents != 0
		if fds[0].Revents != 0 {
			m, err := s.conn.Recv()
			if err == io.EOF {
				return
			}
			if err != nil {
				giveUp(err)
			}
			s.obey(m)
		}
		// Not while one of the children isn't known as such: who reaps it finds
		// out how it ended.
		if s.ripe && s.orphans >= 0 && s.expected == 0 {
			s.ripe = false
			reapOrphans(s.children) // those behind a container's zombie too
		}
	}
}

// obey does what the supervisor asked for.
func (s *stage) obey(m ns.Message) {
	switch m.Kind {
	case ns.MsgAdopt:
		s.adopt(m)
	case ns.MsgStart, ns.MsgExec:
		s.start(m)
	case ns.MsgSignal:
		for _, c := range s.children {
			if c.container == m.ID {
				_ = unix.PidfdSendSignal(c.pidfd, syscall.Signal(m.Arg), nil, 0) // it may be dead and not reaped yet
			}
		}
	}
}

// adopt takes a child for what it is: it was forked on the way here, before
// this program ran, or by a child that has ended.
func (s *stage) adopt(m ns.Message) {
	pid := int(m.Arg)
	s.expected = max(0, s.expected-1)
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		s.tell(ns.Message{Kind: ns.MsgFailed, ID: m.ID, Arg: uint64(ns.Errno(err))})
		return
	}
	s.children = append(s.children, child{container: m.ID, pid: pid, pidfd: pidfd})
}

// start forks a container. What happens in it the supervisor hears from the
// child itself, over the report socket.
func (s *stage) start(m ns.Message) {
	defer closeAll(m.FDs) // the child has its own
	table, err := ns.DecodeTable(m.Data)
	exec := m.Kind == ns.MsgExec
	if err != nil || len(m.FDs) != 4 && !exec || len(m.FDs) != 5 && exec {
		s.tell(ns.Message{Kind: ns.MsgFailed, ID: m.ID, Arg: uint64(syscall.EPROTO)})
		return
	}
	if !exec {
		s.expectOrphans(ns.Kinds(m.Arg))
	}
	pid, pidfd, err := table.Fork(ns.Kinds(m.Arg), m.FDs)
	if err != nil {
		s.tell(ns.Message{Kind: ns.MsgFailed, ID: m.ID, Arg: uint64(ns.Errno(err))})
		return
	}
	s.children = append(s.children, child{m.ID, pid, pidfd, exec})
	if exec {
		s.expected++
		return
	}
	s.tell(ns.Message{Kind: ns.MsgStarted, ID: m.ID, FDs: []int{pidfd}})
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd) // nobody else in this process has it
	}
}

// reap takes in the children whose pidfd says that they have ended, and tells
// whether there were any.
func (s *stage) reap(polled []unix.PollFd) (any bool) {
	alive := s.children[:0]
	for i, c := range s.children {
		if polled[i].Revents == 0 {
			alive = append(alive, c)
			continue
		}
		var ws syscall.WaitStatus
		_, _ = syscall.Wait4(c.pid, &ws, 0, nil) // it has ended, and nobody else waits for it
		_ = syscall.Close(c.pidfd)               // the supervisor has its own
		if c.midway && ws == 0 {
			continue // whom it has forked is about to be named
		}
		if c.midway {
			s.expected--
		}
		s.tell(ns.Message{Kind: ns.MsgExited, ID: c.container, Arg: uint64(ws)})
	}
	any = len(alive) < len(s.children)
	s.children = alive
	return any
}

// expectOrphans: PID 1 gets whoever loses their parent in its PID namespace,
// once containers without one of their own run there.
func (s *stage) expectOrphans(kinds ns.Kinds) {
	if !kinds.Has(ns.PID) && s.orphans < 0 {
		s.orphans = orphanage()
	}
}

// orphanage is a descriptor that is readable when a child may have ended that
// no pidfd tells of: whoever loses their parent in a PID namespace becomes a
// child of its PID 1, and stays a zombie until that waits for it.
func orphanage() int {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return -1 // zombies until the pod ends; nothing worse
	}
	signals := make(chan os.Signal, 1)
	// The others are taken, not ignored: what a process ignores its children
	// ignore too. From outside SIGKILL ends the stage.
	signal.Notify(signals)
	signal.Reset(syscall.SIGURG) // Go's own
	signals <- syscall.SIGCHLD   // for those who came before
	go func() {
		for range signals {
			_, _ = syscall.Write(p[1], []byte{0}) // EAGAIN: the pipe is readable already
		}
	}()
	return p[0]
}

// reapOrphans waits for every child that has ended, but the containers, whose
// turn comes with their pidfds.
func reapOrphans(children []child) {
	for {
		var info unix.Siginfo
		// WNOWAIT: look at who has ended before taking it in.
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		pid := ns.SiginfoPid(&info)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		for _, c := range children {
			if c.pid == pid {
				return
			}
		}
		_, _ = syscall.Wait4(pid, nil, 0, nil) // it has ended
	}
}

// tell sends news. A stage that can't be heard, or has nobody to tell, is of no
// use.
func (s *stage) tell(m ns.Message) {
	if err := s.conn.Send(m); err != nil {
		giveUp(err)
	}
}

// giveUp ends the stage, and the pod with it, with the errno as the exit code
// for the supervisor to read.
func giveUp(err error) { end(int(ns.Errno(err))) }

// setName makes ps -o comm show the stage's name: execveat of a descriptor
// leaves another one.
func setName() {
	name := [16]byte{}
	copy(name[:15], Name)
	ns.SetThreadName(&name)
}
