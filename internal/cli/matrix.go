package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/matrix"
	"github.com/podlab/podlab/pod"
)

const codeDiffers = 1 // a cell of the matrix is not as predicted, or not proven

func matrixCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "POD[/CONTAINER] [POD…]",
		Description: "A container of the first pod makes an object of each of nine kinds. Who reaches it: another process of the same\n" +
			"container, a sibling container, the other pods, this machine? What is to be expected follows from inode numbers of\n" +
			"namespaces and mounts, and is computed from them; then everybody really looks, and exchanges data with the owner.\n" +
			"Rights are left out: the objects may be used by everybody (mode 666), so the table shows who finds them, not who may\n" +
			"use an object of yours that has another mode.\n" +
			"A ✗ counts only if a sibling reached the same object just before and just after. Everything is removed again.\n" +
			"A pod alone stands for the first of its running containers, by name; POD/CONTAINER names another.\n\n" +
			"  $ podlab run -d web.yaml jobs.yaml\n  $ podlab ipc matrix web jobs\n  $ podlab ipc matrix -o svg web jobs >who.svg\n" +
			"  $ podlab ipc matrix -o json web jobs | jq '.rows[].cells[] | select(.viewer == \"this machine\").measured'\n\n" +
			"Exit codes: 0 all cells are as the numbers say; 1 one is not, or is not proven; 125 wrong usage.",
		Flags: []cli.Flag{outputFlag("table, json, markdown or svg", "table"), namespaceFlag()},
		Action: func(c *cli.Context) error {
			err := showMatrix(u, c.Args().Slice(), c.String("root"), c.String("namespace"), c.String("output"))
			if err != nil {
				return context("ipc matrix", err)
			}
			return nil
		},
	}
}

func showMatrix(u *ui, args []string, root, namespace, output string) error {
	show, ok := map[string]func(*ui, *matrix.Report) error{
		"table":    matrixTable,
		"json":     func(u *ui, r *matrix.Report) error { return u.json(r) },
		"markdown": matrixMarkdown,
		"svg":      matrixSVG,
	}[output]
	switch {
	case !ok:
		return oneOf("-o", output, "table", "json", "markdown", "svg")
	case len(args) == 0:
		return withHint("podlab ipc matrix web jobs", "which pods?")
	}
	ctx, stop := untilSignal()
	defer stop()
	report, err := measureMatrix(ctx, args, root, namespace)
	var sig signalled
	switch {
	case errors.As(err, &sig):
		return &failure{code: codeSignal + int(sig), err: err}
	case err != nil:
		return err
	}
	if err := show(u, report); err != nil {
		return err
	}
	return matrixFaults(report)
}

// matrixFaults is an error for each cell that isn't as predicted, and each row that couldn't be measured.
func matrixFaults(r *matrix.Report) error {
	var all []error
	fault := func(format string, args ...any) {
		all = append(all, &failure{code: codeDiffers, err: fmt.Errorf(format, args...)})
	}
	for _, l := range r.Rows {
		if l.Fault {
			fault("%s: %s", l.Name, l.Why)
		}
		for i, c := range l.Cells {
			if c.Judgement != matrix.AsPredicted {
				fault("%s from %s: %s: %s", l.Name, r.Viewers[i].Name, c.Judgement, c.Why)
			}
		}
	}
	if len(all) == 0 && !r.Verdict.OK {
		fault("nothing was measured")
	}
	return errors.Join(all...)
}

// probes are those that run; close ends them all, and waits.
type probes struct {
	links   []*matrix.Link
	handles []*pod.Handle
}

func (p *probes) close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	for _, h := range p.handles {
		_ = h.Close() // only asked through
	}
	return errors.Join(errs...)
}

// measureMatrix starts the probes and has them measure.
func measureMatrix(ctx stdcontext.Context, args []string, root, namespace string) (r *matrix.Report, err error) {
	var p probes
	defer func() {
		if e := p.close(); err == nil && e != nil {
			err = fmt.Errorf("a probe: %w", e)
		}
	}()
	owner, viewers, err := p.start(ctx, args, root, namespace)
	if err != nil {
		return nil, err
	}
	return matrix.Measure(ctx, owner, viewers)
}

