package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// container is a container while its pod lives.
type container struct {
	plan     *Container
	pidfd    int // -1 while there is no process
	pid      int // on the host, 0 likewise
	reports  *ns.Reports
	first    bool  // it is forked before the stage has got to its program
	fds      []int // its ends of the report socket and of the standard streams, until it has them
	born     bool
	killed   bool          // it shall not live, whatever it is doing
	failed   error         // why it wasn't born, once that is known
	code     int           // the exit code that this amounts to
	exit     *uint64       // its wait status, if that came before the news of its birth
	hasStdin bool          // standard input goes to it, once for all its starts
	log      *containerLog // of this run; nil without Options.Logs
	mnt      uint64        // where its processes are, if no PID namespace tells: the inode of their mount namespace
	held     *os.File
}

// loop is the life of the pod: news in, actions out, until all lives are over.
func (s *supervisor) loop(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	save, saving := time.NewTimer(time.Hour), false
	defer save.Stop()
	patience := time.NewTimer(time.Hour)
	patience.Stop()
	stop, kill := ctx.Done(), s.opts.Kill
	s.orders()
	for {
		out := s.tree.Policy.Outcome(s.lives)
		if out.Over || s.fault != nil {
			return s.fault
		}
		if at, ok := s.tree.Policy.Due(s.lives); ok {
			timer.Reset(at - s.now())
		} else {
			timer.Stop()
		}
		select {
		case n := <-s.news:
			s.hear(n)
			s.hearEarly()
		case a := <-s.control.asked: // nil, and never ready, until the socket is there
			s.hearAsked(a)
		case <-timer.C:
			s.all(LifeEvent{Kind: LifeTick})
		case <-save.C:
			s.writeState()
			if s.control.done == nil { // once, whatever comes of it
				if err := s.openControl(); err != nil {
					s.emit(Event{Kind: EventNote, Msg: "nobody can exec into this pod: " + err.Error()})
				}
			}
		case <-stop:
			stop = nil
			s.emit(Event{Kind: EventStop, Took: s.tree.Policy.Grace})
			s.all(LifeEvent{Kind: LifeStop, Grace: PodGrace})
		case n := <-s.said:
			s.hear(n)
			s.hearEarly()
		case <-kill:
			kill = nil
			s.all(LifeEvent{Kind: LifeKill})
			for _, b := range s.boxes {
				b.signal(unix.SIGKILL) // also those who stand still on their way, or whose stage does
			}
			patience.Reset(killPatience)
		case <-patience.C:
			s.fault = s.named(errors.New("the pod stage doesn't answer"))
		}
		s.orders()
		if s.dirty && !saving {
			save.Reset(stateDelay)
		}
		saving = s.dirty
	}
}

// killPatience is how long the news of a killed pod may take.
const killPatience = 2 * time.Second

// stateDelay is how far state.json may be behind: a pod that is gone sooner
// needs none, and writing one costs a tenth of such a pod's time.
const stateDelay = 10 * time.Millisecond

// orders carries out what follows from the lives alone.
func (s *supervisor) orders() {
	for _, o := range s.tree.Policy.Orders(s.lives, s.now()) {
		if o.Event.Kind == LifeStop {
			s.emit(Event{Kind: EventStop, Container: s.boxes[o.Container].plan.Name, Msg: string(o.Event.Cause), Took: s.tree.Policy.Grace})
		}
		s.feed(o.Container, o.Event)
	}
}

func (s *supervisor) all(e LifeEvent) {
	for i := range s.boxes {
		e.At = s.now()
		s.feed(i, e)
	}
}

// feed tells a life what happened, and does what it answers.
func (s *supervisor) feed(i int, e LifeEvent) {
	l, actions := s.tree.Policy.Next(s.lives[i], e)
	s.lives[i], s.dirty = l, true
	if e.Kind == LifeExited || e.Kind == LifeStartFailed {
		if l.State == BackingOff {
			s.emit(Event{Kind: EventBackOff, Container: s.boxes[i].plan.Name, Took: l.backoffEnd() - s.now()})
		}
	}
	for _, a := range actions {
		switch a.Kind {
		case DoStart:
			if err := s.start(i); err != nil {
				s.boxes[i].failed, s.boxes[i].code = err, 125
				s.startFailed(i)
			}
		case DoSignal:
			_ = s.conn.Send(ns.Message{Kind: ns.MsgSignal, ID: uint32(i), Arg: uint64(a.Signal)}) // if the stage is gone, so is the container
		}
	}
}

