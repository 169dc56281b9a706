package ns

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel's rules that plans are built around, each broken on purpose. A row
// that passes where it should fail means that a step could go, or was never safe.
func TestRulesOfTheKernel(t *testing.T) {
	needUserNS(t)
	// The ids inside are mapped from these, and nobody is mapped from any other.
	uid, gid := os.Geteuid(), os.Getegid()
	own := ownMap(uid, gid)
	host, err := os.Hostname() // what it is already: the test does no harm if the kernel lets it
	if err != nil {
		t.Fatal(err)
	}
	user := func(ops ...Op) []Step {
		steps := append([]Step{}, own...)
		for _, op := range ops {
			steps = append(steps, Step{"do", op})
		}
		return steps
	}
	tests := []struct {
		rule  string // with the page that says so
		clone Kinds
		steps []Step
		errno unix.Errno // 0: it works
	}{
		{"mqueue is of the IPC namespace's owner: mq_overview(7)", Of(User, Mnt), user(fs("mqueue", "")), unix.EPERM},
		{"and is given to it", Of(User, Mnt, IPC), user(fs("mqueue", "")), 0},
		{"proc shows a PID namespace, whose owner may mount it: user_namespaces(7)", Of(User, Mnt), user(fs("proc", "")), unix.EPERM},
		{"sysfs shows a network namespace, likewise", Of(User, Mnt), user(fs("sysfs", "")), unix.EPERM},
		{"cgroup2 a cgroup namespace, likewise", Of(User, Mnt), user(fs("cgroup2", "")), unix.EPERM},
		{"tmpfs shows nothing", Of(User, Mnt), user(fs("tmpfs", "")), 0},
		{"a host name is the UTS namespace's owner's to set: sethostname(2)", Of(User, Mnt), user(Hostname{host}), unix.EPERM},
		{"the loopback interface the network namespace's", Of(User), user(LinkUp{"lo"}), unix.EPERM},
		{"a map is written once: user_namespaces(7)", Of(User), append(user(), own[1]), unix.EPERM},
		{"unprivileged, it maps one's own id", Of(User), []Step{{"do", WriteFile{Path: "/proc/self/uid_map", Data: SingleID(0, uid+1).Text()}}}, unix.EPERM},
		{"and one id", Of(User), []Step{{"do", WriteFile{Path: "/proc/self/uid_map", Data: IDMap{{0, uid, 2}}.Text()}}}, unix.EPERM},
		{"but to any id inside", Of(User), []Step{{"do", WriteFile{Path: "/proc/self/uid_map", Data: SingleID(4711, uid).Text()}}}, 0},
		{"gid_map wants setgroups given up first", Of(User), []Step{{"do", WriteFile{Path: "/proc/self/gid_map", Data: SingleID(0, gid).Text()}}}, unix.EPERM},
		{"which is for good", Of(User), user(SetGroups{nil}), unix.EPERM},
		{"nobody becomes an id without a mapping: setresuid(2)", Of(User), user(SetUID{1}), unix.EINVAL},
		{"nobody becomes one before there is a map", Of(User), []Step{{"do", SetUID{0}}}, unix.EINVAL},
		{"no devices in a user namespace: mknod(2)", Of(User, Mnt), user(fs("tmpfs", ""), Mknod{at + "/null", 0o666, 1, 3}), unix.EPERM},
		{"a directory is no new root: pivot_root(2)", Of(User, Mnt), user(fs("tmpfs", ""), Mkdir{at + "/x", 0o755}, Chdir{at + "/x"}, PivotRoot{}), unix.EINVAL},
		{"a cover that was there before can't be taken off: mount_namespaces(7)", Of(User, Mnt), user(Unmount{"/proc"}), unix.EINVAL},
		{"nor be left behind by a copy without it", Of(User, Mnt), user(rawOp(func(t *Table) {
			t.call(unix.SYS_OPEN_TREE, num(atCWD), t.str("/"), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
		})), unix.EINVAL},
		{"a process may make itself a likelier victim: proc_pid_oom_score_adj(5)", 0, []Step{{"do", WriteFile{Path: "/proc/self/oom_score_adj", Data: "1000"}}}, 0},
		{"no_new_privs is never taken back: PR_SET_NO_NEW_PRIVS(2const)", 0, []Step{{"set", NoNewPrivs{}}, {"do", rawOp(func(t *Table) {
			t.call(unix.SYS_PRCTL, num(unix.PR_SET_NO_NEW_PRIVS), num(0), num(0), num(0), num(0))
		})}}, unix.EINVAL},
	}
	for _, tt := range tests {
		err := inChild(tt.clone, tt.steps)
		var step *StepError
		switch {
		case tt.errno == 0 && err != nil:
			t.Errorf("%s: got %v, want no error", tt.rule, err)
		case tt.errno != 0 && (!errors.As(err, &step) || step.Err != tt.errno):
			t.Errorf("%s: got %v, want %v", tt.rule, err, tt.errno)
		}
	}
}