// start starts a probe in every viewpoint: of the first pod two in one container and one in a sibling, one in each
// other pod, and one here.
func (p *probes) start(ctx stdcontext.Context, args []string, root, namespace string) (owner matrix.Viewpoint, viewers []matrix.Viewpoint, err error) {
	first, err := p.open(ctx, args[0], root, namespace)
	if err != nil {
		return owner, nil, err
	}
	if owner, err = p.in(ctx, first, first.container, ""); err != nil {
		return owner, nil, err
	}
	add := func(v matrix.Viewpoint, e error) {
		if err == nil {
			err = e
			viewers = append(viewers, v)
		}
	}
	add(p.in(ctx, first, first.container, matrix.SameContainer))
	if first.sibling != "" {
		add(p.in(ctx, first, first.sibling, matrix.Sibling))
	}
	for _, arg := range args[1:] {
		other, e := p.open(ctx, arg, root, namespace)
		if e == nil && other.handle.Name == first.handle.Name && other.handle.Namespace == first.handle.Namespace {
			e = fmt.Errorf("%s: want another pod than the first", other.handle.Name)
		}
		if e != nil {
			return owner, nil, e
		}
		column := matrix.OtherPod
		if other.hostIPC {
			column = matrix.HostIPCPod
		}
		add(p.in(ctx, other, other.container, column))
	}
	add(p.here())
	slices.SortStableFunc(viewers, func(a, b matrix.Viewpoint) int { return columnOrder(a.Column) - columnOrder(b.Column) })
	return owner, viewers, err
}

func columnOrder(c matrix.Column) int {
	return slices.Index([]matrix.Column{matrix.SameContainer, matrix.Sibling, matrix.OtherPod, matrix.Host, matrix.HostIPCPod}, c)
}

// viewedPod is a running pod, and which of its containers are looked from.
type viewedPod struct {
	handle    *pod.Handle
	container string
	sibling   string // another running one, "" for none
	hostIPC   bool
}

// open finds the pod that POD or POD/CONTAINER names.
func (p *probes) open(ctx stdcontext.Context, arg, root, namespace string) (v viewedPod, err error) {
	name, container, given := strings.Cut(arg, "/")
	h, err := openPod(root, namespace, name)
	if err != nil {
		return v, err
	}
	p.handles = append(p.handles, h)
	st, err := h.State(ctx)
	if err != nil {
		return v, err
	}
	var running []string
	for _, n := range containerNames(pod.Entry{State: st}) {
		if st.Containers[n].Pid > 0 {
			running = append(running, n)
		}
	}
	if given && !slices.Contains(running, container) || len(running) == 0 {
		return v, nothingRuns(pod.Entry{Namespace: h.Namespace, Name: h.Name, Alive: true, State: st}, container)
	}
	if !given {
		container = running[0]
	}
	v = viewedPod{handle: h, container: container}
	for _, n := range running {
		if n != container {
			v.sibling = n
			break
		}
	}
	v.hostIPC = hasHostIPC(st.Containers[container].Pid)
	return v, nil
}

// hasHostIPC tells whether the process of a container has what hostIPC gives a pod: the IPC namespace of this machine
// and its /dev/shm. A pod that was run without an isolation (--without ipc) has only the first, and is another pod.
func hasHostIPC(pid int) bool {
	for _, p := range []string{"/proc/%s/ns/ipc", "/proc/%s/root/dev/shm"} {
		var own, other unix.Stat_t
		err := errors.Join(unix.Stat(fmt.Sprintf(p, "self"), &own), unix.Stat(fmt.Sprintf(p, strconv.Itoa(pid)), &other))
		if err != nil || own.Dev != other.Dev || own.Ino != other.Ino {
			return false // what can't be looked at isn't claimed
		}
	}
	return true
}

// in starts a probe in a container.
func (p *probes) in(ctx stdcontext.Context, v viewedPod, container string, column matrix.Column) (matrix.Viewpoint, error) {
	at := matrix.Viewpoint{Column: column, Name: v.handle.Name + "/" + container}
	files, err := matrix.Pipes()
	if err != nil {
		return at, err
	}
	x, err := v.handle.Exec(ctx, pod.ExecOptions{Container: container, Self: true, Command: []string{"podlab", probeVerb},
		Stdin: files.Stdin, Stdout: files.Stdout, Stderr: files.Stderr})
	if err != nil {
		files.Abandon()
		return at, fmt.Errorf("%s: %w", at.Name, err)
	}
	at.Link = files.Link(func(ctx stdcontext.Context) error {
		code, sig, err := x.Wait(ctx)
		_ = x.Close() // kills what hasn't ended by now
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", at.Name, err)
		case sig != 0:
			return fmt.Errorf("%s: killed by %s", at.Name, unix.SignalName(sig))
		case code != 0:
			return fmt.Errorf("%s: exit code %d", at.Name, code)
		}
		return nil
	})
	p.links = append(p.links, at.Link)
	return at, nil
}

// here starts a probe on this machine, in podlab's own namespaces. Ctrl-C is for podlab, which then ends its probes:
// hence the process group. Whatever becomes of podlab, the end of its pipe ends the probe.
func (p *probes) here() (matrix.Viewpoint, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"podlab", probeVerb}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l, err := matrix.Spawn(cmd)
	if err != nil {
		return matrix.Viewpoint{}, fmt.Errorf("host: %w", err)
	}
	p.links = append(p.links, l)
	return matrix.Viewpoint{Column: matrix.Host, Name: "this machine", Link: l}, nil
}
