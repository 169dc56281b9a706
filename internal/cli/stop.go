package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/pod"
)

func stopCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "POD…",
		Description: "Ends pods as Kubernetes does: SIGTERM, their grace, SIGKILL; and waits until nothing is left of them. Several\n" +
			"end side by side. Whole names only.\n\n  $ podlab stop web\n  $ podlab stop --grace 0s web jobs",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the pods' `NAMESPACE`", Value: defaultNamespace},
			&cli.StringFlag{Name: "grace", Usage: "the `TIME` between SIGTERM and SIGKILL (5s; 0 kills at once), in place of terminationGracePeriodSeconds"},
		},
		Action: func(c *cli.Context) error {
			grace, err := parseGrace(c.String("grace"))
			if err != nil {
				return usage("stop", err)
			}
			return stop(u, c.Args().Slice(), c.String("root"), c.String("namespace"), grace)
		},
	}
}

// parseGrace reads a duration, or a number of seconds, which is what kubectl and docker want.
func parseGrace(text string) (time.Duration, error) {
	if text == "" {
		return pod.PodGrace, nil
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--grace %s: want a duration, like 5s, or a number of seconds", quote(text))
	}
	return d, nil
}

// stop ends pods side by side, and names each when it is gone.
func stop(u *ui, names []string, root, namespace string, grace time.Duration) error {
	if len(names) == 0 {
		return usage("stop", withHint("give the name of a pod", "which pod?"))
	}
	var all []error
	for _, n := range names {
		all = append(all, checkName("pod name", n))
	}
	if err := errors.Join(append(all, checkName("namespace", namespace))...); err != nil {
		return context("stop", err)
	}
	r, err := pod.OpenRoot(root)
	if err != nil {
		return context("stop", err)
	}
	defer func() { _ = r.Close() }() // only asked through
	slices.Sort(names)
	names = slices.Compact(names)
	type end struct {
		name string
		err  error
	}
	ends := make(chan end)
	for _, n := range names {
		go func() { ends <- end{n, stopOne(r, namespace, n, grace)} }()
	}
	all = nil
	for range names {
		e := <-ends
		if e.err != nil {
			all = append(all, context("stop", e.err))
			continue
		}
		u.printf("%s stopped\n", e.name)
		_ = u.outw.Flush() // an error stays in it, and is told at the end
	}
	return errors.Join(all...)
}

func stopOne(r *pod.Root, namespace, name string, grace time.Duration) error {
	h, err := pod.Open(r, namespace, name)
	if errors.Is(err, os.ErrNotExist) {
		return noPod(name, living(r, namespace))
	}
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // only asked through
	err = h.Stop(stdcontext.Background(), grace)
	if err == nil || errors.Is(err, pod.ErrGone) {
		return nil // it ended by itself at that moment
	}
	if all, lerr := r.List(); lerr == nil {
		i := slices.IndexFunc(all, func(e pod.Entry) bool { return e.Namespace == namespace && e.Name == name })
		switch {
		case i < 0:
			return nil // it was just ending
		case !all[i].Alive:
			return nothingRuns(all[i], "")
		}
	}
	return err
}

// living are the names of the pods that run, for hints.
func living(r *pod.Root, namespace string) (names []string) {
	all, _ := r.List() // a hint can do without
	for _, e := range all {
		if e.Namespace == namespace && e.Alive {
			names = append(names, e.Name)
		}
	}
	return names
}
