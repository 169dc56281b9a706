package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
)

func psCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "[POD…]",
		Description: "The pods that run, and lost ones, whose podlab was killed, as kubectl shows them: of all namespaces, where they\n" +
			"are in several. -o wide adds the pid of the pod stage and the inode numbers of the pod's IPC and network\n" +
			"namespaces; -o json is a v1 PodList.\n\n" +
			"  $ podlab ps\n  $ podlab ps -o wide web\n  $ podlab stop $(podlab ps -o name)\n  $ podlab ps -o json | jq -r '.items[].status.phase'",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "only pods of this `NAMESPACE`"},
			outputFlag("table, wide, json or name", "table"),
			&cli.BoolFlag{Name: "no-headers", Usage: "print no line of heads"},
		},
		Action: func(c *cli.Context) error {
			err := ps(u, c.Args().Slice(), c.String("root"), c.String("namespace"), c.String("output"), !c.Bool("no-headers"))
			if err != nil {
				return context("ps", err)
			}
			return nil
		},
	}
}

func ps(u *ui, names []string, root, namespace, output string, heads bool) error {
	if formats := []string{"table", "wide", "json", "name"}; !slices.Contains(formats, output) {
		return oneOf("--output", output, formats...)
	}
	r, err := pod.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read from
	all, err := r.List()
	if err != nil {
		return err
	}
	if all, err = chosen(all, namespace, names); err != nil {
		return err
	}
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() { ask(r, &all[i]) })
	}
	asked.Wait()
	switch output {
	case "json":
		return u.json(podList(all))
	case "name":
		for _, e := range all {
			u.printf("%s\n", e.Name)
		}
		return nil
	}
	if len(all) == 0 {
		u.note("no pods") // kubectl says so on standard error, too
		return nil
	}
	u.table(podTable(all, namespace == "", output == "wide", heads, time.Now()))
	return nil
}

// chosen are the pods that were asked for: by their names, or beginnings of them, or all.
func chosen(all []pod.Entry, namespace string, names []string) (some []pod.Entry, err error) {
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(e pod.Entry) bool { return namespace != "" && e.Namespace != namespace }), nil
	}
	var errs []error
	for _, n := range names {
		e, err := findPod(all, namespace, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		some = append(some, e)
	}
	return some, errors.Join(errs...)
}

// askTimeout is how long a supervisor that may be stopped is waited for. What it has written last must do then.
const askTimeout = time.Second

// ask gets the state of a pod from its supervisor: what that has written may be older by a moment, or not be there yet.
func ask(r *pod.Root, e *pod.Entry) {
	if !e.Alive {
		return
	}
	h, err := pod.Open(r, e.Namespace, e.Name)
	if err != nil {
		return // it is going
	}
	defer func() { _ = h.Close() }() // only asked through
	ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), askTimeout)
	defer cancel()
	if s, err := h.State(ctx); err == nil {
		e.State, e.Err = s, nil
	}
}

// statusOf is the STATUS column: what the supervisor says, if there is one.
func statusOf(e pod.Entry) string {
	switch {
	case !e.Alive:
		return "Lost"
	case e.Err != nil:
		return "Unknown" // being made, or going
	}
	return e.State.Status
}

// podTable is kubectl's. With names of namespaces if they tell anything.
func podTable(all []pod.Entry, namespaces, wide, heads bool, now time.Time) *table {
	namespaces = namespaces && slices.ContainsFunc(all, func(e pod.Entry) bool { return e.Namespace != all[0].Namespace })
	t := &table{head: []string{"NAME", "READY", "STATUS", "RESTARTS", "AGE"}}
	if wide {
		t.head = append(t.head, "PID", "IPC", "NET")
	}
	status := 2
	if namespaces {
		t.head, status = append([]string{"NAMESPACE"}, t.head...), 3
	}
	for _, e := range all {
		ready := 0
		for _, c := range e.State.Containers {
			if e.Alive && c.State == "Running" {
				ready++
			}
		}
		row := []string{e.Name, fmt.Sprintf("%d/%d", ready, len(e.State.Containers)), statusOf(e), restarts(e, now), age(e.State.Started, now)}
		if e.Err != nil {
			row[1], row[3] = "-", "-"
		}
		if wide {
			row = append(row, wideCells(e)...)
		}
		if namespaces {
			row = append([]string{e.Namespace}, row...)
		}
		t.add(row...)
	}
	if !heads {
		t.head = nil
	}
	t.paint = func(_, col int, cell string) color {
		switch {
		case col != status || cell == "Completed" || cell == "Terminating" || cell == "Pending":
			return ""
		case cell == "Running":
			return green
		case cell == "ContainerCreating" || cell == "NotReady":
			return yellow
		}
		return red
	}
	return t
}

// restarts is the RESTARTS column: how many, and when there was the latest.
func restarts(e pod.Entry, now time.Time) string {
	n, latest := 0, time.Time{}
	for _, c := range e.State.Containers {
		n += c.Restarts
		if c.Restarts > 0 && c.Finished.After(latest) {
			latest = c.Finished
		}
	}
	if latest.IsZero() {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d (%s ago)", n, age(latest, now))
}

// wideCells are the pid of the pod stage, and the namespaces that it holds for all containers.
func wideCells(e pod.Entry) []string {
	cells := []string{"-", "-", "-"}
	if !e.Alive || !sameProcess(e.State.Stage) {
		return cells
	}
	cells[0] = strconv.Itoa(e.State.Stage.Pid)
	look := []pod.Process{e.State.Stage} // which doesn't let an ordinary user look (it is not dumpable, proc(5)); a container may
	for _, n := range containerNames(e) {
		look = append(look, e.State.Containers[n].Process)
	}
	for _, p := range look {
		if !sameProcess(p) {
			continue
		}
		if in, err := ns.Inspect(p.Pid); err == nil && sameProcess(p) {
			cells[1], cells[2] = strconv.FormatUint(in[ns.IPC], 10), strconv.FormatUint(in[ns.Net], 10)
			return cells
		}
	}
	return cells
}

// age is a time span in kubectl's words: two units at most, and the second only while it matters.
func age(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	d := max(0, now.Sub(since))
	const day = 24 * time.Hour
	for _, r := range []struct {
		below, unit, small time.Duration
		u, s               string
	}{
		{2 * time.Minute, time.Second, 0, "s", ""},
		{10 * time.Minute, time.Minute, time.Second, "m", "s"},
		{3 * time.Hour, time.Minute, 0, "m", ""},
		{8 * time.Hour, time.Hour, time.Minute, "h", "m"},
		{2 * day, time.Hour, 0, "h", ""},
		{8 * day, day, time.Hour, "d", "h"},
		{2 * 365 * day, day, 0, "d", ""},
		{8 * 365 * day, 365 * day, day, "y", "d"},
		{1<<63 - 1, 365 * day, 0, "y", ""},
	} {
		if d >= r.below {
			continue
		}
		text := strconv.Itoa(int(d/r.unit)) + r.u
		if r.small > 0 && d%r.unit >= r.small {
			text += strconv.Itoa(int(d%r.unit/r.small)) + r.s
		}
		return text
	}
	return "-"
}
