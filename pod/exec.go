package pod

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// ExecOptions say what is to run beside a container's first process: in its
// namespaces, as its user, with its capabilities and environment.
type ExecOptions struct {
	Container string   // "" is the pod's first
	Command   []string // the program and its arguments
	Env       []string // beside the container's own
	Self      bool     // the program is podlab itself, whatever lies in the container; Command begins with argv[0] all the same
	TTY       bool     // a terminal of the container's own, see Execution.Terminal

	// The standard streams, handed over as they are; nil is /dev/null. Give pipes or
	// files: a terminal in a container lets it push characters into the caller's
	// input (TIOCSTI of ioctl_tty(2)).
	Stdin, Stdout, Stderr *os.File `json:"-"`
}

// execSteps is how that process comes to be: forked by the pod stage, whose user,
// IPC, network and UTS namespaces it has by birth, it joins what is the
// container's own, and becomes who the container's processes are.
func (c *Container) execSteps(o ExecOptions) []ns.Step {
	var in steps
	env := append(append([]string{}, c.Exec.Env...), o.Env...)
	if o.TTY {
		env = append(env, "TERM=xterm")
	}
	env = lastOf(env)
	if o.Self {
		// In the stage's current directory: a read-only mount, which also through
		// /proc/PID/exe nobody can write to.
		in.add("exec.self", ns.OpenFile{Path: "podlab", Name: "podlab"})
	}
	if c.Proc.Clone != 0 {
		in.add("exec.join", ns.Setns{Kinds: c.Proc.Clone})
	}
	// Before it is forked into the container's PID namespace, where others can see
	// it: there it is never more than they are (CVE-2016-9962).
	in = append(in, c.become...)
	in.add("exec.fork", ns.Refork{})
	in.add("exec.wait", ns.AwaitParent{})
	in = append(in, c.session...)
	if o.TTY {
		in.add("stdio.terminal", ns.Terminal{})
	} else {
		in.add("stdio", ns.Stdio{})
	}
	if o.Self {
		in.add("exec", ns.ExecFile{Name: "podlab", Args: o.Command, Env: env})
	} else {
		in.add("exec", ns.Exec{Path: o.Command[0], Args: o.Command, Env: env})
	}
	return in
}

// lastOf leaves of several settings of one variable the last.
func lastOf(env []string) (list []string) {
	v := variables{values: map[string]string{}}
	for _, e := range env {
		for i := range e {
			if e[i] == '=' {
				v.set(e[:i], e[i+1:])
				break
			}
		}
	}
	return v.list()
}

// execution is such a process while it lives, known by a number from firstExec,
// as containers are by theirs.
type execution struct {
	id      int
	client  *client
	exec    ns.Exec // what diagnose has to look at
	reports *ns.Reports
	pidfd   int // -1 until it is forked
	pid     int // on the host
	born    bool
	failed  bool
	exit    *uint64 // its wait status
}

const firstExec = 1 << 20 // far more containers than a pod may have

// startExec orders a process from the stage. fds are its standard streams.
func (s *supervisor) startExec(cl *client, o ExecOptions, fds []int) error {
	b, err := s.boxFor(o.Container)
	if err != nil {
		return err
	}
	steps := b.plan.execSteps(o)
	fd, reports, err := ns.NewReports(ns.Compile(steps, false))
	if err != nil {
		return err
	}
	defer unix.Close(fd) // the stage has its own
	s.lastExec++
	x := &execution{id: firstExec + s.lastExec, client: cl, reports: reports, pidfd: -1}
	if !o.Self {
		x.exec = ns.Exec{Path: o.Command[0], Env: b.plan.Exec.Env}
	}
	reports.Terminal = func(master int) { s.news <- news{box: x.id, terminal: &master} }
	reports.Forked = func(_, pid, pidfd int) { s.news <- news{box: x.id, forked: &forked{pid, pidfd}} }
	s.execs[x.id], cl.exec = x, x
	s.watchBirth(x.id, reports, 0)
	return s.order(ns.Message{Kind: ns.MsgExec, ID: uint32(x.id), Data: reports.Table().Encode(), FDs: append(append([]int{fd}, fds...), b.pidfd)})
}

