package cli

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

func ipcListCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "[POD]",
		Description: "One table for all six kinds: what there is in this IPC namespace, and in this /dev/shm. A dash stands where a\n" +
			"kind has no such thing. Queues can be listed only where an mqueue file system is mounted, or root may mount one;\n" +
			"what can't be listed is said, and makes the exit code 1.\n" +
			"With POD: what that pod has, seen from outside. Which process of which container made it and uses it, and which\n" +
			"container's control group pays for its pages: the first one that touched them. (Only root can see who pays.)\n" +
			"PAID-BY a+b: the one control group that both a and b are in, as without a cgroup of their own.\n\n" +
			"  $ podlab ipc ls\n  $ podlab ipc ls -o wide\n  $ podlab ipc ls web\n" +
			"  $ podlab ipc ls -o json | jq -r '.items[].object | select(.kind == \"shm\") | .id'",
		Flags: []cli.Flag{ipcFlag("o:ls"), namespaceFlag()},
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			switch {
			case len(args) > 1:
				return usage("ipc ls", tooMany(args[1:]))
			case len(args) == 1:
				err := listPodIPC(u, args[0], c.String("root"), c.String("namespace"), c.String("output"))
				if err != nil {
					return context("ipc ls", err)
				}
				return nil
			}
			return listIPC(u, "ipc ls", c.String("output"), "")
		},
	}
}

// listing is -o json. Its items look like those of a pod's inventory.
type listing struct {
	IPC   uint64     `json:"ipcNamespace"` // inode number
	Items []listItem `json:"items"`
	Notes []string   `json:"notes,omitempty"` // what couldn't be listed
}

type listItem struct {
	Object ipc.Object `json:"object"`
}

// listIPC prints the objects of a kind, or of all for "". What can't be listed is an error; what can is printed all the same.
func listIPC(u *ui, verb, output string, kind ipc.Kind) error {
	if output != "table" && output != "wide" && output != "json" {
		return usage(verb, oneOf("-o", output, "table", "wide", "json"))
	}
	all, err := objectsOf(kind)
	var errs []error
	result := listing{IPC: ipcInode(), Items: []listItem{}} // [], not null
	for _, e := range listErrors(err) {
		result.Notes = append(result.Notes, e.Error())
		f := &failure{code: codeKernel, err: fmt.Errorf("%s: %w", verb, e)}
		if noQueueList(e) {
			f.hint = "podlab ipc mq get /NAME works without; root may mount -t mqueue none /dev/mqueue"
		}
		errs = append(errs, f)
	}
	if output == "json" {
		for _, o := range all {
			result.Items = append(result.Items, listItem{o})
		}
		if err := u.json(result); err != nil {
			return err
		}
		return errors.Join(errs...)
	}
	u.table(objectTable(all, output == "wide"))
	if slices.ContainsFunc(all, hasForeignCreator) {
		u.printf("\nCREATOR 0: a process of another PID namespace\n")
	}
	return errors.Join(errs...)
}

// objectsOf is the objects of a kind, or of all for "", and what of that couldn't be listed.
func objectsOf(kind ipc.Kind) ([]ipc.Object, error) {
	if kind == "" {
		return ipc.List()
	}
	list := ipc.ListNamespace
	if inDevShm(kind) {
		list = func() ([]ipc.Object, error) { return ipc.ListAt(ipc.Places{Shm: ipc.Here().Shm}) }
	}
	all, err := list()
	all = slices.DeleteFunc(all, func(o ipc.Object) bool { return o.Kind != kind })
	errs := slices.DeleteFunc(listErrors(err), func(e error) bool {
		var pe *os.PathError
		sysv := errors.As(e, &pe) && path.Dir(pe.Path) == ipc.Here().SysV
		return kind.SystemV() != sysv || sysv && path.Base(pe.Path) != string(kind)
	})
	return all, errors.Join(errs...)
}

// ipcInode is the number of the caller's IPC namespace, or 0 where /proc doesn't say.
func ipcInode() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/ipc", &st) != nil {
		return 0
	}
	return st.Ino
}

// listErrors is what List has joined, none for nil.
func listErrors(err error) []error {
	if err == nil {
		return nil
	}
	return unjoin(err)
}

// noQueueList tells whether an error of List is that queues can't be listed.
func noQueueList(err error) bool {
	return errors.Is(err, ipc.ErrNoMQueue) || errors.Is(err, ipc.ErrForeignMQueue)
}

// hasForeignCreator tells whether o was made by a process that the caller's PID namespace doesn't know. The kernel gives
// the creator of segments only.
func hasForeignCreator(o ipc.Object) bool { return o.Kind == ipc.KindShm && o.CreatorPid == 0 }

// A column of the list: its head, and its cell, which is "" where a kind has no such thing.
type objectColumn struct {
	head string
	cell func(ipc.Object) string
}