// hear is one piece of news.
func (s *supervisor) hear(n news) {
	switch {
	case n.box >= firstExec:
		s.hearExec(n)
	case n.step != nil:
		name := ""
		if n.box >= 0 {
			name = s.boxes[n.box].plan.Name
		}
		s.emit(Event{Kind: EventStep, Container: name, Step: n.step.step, Calls: n.step.calls, Took: n.step.took})
	case n.gone:
		s.stageGone()
	case n.forked != nil:
		s.adopt(n.box, *n.forked)
	case n.log != nil:
		s.logFailed(n.box, n.log)
	case n.msg != nil:
		s.stageSays(n)
	case n.box < 0 && n.err != nil:
		s.fault = s.named(n.err)
	case n.box == stageBirth:
		s.up = true
		s.emit(Event{Kind: EventStage, Pid: s.stage.Pid})
		if s.gone {
			s.stageGone()
		}
	case n.err != nil:
		s.boxes[n.box].failed = n.err
		s.lookAt(n.box)
	default:
		s.boxes[n.box].born = true
		s.alive(n.box)
	}
}

// stageGone: the stage hung up. If its birth isn't through yet, the news of that
// says why.
func (s *supervisor) stageGone() {
	s.gone = true
	if s.up && s.fault == nil {
		s.fault = s.named(errStageDied)
	}
}

var errStageDied = errors.New("the pod stage died: somebody killed it, and the pod with it")

// stageSays is a message of the stage about one container.
func (s *supervisor) stageSays(n news) {
	if n.box >= len(s.boxes) {
		n.discard()
		return
	}
	b := s.boxes[n.box]
	switch n.msg.Kind {
	case ns.MsgStarted:
		if len(n.msg.FDs) == 1 {
			s.hasProcess(n.box, n.msg.FDs[0])
		}
	case ns.MsgExited:
		b.exit = &n.msg.Arg
		s.ended(n.box)
	case ns.MsgFailed:
		b.failed, b.code = fmt.Errorf("clone: clone3: %w", unix.Errno(n.msg.Arg)), 125
		s.startFailed(n.box)
	default:
		n.discard()
	}
}

// adopt: the stage has forked a container on its way to its program, which is to
// know of it.
func (s *supervisor) adopt(i int, f forked) {
	_ = s.order(ns.Message{Kind: ns.MsgAdopt, ID: uint32(i), Arg: uint64(f.pid)}) // a stage that is gone says so itself
	s.hasProcess(i, f.pidfd)
}

// hasProcess: a container has a process, though not yet its program.
func (s *supervisor) hasProcess(i, pidfd int) {
	b := s.boxes[i]
	b.pidfd, b.pid = pidfd, pidOf(pidfd)
	if b.killed {
		b.kill() // that was before we knew whom
	}
	s.noteNamespace(b)
	s.lookAt(i)
	s.alive(i)
}

// noteNamespace notes where to find the processes of a container without a PID
// namespace of its own, and lets the first of them go on.
func (s *supervisor) noteNamespace(b *container) {
	if b.plan.Proc.Clone.Has(ns.PID) {
		return
	}
	// A container that is dead already has left nobody: nobody was let go on.
	// (And pid 0 would be ourselves, with everybody else on the host.) Its pid
	// may be another's by now, and the number of its namespace another's soon:
	// so we look whose it is afterwards, and hold the namespace.
	// One that has no mount namespace of its own leaves its processes to the end
	// of the pod: those in it are the pod's, the stage too.
	if b.pid > 0 && b.plan.Proc.Clone.Has(ns.Mnt) {
		b.held, _ = os.Open(fmt.Sprintf("/proc/%d/ns/mnt", b.pid)) // nil: it is dead
		if in, err := ns.Inspect(b.pid); err == nil && b.held != nil && pidOf(b.pidfd) == b.pid {
			b.mnt = in[ns.Mnt]
		}
	}
	_ = b.reports.Release() // it may have been killed
}

// sweep ends what a container's first process has left behind. In a PID
// namespace of its own the kernel has done that.
func (b *container) sweep() {
	if b.mnt != 0 {
		ns.Sweep(ns.InNamespace(ns.Mnt, b.mnt))
		b.mnt = 0
	}
	if b.held != nil {
		_ = b.held.Close() // it was only held
		b.held = nil
	}
}

