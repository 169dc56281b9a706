package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/pod/spec"
)

// superviseVerb is how podlab starts itself for run -d: a podlab that runs the pods as any other does, but in a session
// of its own, with their output in files, and nothing to say once they run.
const superviseVerb = "supervise"

// The descriptors that it is started with.
const (
	superviseOrder = 3 // where its handover comes from
	superviseReady = 4 // where it says that the pods run
)

// handover is what it is to do: the manifests as they were read, for files change and standard input is read once.
type handover struct {
	Files                            []string
	Sources                          []handed
	Namespace, Root, Rootfs, Restart string
	Sysctls, Explain                 bool
	Without                          string
	Timeout                          time.Duration
}

type handed struct {
	Name string
	Data []byte
}

// detachable refuses what needs somebody who stays.
func (a *runArgs) detachable() error {
	switch {
	case !a.detach:
		return nil
	case a.time:
		return withHint("podlab run -d --explain tells how long each step took", "--detach and --time: nobody waits for the end")
	case a.output != "prefix" || a.stamp:
		return withHint("podlab logs shows what the containers write", "--detach: it prints nothing that --output or --timestamps could change")
	}
	return nil
}

// detach starts a podlab that runs the pods, and waits until they run. What it has to say until then it says itself.
func (u *ui) detach(a runArgs, in *spec.Input) error {
	h := handover{Files: a.files, Namespace: a.namespace, Root: a.root, Rootfs: a.rootfs, Restart: a.restart,
		Sysctls: a.sysctls, Explain: a.explain, Without: a.withoutArg, Timeout: a.timeout}
	for _, s := range u.sources {
		h.Sources = append(h.Sources, handed{s.name, s.data})
	}
	order, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range in.Pods {
		names = append(names, p.Name)
	}
	code, err := u.startSupervisor(names, order)
	if err != nil || code != 0 {
		return errors.Join(err, exit(code))
	}
	u.printf("%s\n", strings.Join(names, "\n"))
	return nil
}

func (u *ui) startSupervisor(names []string, order []byte) (code int, err error) {
	orderR, orderW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer orderR.Close()
	defer orderW.Close()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer readyR.Close()
	// Whatever else the caller has left open, a lock or the end of a pipe, the pods must not hold for their lives.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 0, fmt.Errorf("close_range: %w", err)
	}
	cmd := exec.Command("/proc/self/exe") // this podlab, even if another has been installed since
	cmd.Args = append([]string{"podlab", superviseVerb}, names...)
	cmd.Stderr, cmd.ExtraFiles = u.err, []*os.File{orderR, readyW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // away from this terminal, and its Ctrl-C
	err = cmd.Start()
	_ = readyW.Close() // or its end would never be seen
	if err != nil {
		return 0, fmt.Errorf("start a supervisor: %w", err)
	}
	_ = orderR.Close()
	_, err = orderW.Write(order)
	_ = orderW.Close()
	if said, _ := io.ReadAll(readyR); err == nil && len(said) > 0 {
		return 0, cmd.Process.Release()
	}
	_ = cmd.Wait() // its exit code tells
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		return code, nil
	}
	return codeOwn, errors.New("the supervisor was killed before the pods ran")
}

// supervise is that podlab.
func supervise(u *ui) error {
	order := os.NewFile(superviseOrder, "order")
	var h handover
	data, err := io.ReadAll(order)
	if err == nil {
		err = json.Unmarshal(data, &h)
	}
	if err != nil {
		return withHint("podlab run -d starts it", "%s: not for people: it wants its orders on descriptor %d", superviseVerb, superviseOrder)
	}
	_ = order.Close()
	syscall.CloseOnExec(superviseReady)
	u.verb, u.quiet = "run", true
	for _, s := range h.Sources {
		u.given = append(u.given, source{s.Name, s.Data})
	}
	a := runArgs{planArgs: planArgs{files: h.Files, namespace: h.Namespace, root: h.Root, rootfs: h.Rootfs, restart: h.Restart, sysctls: h.Sysctls},
		output: "prefix", explain: h.Explain, timeout: h.Timeout, detach: true}
	if a.without, err = parseWithout(h.Without); err != nil {
		return err
	}
	in, err := a.read(u)
	if err != nil {
		return context("run", err)
	}
	r := newRunner(u, a, in)
	r.ready = func() bool { return u.silence() }
	code, err := r.run()
	if err != nil {
		return context(a.where("run"), err)
	}
	return exit(code)
}

// silence says that the pods run, and lets go of whoever started this podlab: their terminal, their current directory.
// It is false if they are gone already.
func (u *ui) silence() bool {
	ready := os.NewFile(superviseReady, "ready")
	if _, err := ready.Write([]byte("r")); err != nil {
		return false
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Dup3(null, 2, 0) // what could fail is only this process's hold on a terminal
		_ = unix.Close(null)
	}
	_ = os.Chdir("/")
	_ = ready.Close()
	return true
}
