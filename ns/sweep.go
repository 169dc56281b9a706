package ns

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sweep kills every process that pick chooses, and goes on until there is none:
// they may be forking all the while. Two rounds must find nobody: one may miss
// the child of a process that forked and was gone before its turn came. It gives
// up after a thousand rounds, which nothing but a process that can't die takes.
func Sweep(pick func(pid int) bool) {
	quiet := 0
	for range 1000 {
		found := false
		for _, pid := range pids() {
			if pick(pid) {
				found = unix.Kill(pid, unix.SIGKILL) == nil || found
			}
		}
		if quiet++; found {
			quiet = 0
		}
		if quiet == 2 {
			return
		}
	}
}

// SweepChildren kills every child of this process, and whoever becomes one while
// it does, until it has none. With Subreaper these are all descendants: a process
// can't be waited for before its children have their new parent.
func SweepChildren() {
	for {
		Sweep(ChildOf(os.Getpid()))
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return // ECHILD: there is none
		}
	}
}

// Processes are those that pick chooses, once.
func Processes(pick func(pid int) bool) (chosen []int) {
	for _, pid := range pids() {
		if pick(pid) {
			chosen = append(chosen, pid)
		}
	}
	return chosen
}

// InNamespace picks the processes in the namespace of kind k with that inode
// number, unless it is the caller's own: then it picks none. A process that has
// ended is in none.
func InNamespace(k Kind, inode uint64) func(pid int) bool {
	own, err := Inspect(0)
	if err != nil || own[k] == inode || inode == 0 {
		return func(int) bool { return false }
	}
	want := k.String() + ":[" + strconv.FormatUint(inode, 10) + "]"
	return func(pid int) bool {
		have, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/" + k.String())
		return err == nil && have == want
	}
}

// ChildOf picks the living children of parent.
func ChildOf(parent int) func(pid int) bool {
	want := strconv.Itoa(parent)
	return func(pid int) bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return false
		}
		// The name, in parentheses, may hold anything: count from the last one.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		return len(f) > 1 && f[0] != "Z" && f[1] == want
	}
}

// pids are the processes that /proc shows.
func pids() (all []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what could be read will do: Sweep comes again
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// Subreaper is prctl(2) PR_SET_CHILD_SUBREAPER: orphans among the descendants
// become this process's children, not PID 1's.
type Subreaper struct{}

func (Subreaper) Calls(t *Table) {
	t.call(unix.SYS_PRCTL, num(unix.PR_SET_CHILD_SUBREAPER), num(1), num(0), num(0), num(0))
}
func (Subreaper) Shell() string { return "# prctl(2) PR_SET_CHILD_SUBREAPER" }