// alive: the program runs, and we know its pid. The two are learned on two ways.
func (s *supervisor) alive(i int) {
	b := s.boxes[i]
	if !b.born || b.pidfd < 0 {
		return
	}
	_ = b.reports.Close() // it has said all
	s.feed(i, LifeEvent{Kind: LifeStarted, At: s.now()})
	if s.opts.Detached {
		s.writeState() // who hears that the pod runs may look
	}
	s.emit(Event{Kind: EventStarted, Container: b.plan.Name, Pid: b.pid})
	s.ended(i)
}

// lookAt finds out why a container wasn't born, while it still waits for us,
// and lets it go.
func (s *supervisor) lookAt(i int) {
	b := s.boxes[i]
	if b.failed == nil || b.pidfd < 0 || b.code != 0 {
		return
	}
	b.code, b.failed = diagnose(b.failed, b.pid, b.plan.Exec)
	_ = b.reports.Close()
	s.ended(i)
}

// ended: the process is gone, and we know what it was.
func (s *supervisor) ended(i int) {
	b := s.boxes[i]
	if b.exit == nil || !b.born && b.failed == nil || b.pidfd < 0 {
		return
	}
	if b.failed != nil {
		s.startFailed(i)
		return
	}
	code, sig := ns.ExitStatus(*b.exit)
	b.close()
	b.sweep()
	s.emit(Event{Kind: EventExited, Container: b.plan.Name, Code: code, Signal: int(sig)})
	s.feed(i, LifeEvent{Kind: LifeExited, At: s.now(), Code: code, Signal: int(sig)})
}

func (s *supervisor) startFailed(i int) {
	b := s.boxes[i]
	err, code := b.failed, b.code
	b.close()
	b.sweep()
	s.emit(Event{Kind: EventFailed, Container: b.plan.Name, Err: fmt.Errorf("%s/%s: %w", s.name, b.plan.Name, err), Code: code})
	s.feed(i, LifeEvent{Kind: LifeStartFailed, At: s.now(), Code: code})
}

// start prepares a container and orders it from the stage, or leaves it to be
// born with the stage if there is none yet.
func (s *supervisor) start(i int) error {
	b := s.boxes[i]
	b.born, b.failed, b.code, b.exit, b.killed = false, nil, 0, nil, false
	table := ns.Compile(b.plan.Proc.Inside, s.opts.Trace)
	fd, reports, err := ns.NewReports(table)
	if err != nil {
		return err
	}
	b.reports, b.fds = reports, []int{fd}
	s.beginLog(i)
	if b.plan.TTY {
		reports.Terminal = func(master int) { s.terminal(b, master) }
	}
	for stream := range 3 {
		fd, err := s.stream(b, stream)
		if err != nil {
			b.handOver()
			return err
		}
		b.fds = append(b.fds, fd)
	}
	s.watchBirth(i, reports, ns.Clock())
	if s.stage == nil {
		return nil
	}
	defer b.handOver()
	return s.send(i)
}

// send orders a container from the stage.
func (s *supervisor) send(i int) error {
	b := s.boxes[i]
	return s.order(ns.Message{Kind: ns.MsgStart, ID: uint32(i), Arg: uint64(b.plan.Proc.Clone), Data: b.reports.Table().Encode(), FDs: b.fds})
}

// handOver closes our copies of what the container has got.
func (b *container) handOver() {
	for _, fd := range b.fds {
		_ = unix.Close(fd) // nothing was written to it
	}
	b.fds = nil
}

// signal is for when the stage can't be asked.
func (b *container) signal(sig unix.Signal) {
	if b.pidfd >= 0 {
		_ = unix.PidfdSendSignal(b.pidfd, sig, nil, 0) // it may be dead already
	}
}

// kill is for the end: no news of the container are wanted any more.
func (b *container) kill() {
	b.killed = true
	b.signal(unix.SIGKILL)
	if b.reports != nil {
		_ = b.reports.Close()
	}
}

// close lets go of a process that is gone.
func (b *container) close() {
	if b.pidfd >= 0 {
		_ = unix.Close(b.pidfd)
	}
	b.pidfd, b.pid, b.born = -1, 0, false
	if b.reports != nil {
		_ = b.reports.Close()
	}
	if b.log != nil {
		b.log.release() // the streams are still read to their ends
		b.log = nil
	}
}
