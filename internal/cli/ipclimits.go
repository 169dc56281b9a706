package cli

import (
	"os"
	"strconv"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

func ipcLimitsCommand(u *ui) *cli.Command {
	return &cli.Command{
		Description: "The sysctls that each IPC namespace has for itself. A new namespace gets the kernel's defaults, not the values of\n" +
			"the one that it was made in: what was raised on a node doesn't reach its pods. An asterisk marks what differs.\n" +
			"RLIMIT_MSGQUEUE is no part of the namespace: it counts the queues of a user in all of them together.\n\n" +
			"  $ podlab ipc limits\n  $ podlab ipc limits -o json | jq '.limits[] | select(.value != .default)'",
		Flags: []cli.Flag{outputFlag("table or json", "table")},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("ipc limits", tooMany(c.Args().Slice()))
			}
			return showLimits(u, c.String("output"))
		},
	}
}

// limitsResult is -o json.
type limitsResult struct {
	Namespace        string      `json:"ipcNamespace"` // "ipc:[4026531839]"
	Limits           []ipc.Limit `json:"limits"`
	MsgQueueBytes    *uint64     `json:"msgQueueBytes"`    // RLIMIT_MSGQUEUE, soft; null: no limit
	MsgQueueBytesMax *uint64     `json:"msgQueueBytesMax"` // hard
}

func showLimits(u *ui, output string) error {
	if output != "table" && output != "json" {
		return usage("ipc limits", oneOf("-o", output, "table", "json"))
	}
	all, err := ipc.ReadLimits()
	for _, e := range listErrors(err) {
		u.note("ipc limits: %s", e)
	}
	if output == "json" {
		return u.json(limitsResult{ipcNamespace(), all.Namespace, finite(all.MsgQueueBytes), finite(all.MsgQueueBytesMax)})
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
	if n := finite(all.MsgQueueBytes); n != nil {
		soft = strconv.FormatUint(*n, 10) + " bytes"
	}
	u.printf("\nIPC namespace %s. RLIMIT_MSGQUEUE %s: all POSIX queues of %s, in all IPC namespaces together\n",
		ipcNamespace(), soft, userName(os.Getuid()))
	return nil
}

// finite is a resource limit, or nil for none.
func finite(n uint64) *uint64 {
	if n == unix.RLIM_INFINITY {
		return nil
	}
	return &n
}
