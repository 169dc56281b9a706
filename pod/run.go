package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// Run runs a pod to its end: it reserves the name, makes the plan, carries it
// out, and leaves nothing behind. ctx's end stops the pod as Kubernetes would,
// with SIGTERM, grace, and SIGKILL. The error is podlab's own failure; how the
// containers fared is in the Status.
func Run(ctx context.Context, root *Root, p *spec.Pod, in *spec.Input, o Options) (st Status, err error) {
	if ctx.Err() != nil {
		return st, ctx.Err()
	}
	s := &supervisor{began: time.Now(), opts: o, name: p.Name, news: make(chan news, 16), execs: map[int]*execution{}}
	s.dir, err = root.Reserve(p.Namespace, p.Name)
	var foreign *ForeignError
	if errors.As(err, &foreign) { // an earlier pod's, of a range of ids
		if _, err = Remove(root, p.Namespace, p.Name); err == nil {
			s.dir, err = root.Reserve(p.Namespace, p.Name)
		}
	}
	if err != nil {
		return st, err
	}
	defer func() {
		s.lastLogs()
		if err2 := s.removeDir(); err == nil && err2 != nil {
			err = err2
		}
		s.control.close()
	}()
	if err := s.begin(p, in); err != nil {
		return st, err
	}
	err = s.loop(ctx)
	s.down()
	if errors.Is(err, errStageDied) {
		err = s.named(stageFault(s.end))
	}
	return s.status(), err
}

// stageFault says why the stage hung up, from its wait status.
func stageFault(ws syscall.WaitStatus) error {
	switch {
	case !ws.Exited() || ws.ExitStatus() == 0:
		return errStageDied
	case ws.ExitStatus() == 2: // so says the Go runtime
		return errors.New("the pod stage crashed, and the pod with it")
	}
	return fmt.Errorf("the pod stage gave up: %w", syscall.Errno(ws.ExitStatus()))
}

// begin makes the plan, and gives birth to the pod stage and the first
// containers.
func (s *supervisor) begin(p *spec.Pod, in *spec.Input) error {
	host, err := Probe(p)
	if err != nil {
		return err
	}
	po := PlanOptions{Dir: s.dir.Path, Rootfs: s.opts.Rootfs, Restart: s.opts.Restart, Without: s.opts.Without, UID: newUID(), Now: s.began, Input: in}
	if host.UID == 0 && p.Spec.HostUsers != nil && !*p.Spec.HostUsers && !po.Without.Has(ns.User) {
		ids, err := s.dir.ReserveIDs()
		if err != nil {
			return err
		}
		po.IDBase = int(ids)
	}
	if err := s.plan(p, host, po); err != nil {
		return err
	}
	if s.opts.Logs {
		s.makeLogs()
	}
	if s.opts.Detached {
		if err := s.openControl(); err != nil {
			return s.named(err)
		}
	}
	for _, note := range s.tree.Notes {
		s.emit(Event{Kind: EventNote, Msg: note})
	}
	if err := s.hostSteps(); err != nil {
		return s.named(err)
	}
	s.orders() // those who begin at once are born with the stage
	err = s.startStage()
	for i, b := range s.boxes {
		if err == nil && len(b.fds) > 0 && !b.first {
			err = s.send(i)
		}
		b.handOver()
	}
	if err != nil {
		s.down()
	}
	return s.named(err)
}

// supervisor is the one goroutine that decides. Others read what can only be
// waited for, and tell it over the channel news.
type supervisor struct {
	name   string
	began  time.Time
	opts   Options
	dir    *Dir
	tree   *Tree
	conn   *ns.Conn
	stage  *ns.Child
	boxes  []*container
	lives  []Life // one for each of boxes
	news   chan news
	said   chan news          // by the stage: with room for all it can say unasked, so that it never waits for us while we wait for it
	up     bool               // the stage's program runs
	gone   bool               // the stage has hung up
	end    syscall.WaitStatus // of the stage
	buried chan struct{}      // closed: the stage is dead, and its parent's thread is free

	control  control
	execs    map[int]*execution // by their numbers
	lastExec int
	early    []asked // of containers that are being born
	unlogged string  // why something could not be logged, the first time

	dirty bool // state.json is behind
	fault error
	work  sync.WaitGroup // goroutines that read
}

// stageBirth is whom news is about that isn't a container, which have numbers
// from 0, nor an execution (firstExec): the pod stage, until its program runs, and
// its end.
const stageBirth = -1

// news is what a goroutine has to tell: exactly one field beside box is set.
type news struct {
	box  int // index into boxes, or stageBirth
	born bool
	err  error       // it wasn't born
	step *stepDone   // a step is done
	msg  *ns.Message // from the stage
	gone bool        // the stage has hung up
	log  error       // its log can't be written

	forked   *forked // it was forked by the stage on its way, or for an exec
	terminal *int    // the master of the terminal of an exec
}

type forked struct{ pid, pidfd int } // the pid as the stage counts

type stepDone struct {
	step  ns.Step
	calls []string
	took  time.Duration
}

// plan makes the tree.
func (s *supervisor) plan(p *spec.Pod, host Host, po PlanOptions) (err error) {
	if s.tree, err = Plan(p, host, po); err != nil {
		return err
	}
	for i := range s.tree.Containers {
		s.boxes = append(s.boxes, &container{plan: &s.tree.Containers[i], pidfd: -1})
	}
	s.lives = make([]Life, len(s.boxes))
	s.said = make(chan news, 16+4*len(s.boxes))
	return nil
}

