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
	"os"
	"os/signal"
	"runtime"
	"syscall"

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
	s := &stage{conn: ns.NewConn(socket), pids: map[int]uint32{}}
	syscall.CloseOnExec(socket)
	// Not dumpable: /proc/PID of the stage, and of its children until they
	// execve, belongs to root of the host then, and a container can't reach the
	// program through /proc/PID/exe or its memory. prctl(2), proc(5).
	syscall.RawSyscall6(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	setName()
	s.loop()
	// As PID 1 of the pod's PID namespace its end is the end of every process
	// in the pod: pid_namespaces(7). Elsewhere the children get their signal.
	os.Exit(0)
}

// stage is what the pod stage knows: who its children are.
type stage struct {
	conn *ns.Conn
	pids map[int]uint32 // the container that a child is

	broken bool // setup failed
}

// loop is the life of the stage: orders in, news out, until the supervisor
// hangs up.
func (s *stage) loop() {
	orders := make(chan ns.Message)
	go func() {
		defer close(orders)
		for {
			m, err := s.conn.Recv()
			if err != nil {
				return
			}
			orders <- m
		}
	}()
	// The signals are taken, not ignored: what a process ignores its children
	// ignore too. PID 1 of a PID namespace reaps whoever lost their parent.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	for {
		select {
		case m, open := <-orders:
			if !open {
				return
			}
			s.obey(m)
		case sig := <-signals:
			if sig == syscall.SIGCHLD {
				s.reap()
			}
		}
	}
}

// obey does what the supervisor asked for.
func (s *stage) obey(m ns.Message) {
	switch m.Kind {
	case ns.MsgSetup:
		s.setup(m)
	case ns.MsgStart:
		s.start(m)
	case ns.MsgSignal:
		for pid, id := range s.pids {
			if id == m.ID {
				_ = syscall.Kill(pid, syscall.Signal(m.Arg)) // it may be dead and not reaped yet
			}
		}
	}
}

// setup makes what the containers will share, in this process. If it fails, no
// container may be started in what is there.
func (s *stage) setup(m ns.Message) {
	defer closeAll(m.FDs)
	table, err := ns.DecodeTable(m.Data)
	s.broken = err != nil || len(m.FDs) != 1 || !table.RunReporting(m.FDs[0])
}

// start forks a container. What happens in it the supervisor hears from the
// child itself, over the report socket.
func (s *stage) start(m ns.Message) {
	defer closeAll(m.FDs) // the child has its own
	table, err := ns.DecodeTable(m.Data)
	if s.broken || err != nil || len(m.FDs) != 4 {
		s.tell(ns.Message{Kind: ns.MsgFailed, ID: m.ID, Arg: uint64(syscall.EPROTO)})
		return
	}
	pid, pidfd, err := table.Fork(ns.Kinds(m.Arg), [4]int(m.FDs))
	if err != nil {
		s.tell(ns.Message{Kind: ns.MsgFailed, ID: m.ID, Arg: uint64(ns.Errno(err))})
		return
	}
	s.pids[pid] = m.ID
	s.tell(ns.Message{Kind: ns.MsgStarted, ID: m.ID, FDs: []int{pidfd}})
	_ = syscall.Close(pidfd) // the supervisor has its own
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd) // nobody else in this process has it
	}
}

// reap takes in every child that has ended, containers and orphans alike.
func (s *stage) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		if id, ok := s.pids[pid]; ok {
			delete(s.pids, pid)
			s.tell(ns.Message{Kind: ns.MsgExited, ID: id, Arg: uint64(ws)})
		}
	}
}

// tell sends news. If the supervisor is gone, the loop is about to learn it.
func (s *stage) tell(m ns.Message) { _ = s.conn.Send(m) }

// setName makes ps -o comm show the stage's name: execveat of a descriptor
// leaves another one.
func setName() {
	name := [16]byte{}
	copy(name[:15], Name)
	ns.SetThreadName(&name)
}