func objectColumns(wide bool) []objectColumn {
	columns := []objectColumn{
		{"KIND", func(o ipc.Object) string { return string(o.Kind) }},
		{"NAME", nameOf},
		{"ID", func(o ipc.Object) string { return when(o.Kind.SystemV(), strconv.Itoa(o.ID)) }},
		{"MODE", func(o ipc.Object) string { return octal(o.Mode) }},
		{"OWNER", func(o ipc.Object) string { return ownerName(o.UID) }},
		{"SIZE", func(o ipc.Object) string { return when(o.Kind != ipc.KindSem, strconv.FormatInt(o.Size, 10)) }},
		{"ATTACHED", func(o ipc.Object) string { return when(o.Kind == ipc.KindShm, strconv.Itoa(o.Attached)) }},
		{"MESSAGES", messagesOf},
		{"VALUE", valuesOf},
		{"CREATOR", func(o ipc.Object) string { return when(o.Kind == ipc.KindShm, strconv.Itoa(o.CreatorPid)) }},
	}
	if !wide {
		return columns
	}
	return append(columns,
		objectColumn{"MADE-BY", func(o ipc.Object) string { return when(o.Kind.SystemV(), ownerName(o.CreatorUID)) }},
		objectColumn{"LAST", lastPid},
		objectColumn{"RESIDENT", func(o ipc.Object) string {
			return when(o.Kind == ipc.KindShm || o.Kind == ipc.KindShared, strconv.FormatInt(o.Resident, 10))
		}},
		objectColumn{"WAITING", func(o ipc.Object) string {
			return when(o.Kind == ipc.KindNamedSem && !o.Unreadable, strconv.Itoa(o.Waiting))
		}},
		objectColumn{"INODE", func(o ipc.Object) string { return when(o.Inode != 0, strconv.FormatUint(o.Inode, 10)) }},
		objectColumn{"CHANGED", func(o ipc.Object) string {
			return when(!o.ChangeTime.IsZero(), o.ChangeTime.Local().Format("2006-01-02T15:04:05"))
		}},
		objectColumn{"STATE", stateOf},
	)
}

// when is v, or nothing.
func when[T any](has bool, v T) T {
	if has {
		return v
	}
	return *new(T)
}

func objectTable(all []ipc.Object, wide bool) *table {
	columns := objectColumns(wide)
	t := &table{}
	for _, c := range columns {
		t.head = append(t.head, c.head)
	}
	for _, o := range all {
		var cells []string
		for _, c := range columns {
			cell := c.cell(o)
			if cell == "" {
				cell = "-"
			}
			cells = append(cells, cell)
		}
		t.add(cells...)
	}
	return t
}

func nameOf(o ipc.Object) string {
	switch {
	case !o.Kind.SystemV():
		return o.Name
	case o.Removed:
		return "removed"
	case o.Key == ipc.Private:
		return "private"
	}
	return o.Key.String()
}

// ownerName is a user's name, or the number of one that has none.
func ownerName(uid int) string {
	name, _, ok := strings.Cut(userName(uid), " (")
	if !ok {
		return strconv.Itoa(uid)
	}
	return name
}

func messagesOf(o ipc.Object) string {
	switch {
	case o.Kind == ipc.KindMsg:
		return strconv.Itoa(o.Messages)
	case o.Kind == ipc.KindQueue && o.Unreadable:
		return "?"
	case o.Kind == ipc.KindQueue:
		return fmt.Sprintf("%d/%d", o.Messages, o.MaxMessages)
	}
	return ""
}

func valuesOf(o ipc.Object) string {
	switch {
	case o.Kind != ipc.KindSem && o.Kind != ipc.KindNamedSem:
		return ""
	case o.Unreadable:
		return when(o.Kind == ipc.KindSem, strconv.Itoa(o.Semaphores)+" × ") + "?"
	}
	return shortened(o.Values)
}

// shortened is numbers as they are printed, not more of them than fit into a column.
func shortened(all []int) string {
	const most = 8
	if len(all) > most {
		return fmt.Sprintf("%s … (%d)", spaced(all[:most]), len(all))
	}
	return spaced(all)
}

func lastPid(o ipc.Object) string {
	switch o.Kind {
	case ipc.KindShm:
		return strconv.Itoa(o.LastPid)
	case ipc.KindMsg:
		return fmt.Sprintf("%d>%d", o.LastSendPid, o.LastReceivePid)
	}
	return ""
}

func stateOf(o ipc.Object) string {
	var all []string
	if o.Removed {
		all = append(all, "removed")
	}
	if o.Locked {
		all = append(all, "locked")
	}
	if o.NotifyPid != 0 {
		all = append(all, "notifies "+strconv.Itoa(o.NotifyPid))
	}
	return strings.Join(all, ",")
}
