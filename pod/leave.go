package pod

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// writeState brings state.json up to date. It is a cache for those who look:
// that it can't be written is no reason to stop a pod.
func (s *supervisor) writeState() {
	s.dirty = false
	if err := s.dir.WriteState(s.state()); err != nil {
		s.emit(Event{Kind: EventStep, Step: ns.Step{Key: "pod.state"}, Err: err})
	}
}

// state is the pod as others may see it.
func (s *supervisor) state() State {
	out := s.tree.Policy.Outcome(s.lives)
	st := State{
		Namespace: s.tree.Namespace, Name: s.tree.Name, UID: s.tree.UID,
		Started: s.began, Supervisor: unix.Getpid(), Stage: process(s.stage.Pid),
		Phase: out.Phase, Status: s.tree.Policy.Column(s.lives, s.now()), Unlogged: s.unlogged,
		Containers: map[string]ContainerState{},
	}
	if ids := s.tree.Pod.Attach; ids != nil {
		st.IDBase = uint32(ids.UIDs[0].Host)
	}
	for i, l := range s.lives {
		w := l.Words(s.now())
		c := ContainerState{State: w.State, Reason: w.Reason, ExitCode: l.Code, Restarts: l.Restarts()}
		if pid := s.boxes[i].pid; pid > 0 {
			c.Process, c.Mount = process(pid), s.boxes[i].mnt
		}
		if l.StartedAt > 0 {
			c.Started = s.began.Add(l.StartedAt)
		}
		if l.FinishedAt > 0 {
			c.Finished = s.began.Add(l.FinishedAt)
		}
		st.Containers[s.boxes[i].plan.Name] = c
	}
	return st
}

// process is pid with the time that it started, in clock ticks since the
// machine did: what tells it from a later process with the same number.
func process(pid int) Process {
	stat := readSmall("/proc/" + strconv.Itoa(pid) + "/stat")
	// The name, in parentheses, may hold anything: count from the last one.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return Process{Pid: pid}
	}
	start, _ := strconv.ParseUint(fields[19], 10, 64) // proc(5): field 22, always a number
	return Process{Pid: pid, Start: start}
}

// down ends the pod: the stage dies, and with PID 1 of its PID namespace every
// process in it. Nothing else needs undoing but what lies in the directory.
func (s *supervisor) down() {
	start := time.Now()
	for _, b := range s.boxes {
		b.kill()
	}
	for _, x := range s.execs {
		x.signal(unix.SIGKILL)
		_ = x.reports.Close()
	}
	if s.stage != nil {
		s.bury()
	}
	finished := make(chan struct{})
	go func() {
		s.work.Wait()
		close(finished)
	}()
	for done := false; !done; {
		select {
		case n := <-s.news: // nobody may wait for us
			n.discard()
		case n := <-s.said:
			n.discard()
		case <-finished:
			done = true
		}
	}
	for _, b := range s.boxes {
		b.close()
	}
	for _, x := range s.execs {
		x.close()
	}
	for _, a := range s.early {
		a.discard()
	}
	if s.stage != nil {
		_ = unix.Close(s.stage.Pidfd)
		_ = s.conn.Close()
	}
	s.emit(Event{Kind: EventDown, Took: time.Since(start)})
}

// bury ends the stage, and waits for it.
func (s *supervisor) bury() {
	// A stage in the host's PID namespace has to end its children itself, and
	// must be let: we may be killed at any moment.
	if !s.tree.Pod.Clone.Has(ns.PID) {
		s.conn.HangUp()
		_ = s.stage.Reports.Close()
		_ = s.stage.WaitExit(time.Second) // no longer: it may be stopped
	}
	// By its pid, which is its own until we have waited for it: this must not
	// fail, and some seccomp filters know no pidfd_send_signal(2).
	_ = unix.Kill(s.stage.Pid, unix.SIGKILL) // it may be dead already
	_, _ = syscall.Wait4(s.stage.Pid, &s.end, 0, nil)
	for _, b := range s.boxes {
		b.sweep()
	}
	close(s.buried)
	_ = s.stage.Reports.Close()
}

// discard closes the descriptors of news that come too late.
func (n news) discard() {
	if n.forked != nil {
		_ = unix.Close(n.forked.pidfd) // nobody else has it
	}
	if n.terminal != nil {
		_ = unix.Close(*n.terminal) // likewise
	}
	if n.msg != nil {
		for _, fd := range n.msg.FDs {
			_ = unix.Close(fd) // nobody else has it
		}
	}
}

// removeDir deletes the pod's directory. Where an ordinary user's pod had a
// range of ids, some files in it may belong to ids that only a user namespace
// with that range has power over.
func (s *supervisor) removeDir() error {
	err := s.dir.Remove()
	var foreign *ForeignError
	if err != nil && !errors.As(err, &foreign) {
		err = s.dir.Remove() // what was short a moment ago, descriptors say, need not be any more
	}
	if errors.As(err, &foreign) && s.tree != nil && s.tree.Pod.Attach != nil {
		if err := removeAs(s.tree.Pod.Attach, s.dir); err != nil {
			return fmt.Errorf("%s: %w", s.dir.Path, err)
		}
		err = s.dir.Remove()
	}
	if err != nil {
		_ = s.dir.Close() // what is left is a lost pod's; podlab rm can try again
	}
	return err
}

// Remove deletes what a lost pod has left. left are processes that may be its:
// without a PID namespace of their own, they outlive a podlab and a pod stage
// that were killed together. Nobody can be sure that the mount namespace which
// they are in is still the one that the pod's state names, so they are not ended.
func Remove(r *Root, namespace, name string) (left []int, err error) {
	d, err := r.Adopt(namespace, name)
	if err != nil {
		return nil, err
	}
	if st, err := d.ReadState(); err == nil {
		for _, c := range st.Containers {
			left = append(left, ns.Processes(ns.InNamespace(ns.Mnt, c.Mount))...)
		}
	}
	err = d.Remove()
	var foreign *ForeignError
	if errors.As(err, &foreign) {
		err = removeRange(d)
	}
	if err != nil {
		_ = d.Close() // a lost pod as before
		return nil, err
	}
	return left, nil
}

// removeRange deletes a directory with files that belong to ids of the caller's
// range.
func removeRange(d *Dir) error {
	h := Host{UID: unix.Getuid(), GID: unix.Getgid()}
	h.subIDs()
	if len(h.SubUID) == 0 {
		return fmt.Errorf("%s: files of a range of ids that this user doesn't have", d.Path)
	}
	if err := removeAs(rangeIDs(h), d); err != nil {
		return fmt.Errorf("%s: %w", d.Path, err)
	}
	return d.Remove()
}

// removeAs empties the directory with rm(1), which follows no symbolic link, in
// a user namespace with the pod's ids.
func removeAs(ids *ns.IDMaps, d *Dir) error {
	runtime.LockOSThread() // Start
	defer runtime.UnlockOSThread()
	p := ns.Proc{Name: "rm", Clone: ns.Of(ns.User), Attach: ids, Inside: []ns.Step{
		{Key: "rm.chdir", Op: ns.Chdir{Path: d.Path}},
		{Key: "rm.exec", Op: ns.Exec{Path: "rm", Args: []string{"rm", "-rf", "--one-file-system", "--", "volumes"},
			Env: []string{"PATH=/usr/bin:/bin"}}},
	}}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/null: %w", err)
	}
	defer unix.Close(null)
	c, err := p.Start(null, false)
	if err != nil {
		return err
	}
	defer c.Abandon()
	if err := c.Reports.Wait(nil); err != nil {
		return err
	}
	return c.WaitExit(time.Minute)
}
