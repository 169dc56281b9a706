package cli

import (
	"bytes"
	stdcontext "context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/pod"
)

func logsCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "POD[/CONTAINER]",
		Description: "Prints what the containers of a pod have written, since the latest start of each: the lines of several begin\n" +
			"with their names, as podlab run prints them; those of one are as it wrote them, standard error among them.\n" +
			"Pods of podlab run -d keep logs: 10 MiB a file, and five files of each container's two latest runs.\n\n" +
			"  $ podlab logs web\n  $ podlab logs -f --tail 10 web/app\n  $ podlab logs --since 5m --timestamps web | grep error\n  $ podlab logs --previous web/app",
		Flags: []cli.Flag{
			namespaceFlag(),
			&cli.StringFlag{Name: "container", Aliases: []string{"c"}, Usage: "the `CONTAINER`; else all of the pod's"},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on until the pod is gone"},
			&cli.BoolFlag{Name: "previous", Aliases: []string{"p"}, Usage: "of the run before the latest restart"},
			&cli.IntFlag{Name: "tail", Usage: "only the last `N` lines of each container; -1 is all", Value: -1},
			&cli.StringFlag{Name: "since", Usage: "only lines younger than a `DURATION` (90s, 5m), or since a time (2016-10-06T00:17:09Z)"},
			&cli.BoolFlag{Name: "timestamps", Usage: "put the time before each line"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "print as `FORMAT`: prefix, or raw (one container, as it is); else what suits"},
		},
		Action: func(c *cli.Context) error {
			a := logsArgs{root: c.String("root"), namespace: c.String("namespace"), container: c.String("container"), follow: c.Bool("follow"),
				previous: c.Bool("previous"), tail: c.Int("tail"), stamp: c.Bool("timestamps"), output: c.String("output")}
			err := a.since.parse(c.String("since"), time.Now())
			if err == nil {
				err = a.check(c.Args().Slice())
			}
			if err != nil {
				return usage("logs", err)
			}
			if err := logs(u, a); err != nil {
				return context("logs", err)
			}
			return nil
		},
	}
}

type logsArgs struct {
	root, namespace, container string
	follow, previous, stamp    bool
	tail                       int
	since                      since
	output                     string
	pod                        string
}

// since is the value of --since: the time from which on lines are wanted.
type since struct{ time.Time }

func (s *since) parse(text string, now time.Time) error {
	if text == "" {
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		s.Time = now.Add(-d)
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("--since %s: want a duration (90s, 5m), or a time like 2016-10-06T00:17:09Z", quote(text))
	}
	s.Time = t
	return nil
}

func (a *logsArgs) check(args []string) error {
	switch {
	case len(args) == 0:
		return withHint("podlab logs web", "which pod?")
	case len(args) > 1:
		return tooMany(args[1:])
	case a.output != "" && a.output != "prefix" && a.output != "raw":
		return oneOf("--output", a.output, "prefix", "raw")
	case a.output == "raw" && a.stamp:
		return errors.New("--output raw and --timestamps: which of them?")
	case a.follow && a.previous:
		return errors.New("--previous and --follow: nothing is added to the log of a run that has ended")
	case a.tail < -1:
		return fmt.Errorf("--tail %d: want a number of lines, or -1 for all", a.tail)
	}
	name, container, both := strings.Cut(args[0], "/")
	if both && a.container != "" && a.container != container {
		return fmt.Errorf("%s, and --container %s: which of them?", args[0], a.container)
	}
	if a.pod = name; both {
		a.container = container
	}
	return nil
}

// logs prints the log of a pod, of a lost one too.
func logs(u *ui, a logsArgs) error {
	r, err := pod.OpenRoot(a.root)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read from
	all, err := r.List()
	if err != nil {
		return err
	}
	e, err := findPod(all, a.namespace, a.pod)
	if err != nil {
		return err
	}
	h, err := pod.Open(r, e.Namespace, e.Name)
	if errors.Is(err, os.ErrNotExist) {
		return noPod(e.Name, nil) // gone since
	}
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // likewise
	ask(r, &e)
	names, err := h.Logs()
	if errors.Is(err, pod.ErrNoLogs) && e.Alive {
		return withHint("podlab run -d keeps logs", "%s: it keeps no logs: the podlab run that it belongs to (pid %d) prints what it writes", e.Name, e.State.Supervisor)
	}
	if err != nil {
		return err
	}
	if a.container != "" {
		if !slices.Contains(names, a.container) {
			return withHint("there are "+strings.Join(names, ", "), "%s/%s: there is no such container", e.Name, cleanString(a.container))
		}
		names = []string{a.container}
	}
	if a.output == "raw" && len(names) > 1 {
		return withHint("leave --output raw out: each line then has its container's name",
			"--output raw: want one container, have %d (%s)", len(names), strings.Join(names, ", "))
	}
	if e.State.Unlogged != "" {
		u.note("warning: %s: some of what it has written could not be logged: %s", e.Name, e.State.Unlogged)
	}
	v := newLogView(u, a, e.Name, names)
	if a.follow && e.Alive {
		return v.follow(h, names)
	}
	return v.print(h, names)
}

// logView is the logs of a pod's containers on their way to standard output.
type logView struct {
	u      *ui
	args   logsArgs
	pod    string
	lines  *lines
	exact  bool // a single log, byte for byte
	prefix map[string]prefixes
	ctx    stdcontext.Context
	broken stdcontext.CancelCauseFunc
}

