package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
)

// Verb is the argument that makes a program call Serve.
const Verb = "__inventory"

// Take takes the inventory of a pod that runs.
func Take(ctx context.Context, s pod.State) (Inventory, error) {
	a, shared, err := answerOf(ctx, s, request{Stage: s.Stage, Containers: s.Containers})
	if err != nil {
		return Inventory{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	a.Inventory.Namespace, a.Inventory.Pod, a.Inventory.SharedIPC = s.Namespace, s.Name, shared
	return a.Inventory, nil
}

// answerOf asks a process in the pod's IPC namespace, and tells whether that is the caller's own as well.
func answerOf(ctx context.Context, s pod.State, r request) (a answer, shared bool, err error) {
	in, err := json.Marshal(r)
	if err != nil {
		return a, false, err
	}
	kinds, shared, err := toJoin(s.Stage.Pid)
	if err != nil {
		return a, false, gone(err)
	}
	stage, err := openProcess(s.Stage.Pid, s.Stage.Start)
	if err != nil {
		return a, false, err
	}
	defer unix.Close(stage)
	out, err := ask(ctx, stage, kinds, in)
	if err != nil {
		return a, false, err
	}
	if err := json.Unmarshal(out, &a); err != nil {
		return a, false, fmt.Errorf("answer of the process in its namespace: %w", err)
	}
	if a.Error != "" {
		return a, false, errors.New(a.Error)
	}
	return a, shared, nil
}

// gone is pod.ErrGone where a process wasn't there any more.
func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH) {
		return pod.ErrGone
	}
	return err
}

// toJoin says which of the stage's namespaces a child of ours has to join, and whether the IPC namespace is ours as well.
func toJoin(stage int) (kinds ns.Kinds, shared bool, err error) {
	own, err := ns.Inspect(0)
	if err != nil {
		return 0, false, err
	}
	its, err := ns.Inspect(stage)
	if err != nil {
		return 0, false, err
	}
	if shared = its[ns.IPC] == own[ns.IPC]; !shared {
		kinds = kinds.With(ns.IPC)
	}
	// setns(2) to an IPC namespace takes CAP_SYS_ADMIN here and there; who has it here has it in all user namespaces
	// below. Others have it once they have joined the user namespace, which is theirs. root stays out of it, for there
	// /proc/kpagecgroup can't be read.
	if its[ns.User] != own[ns.User] && !capable(unix.CAP_SYS_ADMIN) {
		kinds = kinds.With(ns.User)
	}
	return kinds, shared, nil
}

// capable tells whether this process has a capability in its user namespace.
func capable(c int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&hdr, &data[0]) == nil && data[c/32].Effective>>(c%32)&1 != 0
}

// needed is what the child needs of the pod's user namespace: to look at its processes (ptrace(2)), at files and
// objects whatever their mode, and to mount an mqueue file system that nobody sees.
const needed = ns.Caps(1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_IPC_OWNER | 1<<unix.CAP_SYS_ADMIN)

// steps is how the child gets where it has to be, and becomes this program again.
func steps(kinds ns.Kinds) []ns.Step {
	all := []ns.Step{{Key: "inventory.self", Op: ns.OpenFile{Path: "/proc/self/exe", Name: "self"}}}
	if kinds != 0 {
		all = append(all, ns.Step{Key: "inventory.join", Op: ns.Setns{Kinds: kinds}})
	}
	if kinds.Has(ns.User) {
		// To make a mount takes CAP_SYS_ADMIN over the mount namespace too, fsopen(2): one of its own.
		all = append(all, ns.Step{Key: "inventory.unshare", Op: ns.Unshare{Kinds: ns.Of(ns.Mnt)}})
		// Our user id needn't be root there; then execve(2) would drop all capabilities but the ambient ones.
		all = append(all, ns.Step{Key: "inventory.caps", Op: ns.AmbientCaps{Caps: needed}})
	}
	return append(all,
		ns.Step{Key: "inventory.death", Op: ns.DeathSignal{}},
		ns.Step{Key: "inventory.stdio", Op: ns.Stdio{}},
		ns.Step{Key: "inventory.exec", Op: ns.ExecFile{Name: "self", Args: []string{"podlab", Verb}, Env: os.Environ()}},
	)
}

