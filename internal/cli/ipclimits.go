package cli

import (
	"fmt"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/inventory"
	"github.com/podlab/podlab/ipc"
)

func ipcLimitsCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "[POD]",
		Description: "The sysctls that each IPC namespace has for itself: of this one, or of a running pod's. A new namespace gets the\n" +
			"kernel's defaults, not the values of the one that it was made in: what was raised on a node doesn't reach its\n" +
			"pods. An asterisk marks what differs. RLIMIT_MSGQUEUE is no part of the namespace: it counts the queues of a\n" +
			"user in all of them together.\n\n" +
			"  $ podlab ipc limits\n  $ podlab ipc limits web\n  $ podlab ipc limits -o json | jq '.limits[] | select(.value != .default)'",
		Flags: []cli.Flag{outputFlag("table or json", "table"), namespaceFlag()},
		Action: func(c *cli.Context) error {
			args, output := c.Args().Slice(), c.String("output")
			switch {
			case len(args) > 1:
				return usage("ipc limits", tooMany(args[1:]))
			case output != "table" && output != "json":
				return usage("ipc limits", oneOf("-o", output, "table", "json"))
			case len(args) == 0:
				return showLimits(u, output)
			}
			if err := podLimits(u, args[0], c.String("root"), c.String("namespace"), output); err != nil {
				return context("ipc limits", err)
			}
			return nil
		},
	}
}

// limitsResult is -o json.
type limitsResult struct {
	PodNamespace     string      `json:"namespace,omitempty"`
	Pod              string      `json:"pod,omitempty"`
	Namespace        string      `json:"ipcNamespace"` // "ipc:[4026531839]"
	Limits           []ipc.Limit `json:"limits"`
	MsgQueueBytes    *uint64     `json:"msgQueueBytes"`    // RLIMIT_MSGQUEUE, soft; null: no limit
	MsgQueueBytesMax *uint64     `json:"msgQueueBytesMax"` // hard
}

func showLimits(u *ui, output string) error {
	all, err := ipc.ReadLimits()
	for _, e := range listErrors(err) {
		u.note("ipc limits: %s", e)
	}
	r := limitsResult{Namespace: ipcNamespace()}
	return r.print(u, output, all, userName(os.Getuid()))
}

// podLimits prints the limits of a pod's IPC namespace.
func podLimits(u *ui, name, root, namespace, output string) error {
	ctx, stop := untilSignal()
	defer stop()
	h, err := openPod(root, namespace, name)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // only asked through
	state, err := h.State(ctx)
	if err != nil {
		return err
	}
	all, err := inventory.TakeLimits(ctx, state)
	if err != nil {
		return err
	}
	for _, n := range all.Notes {
		u.warn("%s: %s", h.Name, n)
	}
	r := limitsResult{PodNamespace: h.Namespace, Pod: h.Name, Namespace: fmt.Sprintf("ipc:[%d]", all.IPC)}
	return r.print(u, output, all.Limits, "a user")
}

// print shows limits; who is whose queues RLIMIT_MSGQUEUE counts.
func (r *limitsResult) print(u *ui, output string, all ipc.Limits, who string) error {
	r.Limits, r.MsgQueueBytes, r.MsgQueueBytesMax = all.Namespace, finite(all.MsgQueueBytes), finite(all.MsgQueueBytesMax)
	if output == "json" {
		return u.json(r)
	}
	t := &table{head: []string{"LIMIT", "HERE", "DEFAULT", "WHAT"}}
	for _, l := range all.Namespace {
		name, here := l.Sysctl, strconv.FormatUint(l.Value, 10)
		if l.Field != "" {
			name += " " + l.Field
		}
		if l.Value != l.Default {
			here += " *"
		}
		t.add(name, here, strconv.FormatUint(l.Default, 10), l.What)
	}
	t.paint = func(row, col int, _ string) color {
		if l := all.Namespace[row]; col == 1 && l.Value != l.Default {
			return yellow
		}
		return ""
	}
	u.table(t)
	soft := "unlimited"
	if n := r.MsgQueueBytes; n != nil {
		soft = strconv.FormatUint(*n, 10) + " bytes"
	}
	where := r.Namespace
	if r.Pod != "" {
		where += " of pod " + r.Pod
	}
	u.printf("\nIPC namespace %s. RLIMIT_MSGQUEUE %s: all POSIX queues of %s, in all IPC namespaces together\n", where, soft, who)
	return nil
}

// finite is a resource limit, or nil for none.
func finite(n uint64) *uint64 {
	if n == unix.RLIM_INFINITY {
		return nil
	}
	return &n
}