// newUID is a random UUID, RFC 9562 version 4.
func newUID() string {
	var b [16]byte
	_, _ = unix.Getrandom(b[:], 0) // whole and without error for so few bytes, getrandom(2)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// named says which pod an error is about.
func (s *supervisor) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

func (s *supervisor) now() time.Duration { return time.Since(s.began) }

func (s *supervisor) emit(e Event) {
	if s.opts.Watch != nil {
		e.At, e.Pod = s.now(), s.name
		s.opts.Watch(e)
	}
}

// hostSteps prepares the pod's directory.
func (s *supervisor) hostSteps() error {
	if !s.opts.Trace {
		return ns.Compile(s.tree.Pod.Host, false).Run()
	}
	for _, step := range s.tree.Pod.Host {
		t := ns.Compile([]ns.Step{step}, false)
		calls := texts(t)[0]
		start := ns.Clock()
		if err := t.Run(); err != nil {
			return err
		}
		s.emit(Event{Kind: EventStep, Step: step, Calls: calls, Took: ns.Clock() - start})
	}
	return nil
}

// texts are the calls of a table, step by step.
func texts(t *ns.Table) [][]string {
	calls := make([][]string, len(t.Steps()))
	for _, c := range t.Texts() {
		calls[c.Step] = append(calls[c.Step], c.Text)
	}
	return calls
}

// startStage gives birth to the pod stage, on a thread of its own: the stage
// asks for a signal when its parent dies, and the kernel means the thread that
// forked it (prctl(2), PR_SET_PDEATHSIG).
func (s *supervisor) startStage() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(fds[1]) // the stage has its own
	p := s.tree.Pod
	p.Inside = s.withFirst(p.Inside)
	born := make(chan error, 1)
	s.buried = make(chan struct{})
	start := ns.Clock()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		stage, err := p.Start(fds[1], s.opts.Trace)
		s.stage = stage
		if born <- err; err == nil {
			<-s.buried // the stage's parent is this thread
		}
	}()
	if err := <-born; err != nil {
		_ = unix.Close(fds[0]) // nobody is there to talk to
		return explainClone(err, p.Clone)
	}
	s.conn = ns.NewConn(fds[0])
	s.stage.Reports.Forked = func(id, pid, pidfd int) {
		s.news <- news{box: id, forked: &forked{pid, pidfd}}
	}
	s.watchBirth(stageBirth, s.stage.Reports, start)
	s.work.Add(1)
	go s.listen()
	return nil
}

// withFirst puts into the stage's steps what the first containers are to do.
// Whose turn comes later is forked by the stage's program.
func (s *supervisor) withFirst(plan []ns.Step) (with []ns.Step) {
	for _, step := range plan {
		if fork, ok := step.Op.(ns.Spawn); ok {
			b := s.boxes[fork.ID]
			if len(b.fds) == 0 {
				continue
			}
			fork.Table, fork.FDs = b.reports.Table(), [4]int(b.fds)
			step.Op = fork
			b.first = true
		}
		with = append(with, step)
	}
	return with
}

// listen passes on what the stage says, until it hangs up.
func (s *supervisor) listen() {
	defer s.work.Done()
	for {
		m, err := s.conn.Recv()
		switch {
		case err == io.EOF:
			s.said <- news{box: stageBirth, gone: true}
			return
		case err != nil:
			s.said <- news{box: stageBirth, err: err}
			return
		}
		s.said <- news{box: int(m.ID), msg: &m}
	}
}

// order tells the stage to do something. A stage that is gone already is no
// error here: the news of its birth or of its end says why.
func (s *supervisor) order(m ns.Message) error {
	if err := s.conn.Send(m); !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return err
	}
	return nil
}

// explainClone adds what usually forbids namespaces.
func explainClone(err error, kinds ns.Kinds) error {
	var e *ns.StepError
	switch {
	case !kinds.Has(ns.User), !errors.As(err, &e) || e.Key != "clone":
		return err
	case errors.Is(err, unix.EPERM):
		return &HintError{err, "user namespaces are off for users here: see sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; podlab check tells"}
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return &HintError{err, "the limit on namespaces is reached: sysctl user.max_user_namespaces; podlab check tells"}
	}
	return err
}

// watchBirth reads what a newborn reports.
func (s *supervisor) watchBirth(box int, r *ns.Reports, start time.Duration) {
	var watch func(int, time.Duration)
	if s.opts.Trace {
		calls, steps := texts(r.Table()), r.Table().Steps()
		watch = func(i int, at time.Duration) {
			if i >= len(steps) { // it is born
				start = at
				return
			}
			s.news <- news{box: box, step: &stepDone{steps[i], calls[i], at - start}}
			start = at
		}
	}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		if err := r.Wait(watch); err != nil {
			s.news <- news{box: box, err: err}
		} else {
			s.news <- news{box: box, born: true}
		}
	}()
}

func (s *supervisor) status() Status {
	out := s.tree.Policy.Outcome(s.lives)
	st := Status{Phase: out.Phase, Reason: out.Reason, ExitCode: out.ExitCode}
	for i, l := range s.lives {
		st.Containers = append(st.Containers, ContainerStatus{s.boxes[i].plan.Name, l, l.Restarts()})
	}
	if out.FirstFailed >= 0 {
		st.FirstFailed = s.boxes[out.FirstFailed].plan.Name
	}
	return st
}