// errBeingBorn: the container's process is on its way. Its first words may be out
// before the news of its birth has come.
var errBeingBorn = errors.New("is being started")

// boxFor is the container of that name, which must have a process to join.
func (s *supervisor) boxFor(name string) (*container, error) {
	for i, b := range s.boxes {
		if name != "" && b.plan.Name != name {
			continue
		}
		if s.lives[i].State == Starting {
			return nil, errBeingBorn
		}
		if b.pidfd < 0 || !b.born {
			return nil, fmt.Errorf("%s/%s: has no process now", s.name, b.plan.Name)
		}
		return b, nil
	}
	return nil, fmt.Errorf("%s/%s: there is no such container", s.name, name)
}

// hearExec is news of an execution.
func (s *supervisor) hearExec(n news) {
	x := s.execs[n.box]
	if x == nil {
		n.discard()
		return
	}
	switch {
	case n.forked != nil:
		x.pidfd, x.pid = n.forked.pidfd, pidOf(n.forked.pidfd)
		_ = s.order(ns.Message{Kind: ns.MsgAdopt, ID: uint32(x.id), Arg: uint64(n.forked.pid)}) // a stage that is gone says so itself
		_ = x.reports.Release()                                                                 // it may have been killed
		if x.client == nil {
			x.kill() // its client hung up before it was there
		}
	case n.terminal != nil:
		x.client.send(reply{What: "terminal"}, *n.terminal)
		_ = unix.Close(*n.terminal) // the client has its own, and its end is the terminal's
	case n.err != nil:
		s.execFailed(x, n.err)
	case n.born:
		x.born = true
		_ = x.reports.Close() // it has said all
		x.client.send(reply{What: "started", Pid: x.pid})
		s.execEnded(x)
	case n.msg != nil && n.msg.Kind == ns.MsgExited:
		x.exit = &n.msg.Arg
		s.execEnded(x)
	case n.msg != nil && n.msg.Kind == ns.MsgFailed:
		s.execFailed(x, &ns.StepError{Key: "exec.fork", Call: "clone3", Err: unix.Errno(n.msg.Arg)})
		x.exit = &n.msg.Arg
		s.execEnded(x)
	default:
		n.discard()
	}
}

// execFailed says why there is no such process, while it waits for us to look.
func (s *supervisor) execFailed(x *execution, err error) {
	code := 125
	if x.pid > 0 && x.exec.Path != "" {
		code, err = diagnose(err, x.pid, x.exec)
	}
	var hint *HintError
	r := reply{What: "failed", Code: code, Error: err.Error()}
	if errors.As(err, &hint) {
		r.Hint = hint.Hint
	}
	x.client.send(r)
	x.failed = true
	_ = x.reports.Close()
	s.execEnded(x)
}

// execEnded: it is over once we know of its birth and of its end, in any order.
func (s *supervisor) execEnded(x *execution) {
	if x.exit == nil || !x.born && !x.failed {
		return
	}
	if !x.failed {
		code, sig := ns.ExitStatus(*x.exit)
		x.client.send(reply{What: "exited", Code: code, Signal: int(sig)})
	}
	if x.client != nil {
		x.client.exec = nil
	}
	x.close()
	delete(s.execs, x.id)
}

// signal is sent by whoever runs the pod, who may signal all in it.
func (x *execution) signal(sig unix.Signal) {
	if x.pidfd >= 0 {
		_ = unix.PidfdSendSignal(x.pidfd, sig, nil, 0) // it may be dead already
	}
}

// kill ends a process that nobody waits for any more. One that isn't forked yet has
// to be heard of first: unless the stage is told of it, it stays a zombie, and the
// first process of its PID namespace waits for it for ever.
func (x *execution) kill() {
	if x.pidfd >= 0 {
		x.signal(unix.SIGKILL)
		_ = x.reports.Close()
	}
}

func (x *execution) close() {
	if x.pidfd >= 0 {
		_ = unix.Close(x.pidfd)
		x.pidfd = -1
	}
	_ = x.reports.Close()
}
