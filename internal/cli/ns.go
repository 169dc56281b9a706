package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/ns"
)

func nsCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "[PID|POD|POD/CONTAINER…]",
		Description: "A matrix of live inode numbers, as /proc/PID/ns has them: equal numbers are the same namespace. A letter\n" +
			"after a number stands for a namespace that several of the rows share. Without arguments: the process\n" +
			"that called podlab, and the containers of all running pods.\n\n" +
			"  $ podlab ns\n  $ podlab ns web 1\n  $ podlab ns -o json | jq -r '.processes[].namespaces.ipc'",
		Flags: []cli.Flag{outputFlag("text or json", "text"), namespaceFlag()},
		Action: func(c *cli.Context) error {
			return showNS(u, c.Args().Slice(), c.String("root"), c.String("namespace"), c.String("output"))
		},
	}
}

// member is one process of the matrix.
type member struct {
	Name       string            `json:"name"` // "shell", "web/app", "1234 (sshd)"
	PID        int               `json:"pid"`
	Namespaces map[string]uint64 `json:"namespaces"`
}

// sharing is a namespace that more than one of the processes is in.
type sharing struct {
	Kind    string   `json:"kind"`
	Inode   uint64   `json:"inode"`
	Members []string `json:"members"`
}

func showNS(u *ui, args []string, root, namespace, output string) error {
	if output != "text" && output != "json" {
		return usage("ns", oneOf("-o", output, "text", "json"))
	}
	ms, err := members(args, root, namespace)
	if err != nil {
		return context("ns", err)
	}
	if output == "json" {
		return u.json(struct {
			Processes []member  `json:"processes"`
			Shared    []sharing `json:"shared"`
		}{ms, shared(ms)})
	}
	u.table(nsTable(ms))
	return nil
}

// look is the namespaces of a process. It must be the same process after as before, which a name can't promise.
func look(name string, pid int) (member, error) {
	in, err := ns.Inspect(pid)
	if err != nil {
		return member{}, context(strconv.Itoa(pid), bareErrno(err))
	}
	m := member{Name: name, PID: pid, Namespaces: map[string]uint64{}}
	for k, inode := range in {
		m.Namespaces[k.String()] = inode
	}
	return m, nil
}

// comm is a process's name, as proc_pid_comm(5) has it.
func comm(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?" // gone, or not ours to see: the number is enough
	}
	return strings.TrimSpace(string(b))
}

// shared lists the namespaces that more than one member is in, by kind and in the order of their first member.
func shared(ms []member) []sharing {
	all := []sharing{}
	for _, k := range ns.AllKinds() {
		at := map[uint64]int{}
		var of []sharing
		for _, m := range ms {
			inode, ok := m.Namespaces[k.String()]
			if !ok {
				continue
			}
			i, seen := at[inode]
			if !seen {
				i = len(of)
				at[inode] = i
				of = append(of, sharing{Kind: k.String(), Inode: inode})
			}
			of[i].Members = append(of[i].Members, m.Name)
		}
		for _, s := range of {
			if len(s.Members) > 1 {
				all = append(all, s)
			}
		}
	}
	return all
}

// nsTable is the members as a table: a column for each kind, a letter after each number that comes more than once.
func nsTable(ms []member) *table {
	letters := map[string]map[uint64]string{}
	for _, s := range shared(ms) {
		if letters[s.Kind] == nil {
			letters[s.Kind] = map[uint64]string{}
		}
		letters[s.Kind][s.Inode] = letter(len(letters[s.Kind]))
	}
	t := &table{head: []string{"PROCESS", "PID"}}
	kinds := ns.AllKinds()
	for _, k := range kinds {
		t.head = append(t.head, strings.ToUpper(k.String()))
	}
	for _, m := range ms {
		row := []string{m.Name, strconv.Itoa(m.PID)}
		for _, k := range kinds {
			inode, ok := m.Namespaces[k.String()]
			switch {
			case !ok:
				row = append(row, "-")
			case letters[k.String()][inode] != "":
				row = append(row, fmt.Sprintf("%d %s", inode, letters[k.String()][inode]))
			default:
				row = append(row, strconv.FormatUint(inode, 10))
			}
		}
		t.rows = append(t.rows, row)
	}
	t.paint = func(_, col int, cell string) color {
		if l := cell[strings.LastIndexByte(cell, ' ')+1:]; col >= 2 && len(l) == 1 && l != "-" {
			return palette[int(l[0]-'a')%len(palette)]
		}
		return ""
	}
	return t
}

// letter names the nth namespace that is shared.
func letter(n int) string {
	if n < 26 {
		return string(rune('a' + n))
	}
	return letter(n/26-1) + letter(n%26)
}
