package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/pod/spec"
)

func runCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "FILE…|DIR|-|example:NAME",
		Description: "Runs every Pod of the manifests, until all have ended. ConfigMaps and Secrets in them serve the Pods. The\n" +
			"containers' lines come out as `app | text`, and `app ! text` for their standard error. Ctrl-C stops the\n" +
			"pods with their grace, a second one kills them. Nothing is left afterwards.\n\n" +
			"  $ podlab run example:hello\n  $ podlab run --explain web.yaml settings.yaml\n  $ cat pod.yaml | podlab run --output raw -\n  $ podlab run -d web.yaml && podlab exec web -- ps -ef && podlab stop web",
		Flags: []cli.Flag{
			fileFlag(), namespaceFlag(), rootfsFlag(), restartFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "print containers' output as `FORMAT`: prefix, or raw (one container, as it is)", Value: "prefix"},
			&cli.BoolFlag{Name: "timestamps", Usage: "put the time before each line"},
			&cli.BoolFlag{Name: "explain", Usage: "print each step as it is done: key, time, system calls, and why"},
			&cli.BoolFlag{Name: "time", Usage: "print at the end how long each phase and step took"},
			sysctlsFlag(),
			&cli.BoolFlag{Name: "detach", Aliases: []string{"d"}, Usage: "return when the pods run; podlab stop ends them"},
			withoutFlag(),
			&cli.DurationFlag{Name: "timeout", Usage: "stop the pods after `DURATION` (90s, 5m); the exit code is then 124"},
		},
		Action: func(c *cli.Context) error {
			return run(u, runArgs{
				planArgs: planFlags(c), output: c.String("output"), stamp: c.Bool("timestamps"),
				explain: c.Bool("explain"), time: c.Bool("time"), timeout: c.Duration("timeout"), detach: c.Bool("detach"),
			})
		},
	}
}

type runArgs struct {
	planArgs
	output               string
	stamp, explain, time bool
	detach               bool
	timeout              time.Duration
}

func (a *runArgs) check() error {
	if a.output != "prefix" && a.output != "raw" {
		return oneOf("--output", a.output, "prefix", "raw")
	}
	if a.timeout < 0 {
		return withHint("0 is no timeout", "--timeout %s: want no negative time", a.timeout)
	}
	if err := a.detachable(); err != nil {
		return err
	}
	return a.planArgs.check()
}

func run(u *ui, a runArgs) error {
	began := time.Now()
	if err := a.check(); err != nil {
		return usage("run", err)
	}
	in, err := a.read(u)
	if err != nil {
		return context("run", err)
	}
	if err := oneOutput(a, in.Pods); err != nil {
		return context(a.where("run"), err)
	}
	a.stdinTaken(u, in.Pods)
	for _, p := range in.Pods {
		u.warnWithout(p.Name, a.without)
	}
	if a.detach {
		if err := u.detach(a, in); err != nil {
			return context(a.where("run"), err)
		}
		return nil
	}
	if restore := u.rawTerminal(&a, in.Pods); restore != nil {
		defer restore()
	}
	r := newRunner(u, a, in)
	r.times.phase("read and judge the manifests", time.Since(began))
	code, err := r.run()
	if a.time {
		r.times.phase("podlab run, in all", time.Since(began))
		_, _ = u.err.WriteString(r.times.render(u.errColor)) // nowhere left to say that stderr is gone
	}
	if err != nil {
		return context(a.where("run"), err)
	}
	return exit(code)
}

// oneOutput: raw output of several containers would be a jumble of half lines.
func oneOutput(a runArgs, pods []*spec.Pod) error {
	if a.output != "raw" {
		return nil
	}
	var names []string
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			names = append(names, p.Name+"/"+c.Name)
		}
	}
	if len(names) == 1 {
		return nil
	}
	return withHint("leave --output raw out: each line then has its container's name",
		"--output raw: want one container, have %d (%s)", len(names), strings.Join(names, ", "))
}

// stdinTaken warns of containers that want what the manifest came by.
func (a *runArgs) stdinTaken(u *ui, pods []*spec.Pod) {
	if !slices.Contains(a.files, "-") {
		return
	}
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			if c.Stdin {
				u.note("warning: %s/%s: stdin: true: it gets no input, since the manifest came by standard input", p.Name, c.Name)
			}
		}
	}
}

// graceOf is the longest terminationGracePeriodSeconds of the pods.
func graceOf(pods []*spec.Pod) time.Duration {
	grace := time.Duration(0)
	for _, p := range pods {
		g := int64(30) // as the API server's default
		if s := p.Spec.TerminationGracePeriodSeconds; s != nil {
			g = *s
		}
		if g > int64(1<<62/time.Second) {
			g = int64(1 << 62 / time.Second)
		}
		grace = max(grace, time.Duration(g)*time.Second)
	}
	return grace
}

// sameName: two pods of one name in one namespace can't both have it.
func sameName(pods []*spec.Pod) error {
	seen := map[string]bool{}
	var all []error
	for _, p := range pods {
		full := p.Namespace + "/" + p.Name
		if seen[full] {
			all = append(all, fmt.Errorf("%s: two pods of that name in namespace %s", p.Name, p.Namespace))
		}
		seen[full] = true
	}
	return errors.Join(all...)
}
