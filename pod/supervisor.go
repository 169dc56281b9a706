package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// container is a container while its pod lives.
type container struct {
	plan    *Container
	pidfd   int // -1 while there is no process
	pid     int // on the host, 0 likewise
	reports *ns.Reports
	born    bool
	failed  error   // why it wasn't born, once that is known
	code    int     // the exit code that this amounts to
	exit    *uint64 // its wait status, if that came before the news of its birth
	logged  bool    // its way to stdin is taken
	mnt     uint64  // where its processes are, if no PID namespace tells: the inode of their mount namespace
}

// loop is the life of the pod: news in, actions out, until all lives are over.
func (s *supervisor) loop(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	save, saving := time.NewTimer(time.Hour), false
	defer save.Stop()
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
		case <-timer.C:
			s.all(LifeEvent{Kind: LifeTick})
		case <-save.C:
			s.writeState()
		case <-stop:
			stop = nil
			s.emit(Event{Kind: EventStop, Took: s.tree.Policy.Grace})
			s.all(LifeEvent{Kind: LifeStop, Grace: PodGrace})
		case <-kill:
			kill = nil
			s.all(LifeEvent{Kind: LifeKill})
		}
		s.orders()
		if s.dirty && !saving {
			save.Reset(stateDelay)
		}
		saving = s.dirty
	}
}

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
	case n.step != nil:
		name := ""
		if n.box >= 0 {
			name = s.boxes[n.box].plan.Name
		}
		s.emit(Event{Kind: EventStep, Container: name, Step: n.step.step, Calls: n.step.calls, Took: n.step.took})
	case n.gone:
		s.stageGone()
	case n.msg != nil:
		s.stageSays(n)
	case n.box < 0 && n.err != nil:
		s.fault = s.named(n.err)
	case n.box == stageSetup: // the containers follow
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
			b.pidfd, b.pid = n.msg.FDs[0], pidOf(n.msg.FDs[0])
		}
		s.noteNamespace(b)
		s.lookAt(n.box)
		s.alive(n.box)
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

// noteNamespace notes where to find the processes of a container without a PID
// namespace of its own, and lets the first of them go on.
func (s *supervisor) noteNamespace(b *container) {
	if b.plan.Proc.Clone.Has(ns.PID) {
		return
	}
	// A container that is dead already has left nobody: nobody was let go on.
	// (And pid 0 would be ourselves, with everybody else on the host.)
	if in, err := ns.Inspect(b.pid); err == nil && b.pid > 0 {
		b.mnt = in[ns.Mnt]
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
}

// alive: the program runs, and we know its pid. The two are learned on two ways.
func (s *supervisor) alive(i int) {
	b := s.boxes[i]
	if !b.born || b.pidfd < 0 {
		return
	}
	s.emit(Event{Kind: EventStarted, Container: b.plan.Name, Pid: b.pid})
	_ = b.reports.Close() // it has said all
	s.feed(i, LifeEvent{Kind: LifeStarted, At: s.now()})
	s.ended(i)
}

// lookAt finds out why a container wasn't born, while it still waits for us,
// and lets it go.
func (s *supervisor) lookAt(i int) {
	b := s.boxes[i]
	if b.failed == nil || b.pidfd < 0 || b.code != 0 {
		return
	}
	b.failed, b.code = diagnose(b.failed, b.pid, b.plan.Exec)
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
	s.emit(Event{Kind: EventFailed, Container: b.plan.Name, Err: fmt.Errorf("%s/%s: %w", s.name, b.plan.Name, err), Code: code})
	s.feed(i, LifeEvent{Kind: LifeStartFailed, At: s.now(), Code: code})
}

// start orders a container from the stage.
func (s *supervisor) start(i int) error {
	b := s.boxes[i]
	b.born, b.failed, b.code, b.exit = false, nil, 0, nil
	table := ns.Compile(b.plan.Proc.Inside, s.opts.Trace)
	fd, reports, err := ns.NewReports(table)
	if err != nil {
		return err
	}
	b.reports = reports
	if b.plan.TTY {
		reports.Terminal = func(master int) { s.terminal(b, master) }
	}
	fds := []int{fd}
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd) // the message has taken copies
		}
	}()
	for stream := range 3 {
		fd, err := s.stream(b, stream)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	start := ns.Clock()
	if err := s.order(ns.Message{Kind: ns.MsgStart, ID: uint32(i), Arg: uint64(b.plan.Proc.Clone), Data: table.Encode(), FDs: fds}); err != nil {
		return err
	}
	s.watchBirth(i, reports, start)
	return nil
}

// stream is the container's end of standard input, output or error.
func (s *supervisor) stream(b *container, n int) (int, error) {
	if b.plan.TTY || n == 0 && (!b.plan.Stdin || s.opts.Stdin == nil || b.logged) || n > 0 && s.opts.Output == nil {
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, fmt.Errorf("open /dev/null: %w", err)
		}
		return fd, nil
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("pipe2: %w", err)
	}
	if n == 0 {
		b.logged = true
		w := pollable(p[1], "stdin")
		// Not waited for: a read of a terminal ends only with the program.
		go func() {
			_, _ = io.Copy(w, s.opts.Stdin) // EPIPE: the container doesn't read any more
			_ = w.Close()
		}()
		return p[0], nil
	}
	r := pollable(p[0], "output")
	w := s.opts.Output(b.plan.Name, n == 2)
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		_, _ = io.Copy(w, r) // a writer that fails is the caller's to notice
		_ = r.Close()
		if c, ok := w.(io.Closer); ok {
			_ = c.Close() // flushes a last line without an end
		}
	}()
	return p[1], nil
}

// terminal connects a container's terminal with the caller's streams.
func (s *supervisor) terminal(b *container, master int) {
	f := pollable(master, "terminal")
	if size, err := unix.IoctlGetWinsize(fdOf(s.opts.Stdin), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, size) // a wrong size is no reason to fail
	}
	if b.plan.Stdin && s.opts.Stdin != nil && !b.logged {
		b.logged = true
		go func() {
			_, _ = io.Copy(f, s.opts.Stdin) // ends with the program, as of a pipe
		}()
	}
	w := io.Discard
	if s.opts.Output != nil {
		w = s.opts.Output(b.plan.Name, false)
	}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		_, _ = io.Copy(w, f) // EIO when the last process has closed the other side, pty(7)
		_ = f.Close()
		if c, ok := w.(io.Closer); ok {
			_ = c.Close() // flushes a last line without an end
		}
	}()
}

// fdOf is f's descriptor without making it blocking, or -1.
func fdOf(f *os.File) int {
	fd := -1
	if f != nil {
		if raw, err := f.SyscallConn(); err == nil {
			_ = raw.Control(func(p uintptr) { fd = int(p) }) // a closed file has none
		}
	}
	return fd
}

// pollable is our end of a pipe: nonblocking, so that it costs no thread. The
// other end is another open file and stays as programs expect it.
func pollable(fd int, name string) *os.File {
	_ = unix.SetNonblock(fd, true) // a fresh pipe has no reason to refuse
	return os.NewFile(uintptr(fd), name)
}

// kill is for the end, when the stage can't be asked any more.
func (b *container) kill() {
	if b.pidfd >= 0 {
		_ = unix.PidfdSendSignal(b.pidfd, unix.SIGKILL, nil, 0) // it may be dead already
	}
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
}
