package cli

import (
	stdcontext "context"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/podlab/podlab/pod"
	"github.com/podlab/podlab/pod/spec"
)

// runner runs the pods of one `podlab run`, side by side.
type runner struct {
	u        *ui
	args     runArgs
	in       *spec.Input
	out      *lines
	prefix   map[string]prefixes // by "pod/container"
	narrator *narrator           // nil without --explain
	times    timings
	gone     func(error) // ends the run: nobody is there any more
	stop     func(kill bool)
	ready    func() bool // told once, when all pods run or have run and none has failed; false ends them. nil: nobody waits

	mu   sync.Mutex
	code int // of the first pod that failed
	down int // pods that aren't up yet
}

func newRunner(u *ui, a runArgs, in *spec.Input) *runner {
	r := &runner{u: u, args: a, in: in, out: newLines(u.out, u.outTTY, a.stamp, nil), prefix: map[string]prefixes{}}
	var names []string
	wide, widest := 0, 0
	for _, p := range in.Pods {
		widest = max(widest, len(p.Name))
		for _, c := range p.Spec.Containers {
			label := r.label(p.Name, c.Name)
			names = append(names, label)
			wide, widest = max(wide, len(label)), max(widest, len(p.Name)+1+len(c.Name))
		}
	}
	colors := map[string]color{}
	if u.outColor {
		colors = colorsOf(names)
	}
	for _, p := range in.Pods {
		for _, c := range p.Spec.Containers {
			label := r.label(p.Name, c.Name)
			r.prefix[p.Name+"/"+c.Name] = prefixesFor(label, wide, colors[label])
		}
	}
	if a.explain {
		r.narrator = &narrator{u: u, wide: widest}
	}
	return r
}

// label is a container's name at the beginning of its lines: with the pod's, if there are several pods.
func (r *runner) label(pod, container string) string {
	if len(r.in.Pods) == 1 {
		return container
	}
	return pod + "/" + container
}

// run runs all pods to their ends. The error is podlab's own, from before any of them was started.
func (r *runner) run() (code int, err error) {
	if err := sameName(r.in.Pods); err != nil {
		return 0, err
	}
	root, err := pod.OpenRoot(r.args.root)
	if err != nil {
		return 0, err
	}
	defer func() { _ = root.Close() }() // the pods have removed what is theirs
	ctx, cancel := stdcontext.WithCancel(stdcontext.Background())
	defer cancel()
	r.down = len(r.in.Pods)
	kill := make(chan struct{})
	var once sync.Once
	var names []string
	for _, p := range r.in.Pods {
		names = append(names, p.Name)
	}
	r.stop = func(now bool) {
		if now {
			once.Do(func() { close(kill) })
		}
		cancel()
	}
	w := r.u.watch(names, graceOf(r.in.Pods), r.args.timeout, r.stop)
	r.out.broken, r.gone = w.pipe, w.pipe
	var pods sync.WaitGroup
	for _, p := range r.in.Pods[1:] {
		pods.Go(func() { r.pod(ctx, root, p, kill) })
	}
	r.pod(ctx, root, r.in.Pods[0], kill)
	pods.Wait()
	if code := w.done(); code != 0 {
		return code, nil
	}
	return r.code, nil
}

// pod runs one pod and says how it ended, unless it was ended from outside, which has been said.
func (r *runner) pod(ctx stdcontext.Context, root *pod.Root, p *spec.Pod, kill <-chan struct{}) {
	w := &podWatch{r: r, pod: p.Name, births: len(p.Spec.Containers)}
	o := pod.Options{
		Rootfs: r.args.rootfs, Restart: r.args.restart, Without: r.args.without, Trace: r.args.explain || r.args.time,
		Watch: w.event, Kill: kill, Detached: r.args.detach, Logs: r.args.detach,
	}
	if !r.args.detach {
		o.Stdin = r.stdin()
		o.Output = func(container string, stderr bool) io.Writer { return r.output(p.Name, container, stderr) }
	}
	st, err := pod.Run(ctx, root, p, r.in, o)
	defer w.up() // if it was never
	switch {
	case err != nil && ctx.Err() == nil:
		r.u.fail(context(r.args.where("run"), err))
		r.failed(codeOwn)
	case err != nil && !errorsIsCanceled(err):
		r.u.fail(context(r.args.where("run"), err))
	case st.ExitCode != 0 && ctx.Err() == nil:
		if text := howItEnded(st); text != "" {
			r.u.note("%s: %s", p.Name, text)
		}
		r.failed(st.ExitCode)
	}
}

// podUp counts the pods that run or have run, and says when all of them do.
func (r *runner) podUp() {
	r.mu.Lock()
	r.down--
	all, failed := r.down == 0, r.code != 0
	r.mu.Unlock()
	switch {
	case !all || r.ready == nil:
	case failed:
		if len(r.in.Pods) > 1 {
			r.u.note("run: one of the pods has failed, so none is left running")
		}
		r.stop(true) // who waits would wait for the others' ends
	case !r.ready():
		r.gone(syscall.EPIPE)
	}
}

// failed keeps the code of the pod that failed first.
func (r *runner) failed(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.code == 0 {
		r.code = code
	}
}

// stdin is for containers with stdin: true, unless the manifest came that way.
func (r *runner) stdin() *os.File {
	for _, f := range r.args.files {
		if f == "-" {
			return nil
		}
	}
	return r.u.in
}

// output is where a container writes to.
func (r *runner) output(pod, container string, stderr bool) io.Writer {
	p := r.prefix[pod+"/"+container]
	switch {
	case r.args.output == "raw" && !r.args.stamp && stderr:
		return raw{r.u.err, r.out}
	case r.args.output == "raw" && !r.args.stamp:
		return raw{r.u.out, r.out}
	case r.args.output == "raw":
		return r.out.stream(nil, nil)
	case stderr:
		return r.out.stream(p.err, p.more)
	}
	return r.out.stream(p.out, p.more)
}

// raw passes on what one container writes, as it is. It isn't closed when the container is.
type raw struct {
	f *os.File
	l *lines
}

func (w raw) Write(p []byte) (int, error) {
	if _, err := w.f.Write(p); err != nil {
		w.l.fault(err)
	}
	return len(p), nil // as lines: the run is being ended, and the container must not be held up
}