func newLogView(u *ui, a logsArgs, pod string, names []string) *logView {
	v := &logView{u: u, args: a, pod: pod, prefix: map[string]prefixes{}}
	v.ctx, v.broken = stdcontext.WithCancelCause(stdcontext.Background())
	v.lines = newLines(u.out, u.outTTY, a.stamp, func(err error) { v.broken(err) })
	v.exact = a.output == "raw" || a.output == "" && len(names) == 1 && !a.stamp && !u.outTTY
	if a.output == "" && len(names) == 1 {
		return v
	}
	wide, colors := 0, map[string]color{}
	for _, n := range names {
		wide = max(wide, len(n))
	}
	if u.outColor {
		colors = colorsOf(names)
	}
	for _, n := range names {
		v.prefix[n] = prefixesFor(n, wide, colors[n])
	}
	return v
}

// logOf is one container's log in a view.
type logOf struct {
	v      *logView
	r      *pod.LogReader
	stream [2]*stream
	run    int
	rec    pod.LogRecord // the next
	err    error         // instead of rec
}

func (v *logView) of(r *pod.LogReader) (*logOf, error) {
	p := v.prefix[r.Container]
	l := &logOf{v: v, r: r, stream: [2]*stream{v.lines.stream(p.out, p.more), v.lines.stream(p.err, p.more)}}
	if v.args.tail >= 0 {
		if err := r.Tail(v.args.tail, v.args.since.Time); err != nil {
			return nil, err
		}
	}
	l.next()
	return l, nil
}

// next looks at the next record that is wanted.
func (l *logOf) next() {
	for {
		l.rec, l.err = l.r.Next()
		since := l.v.args.since
		if l.err != nil || since.IsZero() || !l.rec.Before(since.Time) {
			return
		}
	}
}

// put prints the record, and looks at the one after it. It is called with the lock of the lines.
func (l *logOf) put() {
	v, rec := l.v, l.rec
	if l.r.Gap {
		v.lines.flush()
		v.u.note("warning: %s/%s: lines are missing: they came faster than they could be printed, and the oldest are dropped", v.pod, l.r.Container)
		l.r.Gap = false
	}
	s := l.stream[0]
	if rec.Stderr {
		s = l.stream[1]
	}
	switch {
	case v.exact:
		v.lines.buf = append(v.lines.buf, rec.Text...)
		if !rec.Part {
			v.lines.buf = append(v.lines.buf, '\n')
		}
		if len(v.lines.buf) > maxLine {
			v.lines.flush()
		}
	default:
		if rec.Run != l.run {
			l.end() // a line of another start doesn't go on here
		}
		if len(s.part) == 0 && !s.isMore {
			s.at = append(s.at[:0], rec.Time...)
		}
		s.add(rec.Text)
		if !rec.Part {
			s.add([]byte("\n"))
		}
	}
	l.run = rec.Run
	l.next()
}

func (l *logOf) end() {
	for _, s := range l.stream {
		s.end()
	}
}

// print prints what there is.
func (v *logView) print(h *pod.Handle, names []string) error {
	var all []*logOf
	for _, n := range names {
		r, err := h.OpenLog(n, v.args.previous)
		if errors.Is(err, os.ErrNotExist) && v.args.previous && len(names) > 1 {
			continue // others may have one
		}
		if errors.Is(err, os.ErrNotExist) && v.args.previous {
			return fmt.Errorf("%s/%s: it has not been restarted: there is no previous run", v.pod, n)
		}
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }() // only read from
		l, err := v.of(r)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: no container has been restarted: there is no previous run", v.pod)
	}
	v.merge(all, nil)
	return v.end(all)
}

// merge prints the records of all in the order of their times, up to a time.
func (v *logView) merge(all []*logOf, until []byte) {
	v.lines.mu.Lock()
	defer v.lines.mu.Unlock()
	defer v.lines.flush()
	for v.ctx.Err() == nil {
		var first *logOf
		for _, l := range all {
			if l.err == nil && (first == nil || bytes.Compare(l.rec.Time, first.rec.Time) < 0) {
				first = l
			}
		}
		if first == nil || until != nil && bytes.Compare(first.rec.Time, until) >= 0 {
			return
		}
		first.put()
	}
}

// end prints last lines without an end, and says what went wrong.
func (v *logView) end(all []*logOf) error {
	v.lines.mu.Lock()
	defer v.lines.mu.Unlock()
	var errs []error
	for _, l := range all {
		l.end()
		if l.err != nil && l.err != io.EOF {
			errs = append(errs, fmt.Errorf("%s/%s: %w", v.pod, l.r.Container, l.err))
		}
	}
	v.lines.flush()
	if v.lines.err != nil {
		return fmt.Errorf("standard output: %w", bareErrno(v.lines.err))
	}
	return errors.Join(errs...)
}

// follow prints what there is, and what comes until the pod is gone.
func (v *logView) follow(h *pod.Handle, names []string) error {
	f, err := h.FollowLogs(names)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	var all []*logOf
	for _, r := range f.Readers {
		l, err := v.of(r)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	// In order up to now. What comes from now on comes as it does.
	v.merge(all, time.Now().UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000000Z"))
	var followers sync.WaitGroup
	for _, l := range all {
		followers.Go(func() {
			for more := true; more && (l.err == nil || l.err == io.EOF); more = l.r.Wait(v.ctx) {
				for l.batch() {
				}
			}
		})
	}
	followers.Wait()
	return v.end(all)
}

// batch prints a few records while others wait.
func (l *logOf) batch() bool {
	l.v.lines.mu.Lock()
	defer l.v.lines.mu.Unlock()
	for range 1000 {
		if l.err == io.EOF {
			over := l.r.Over()
			if l.next(); over && l.err == io.EOF {
				l.end() // its last line has no end
			}
		}
		if l.err != nil || l.v.ctx.Err() != nil {
			l.v.lines.flush()
			return false
		}
		l.put()
	}
	return true
}
