package cli

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/inventory"
	"github.com/podlab/podlab/ipc"
)

// listPodIPC prints the objects of a pod's IPC namespace and of its /dev/shm: who made, uses and pays for each.
func listPodIPC(u *ui, name, root, namespace, output string) error {
	if output != "table" && output != "wide" && output != "json" {
		return oneOf("-o", output, "table", "wide", "json")
	}
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
	inv, err := inventory.Take(ctx, state)
	if err != nil {
		return err
	}
	for _, n := range inv.Notes {
		u.warn("%s: %s", h.Name, n)
	}
	if output == "json" {
		if inv.Items == nil {
			inv.Items = []inventory.Item{} // [], not null
		}
		return u.json(inv)
	}
	t := &table{}
	columns := podColumns(inv, output == "wide")
	for _, c := range columns {
		t.head = append(t.head, c.head)
	}
	for _, it := range inv.Items {
		var cells []string
		for _, c := range columns {
			cells = append(cells, cmp.Or(c.cell(it), "-"))
		}
		t.add(cells...)
	}
	u.table(t)
	u.printf("\n%s\n", cleanString(whereOf(inv)))
	if both := sharedPayer(inv); output == "table" && both != "" {
		u.printf("PAID-BY %s: the one control group that all of them are in\n", cleanString(both))
	}
	return nil
}

// sharedPayer is the containers of a control group that pays and that several are in: "a+b", or "".
func sharedPayer(inv inventory.Inventory) string {
	for _, it := range inv.Items {
		for _, p := range it.Payers {
			if len(p.Containers) > 1 && p.Inode != 0 {
				return strings.Join(p.Containers, "+")
			}
		}
	}
	return ""
}

type itemColumn struct {
	head string
	cell func(inventory.Item) string
}

func podColumns(inv inventory.Inventory, wide bool) []itemColumn {
	var all []itemColumn
	for _, c := range objectColumns(wide) {
		switch c.head {
		case "OWNER":
			// Ids are the pod's: the names that this machine has for them mean nothing.
			all = append(all, itemColumn{c.head, ownerInPod})
		case "CREATOR":
			all = append(all, itemColumn{c.head, creatorOf})
		case "MADE-BY", "LAST": // ids and numbers of processes, which the others say better
		default:
			all = append(all, itemColumn{c.head, func(it inventory.Item) string { return c.cell(it.Object) }})
		}
	}
	all = append(all, itemColumn{"USED-BY", usersOf}, itemColumn{"PAID-BY", func(it inventory.Item) string { return payersOf(it, wide) }})
	if wide || len(inv.Mounts) > 1 {
		all = append(all, itemColumn{"SEEN-BY", func(it inventory.Item) string { return strings.Join(it.Containers, ",") }})
	}
	if wide {
		all = append(all, itemColumn{"LAST", func(it inventory.Item) string { return processes(it.Last) }})
	}
	return all
}

// ownerInPod is the owner's id in the pod, and this machine's for it if that is another one.
func ownerInPod(it inventory.Item) string {
	in := strconv.Itoa(it.Object.UID)
	switch it.HostUID {
	case it.Object.UID:
		return in
	case -1:
		return in + " (none here)"
	}
	return in + " (" + strconv.Itoa(it.HostUID) + ")"
}

func creatorOf(it inventory.Item) string {
	if it.Creator == nil {
		return ""
	}
	return process(*it.Creator)
}

// process is "app/postgres", "here/podlab" for one outside of the pod, or the number of one that has ended.
func process(p inventory.Process) string {
	switch {
	case p.Gone:
		return fmt.Sprintf("ended (%d)", p.PID)
	case p.Container == "":
		return "outside/" + p.Name
	}
	return p.Container + "/" + p.Name
}

func processes(all []inventory.Process) string {
	var names []string
	for _, p := range all {
		names = append(names, process(p))
	}
	return counted(names)
}

// counted joins names, each once, with how often it comes.
func counted(names []string) string {
	var all []string
	for _, n := range slices.Compact(slices.Sorted(slices.Values(names))) {
		times := 0
		for _, m := range names {
			if m == n {
				times++
			}
		}
		if times > 1 {
			n += "×" + strconv.Itoa(times)
		}
		all = append(all, n)
	}
	return strings.Join(all, ",")
}

func usersOf(it inventory.Item) string {
	var names []string
	for _, user := range it.Users {
		names = append(names, process(user.Process))
	}
	text := counted(names)
	if it.Unseen > 0 {
		text = strings.TrimPrefix(text+",unseen×"+strconv.Itoa(it.Unseen), ",")
	}
	if text == "" && (it.Object.Kind == ipc.KindSem || it.Object.Kind == ipc.KindMsg) {
		return "" // nobody has them: they are used by their number
	}
	return cmp.Or(text, "nobody")
}

// payersOf is whose control groups pay for the pages.
func payersOf(it inventory.Item, wide bool) string {
	var all []string
	for _, p := range it.Payers {
		name := strings.Join(p.Containers, "+")
		switch {
		case p.Inode == 0:
			name = "nobody"
		case wide && p.Cgroup != "", name == "" && p.Cgroup != "":
			name = cmp.Or(when(!wide, path.Base(p.Cgroup)), p.Cgroup)
		case name == "":
			name = fmt.Sprintf("cgroup #%d", p.Inode)
		}
		all = append(all, fmt.Sprintf("%s %d", name, p.Bytes))
	}
	if it.PayersWhy != "" {
		all = append(all, "unknown")
	}
	return strings.Join(all, ", ")
}

// whereOf says which namespace and which mounts the objects are in.
func whereOf(inv inventory.Inventory) string {
	where := fmt.Sprintf("IPC namespace ipc:[%d]", inv.IPC)
	if inv.SharedIPC {
		where += ", the one that podlab runs in"
	}
	for _, m := range inv.Mounts {
		where += fmt.Sprintf("; /dev/shm of %s: device %d:%d", strings.Join(m.Containers, ", "), unix.Major(m.Dev), unix.Minor(m.Dev))
	}
	return where
}
