package cli

import (
	stdcontext "context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/pod"
)

func stopCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "POD…",
		Description: "Ends pods as Kubernetes does: SIGTERM, their grace, SIGKILL; and waits until nothing is left of them. Whole names\n" +
			"only.\n\n  $ podlab stop web\n  $ podlab stop --grace 0s web jobs",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the pods' `NAMESPACE`", Value: defaultNamespace},
			&cli.DurationFlag{Name: "grace", Usage: "the `TIME` between SIGTERM and SIGKILL, in place of terminationGracePeriodSeconds"},
		},
		Action: func(c *cli.Context) error {
			grace := pod.PodGrace
			if c.IsSet("grace") {
				grace = c.Duration("grace")
			}
			return stop(u, c.Args().Slice(), c.String("root"), c.String("namespace"), grace)
		},
	}
}

// stop ends pods side by side.
func stop(u *ui, names []string, root, namespace string, grace time.Duration) error {
	if len(names) == 0 {
		return usage("stop", withHint("give the name of a pod", "which pod?"))
	}
	if grace < 0 && grace != pod.PodGrace {
		return usage("stop", withHint("0s kills at once", "--grace %s: want no negative time", grace))
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
	all = make([]error, len(names))
	var each sync.WaitGroup
	for i, n := range names {
		each.Go(func() { all[i] = stopOne(r, namespace, n, grace) })
	}
	each.Wait()
	for i, err := range all {
		if err == nil {
			u.printf("%s stopped\n", names[i])
		} else {
			all[i] = context("stop", err)
		}
	}
	return errors.Join(all...)
}

func stopOne(r *pod.Root, namespace, name string, grace time.Duration) error {
	h, err := pod.Open(r, namespace, name)
	if errors.Is(err, os.ErrNotExist) {
		var names []string
		if all, err := r.List(); err == nil { // only for the hint
			for _, e := range all {
				if e.Namespace == namespace && e.Alive {
					names = append(names, e.Name)
				}
			}
		}
		return noPod(name, names)
	}
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // only asked through
	return h.Stop(stdcontext.Background(), grace)
}