// openProcess is a pidfd of a process that began at start, if that is known.
func openProcess(pid int, start uint64) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, gone(&os.PathError{Op: "pidfd_open", Path: fmt.Sprint(pid), Err: err})
	}
	if has, err := startTime(fmt.Sprintf("/proc/%d", pid)); err != nil || start != 0 && has != start {
		_ = unix.Close(pidfd) // somebody else's, who has the number now
		return -1, pod.ErrGone
	}
	return pidfd, nil
}

// ask starts a child in some of a process's namespaces, gives it the question, and returns its answer.
func ask(ctx context.Context, target int, kinds ns.Kinds, question []byte) (out []byte, err error) {
	// The child's parent-death signal is for the death of the thread that forked it, prctl(2).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var pipes [3][2]*os.File // standard input, output, error
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		defer w.Close()
		pipes[i] = [2]*os.File{r, w}
	}
	c, err := fork(kinds, target, pipes[0][0], pipes[1][1], pipes[2][1])
	if err != nil {
		return nil, err
	}
	defer c.end()
	defer c.killAtEndOf(ctx)()
	for _, f := range []*os.File{pipes[0][0], pipes[1][1], pipes[2][1]} {
		_ = f.Close() // the child has its own
	}
	if err := c.reports.Wait(nil); err != nil {
		return nil, err // of a step; one that was killed answers nothing
	}
	var stderr bytes.Buffer
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_, _ = pipes[0][1].Write(question) // a child that doesn't read answers nothing, which is seen below
		_ = pipes[0][1].Close()
		_, _ = io.Copy(&stderr, pipes[2][0]) // what is lost would be told people only
	}()
	out, err = io.ReadAll(pipes[1][0])
	<-heard
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case len(out) == 0:
		return nil, fmt.Errorf("no answer of the process in its namespace: %s", bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// child is a process that fork has made.
type child struct {
	pid, pidfd int
	reports    *ns.Reports
}

func fork(kinds ns.Kinds, target int, std ...*os.File) (*child, error) {
	table := ns.Compile(steps(kinds), false)
	report, reports, err := ns.NewReports(table)
	if err != nil {
		return nil, err
	}
	defer unix.Close(report)
	low := []int{report, int(std[0].Fd()), int(std[1].Fd()), int(std[2].Fd()), target}
	fds := make([]int, len(low))
	for i, fd := range low {
		// Above standard error, so that no dup3 in the table closes what it still needs.
		if fds[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 4); err != nil {
			_ = reports.Close() // nobody is there to be let go
			return nil, fmt.Errorf("fcntl F_DUPFD_CLOEXEC: %w", err)
		}
		defer unix.Close(fds[i])
	}
	c := &child{reports: reports}
	if c.pid, c.pidfd, err = table.Fork(0, fds); err != nil {
		_ = reports.Close() // as above
		return nil, err
	}
	return c, nil
}

// killAtEndOf kills the child when ctx ends, until stop has been called.
func (c *child) killAtEndOf(ctx context.Context) (stop func()) {
	killed := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(killed)
		_ = unix.PidfdSendSignal(c.pidfd, unix.SIGKILL, nil, 0) // it may have ended
	})
	return func() {
		if !unhook() {
			<-killed
		}
	}
}

// end waits for the child's end, which comes after its answer, or by SIGKILL.
func (c *child) end() {
	_ = c.reports.Close() // lets one go that failed
	for {
		if _, err := syscall.Wait4(c.pid, nil, 0, nil); err != syscall.EINTR {
			break
		}
	}
	_ = unix.Close(c.pidfd) // and with it, all that we had of it
}
