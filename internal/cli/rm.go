package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/pod"
)

func rmCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "POD…",
		Description: "A pod whose podlab was killed leaves its directory behind; this removes it. (So does the next podlab run of\n" +
			"the same pod.) A running pod isn't touched, unless by --force. Whole names only.\n\n  $ podlab rm web\n  $ podlab rm -f web jobs",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "the pods' `NAMESPACE`", Value: defaultNamespace},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "kill what runs, without grace"},
		},
		Action: func(c *cli.Context) error {
			return rm(u, c.Args().Slice(), c.String("root"), c.String("namespace"), c.Bool("force"))
		},
	}
}

// rm removes every pod that it can, and reports all those it can't.
func rm(u *ui, names []string, root, namespace string, force bool) error {
	if len(names) == 0 {
		return usage("rm", withHint("give the name of a pod", "which pod?"))
	}
	// Names are judged before anything is removed, and before they meet a path: an "rm a ../b" removes nothing.
	for _, n := range names {
		if err := checkName("pod name", n); err != nil {
			return context("rm", err)
		}
	}
	if err := checkName("namespace", namespace); err != nil {
		return context("rm", err)
	}
	r, err := pod.OpenRoot(root)
	if err != nil {
		return context("rm", err)
	}
	defer func() { _ = r.Close() }() // pods that were removed are; nothing is written through it
	var all []error
	for _, n := range names {
		if force && stopOne(r, namespace, n, 0) == nil {
			u.printf("%s removed\n", n) // its podlab has done that
			continue
		}
		left, err := pod.Remove(r, namespace, n)
		if err != nil {
			all = append(all, context("rm", notRemoved(r, namespace, n, err)))
			continue
		}
		u.printf("%s removed\n", n)
		if len(left) > 0 {
			u.note("warning: processes %v may be what is left of %s, which shared its PID namespace: end them with kill if they are", left, n)
		}
	}
	return errors.Join(all...)
}

// notRemoved says why, and what to do.
func notRemoved(r *pod.Root, namespace, name string, err error) error {
	var running *pod.RunningError
	switch {
	case errors.As(err, &running):
		f := &failure{code: codeOwn, err: fmt.Errorf("%s is running", name), hint: "podlab stop " + name + " ends it in order, podlab rm -f kills it"}
		if running.Supervisor > 0 {
			f.err = fmt.Errorf("%s is running (podlab's pid %d)", name, running.Supervisor)
		}
		return f
	case errors.Is(err, os.ErrNotExist):
		var names []string
		if all, err := r.List(); err == nil { // only for the hint
			for _, e := range all {
				if e.Namespace == namespace && !e.Alive {
					names = append(names, e.Name)
				}
			}
		}
		return noPod(name, names)
	}
	return context(name, err)
}
