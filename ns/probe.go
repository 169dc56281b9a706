package ns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Feature is the answer to one question about this machine. It has three
// values: "could not tell" is neither yes nor no.
type Feature int8

const (
	Unknown Feature = iota
	Yes
	No
)

// String is yes, no or unknown.
func (f Feature) String() string {
	switch f {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// MarshalText is String, for JSON.
func (f Feature) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// A Finding is one line of `podlab check`.
type Finding struct {
	Key  string  `json:"key"`           // "mount.proc": one word per thing, never renamed
	What string  `json:"what"`          // the question: "mount proc in a pod"
	Is   Feature `json:"is"`            // the answer
	Why  string  `json:"why,omitempty"` // what the kernel said or showed
	Do   string  `json:"do,omitempty"`  // what would change a no: one line to run, if there is one
}

// Features is what this kernel lets this user do.
type Features struct {
	Kernel   string    `json:"kernel"` // release, uname(2)
	Machine  string    `json:"machine"`
	UID      int       `json:"uid"`
	Direct   bool      `json:"direct"`   // CAP_SYS_ADMIN is here: pods need no user namespace
	Findings []Finding `json:"findings"` // in the order in which to read them
}

// Find returns the finding with that key. One that doesn't exist is Unknown.
func (f Features) Find(key string) Finding {
	for _, x := range f.Findings {
		if x.Key == key {
			return x
		}
	}
	return Finding{Key: key, Why: "podlab does not probe for this"}
}

// Has reports whether the answer is Yes.
func (f Features) Has(key string) bool {
	return f.Find(key).Is == Yes
}

// Probe finds out what this kernel lets this user do, by doing it: every
// question about namespaces and mounts is put by a child process with
// namespaces of its own, whose end takes along whatever it made. It forks some
// forty times (10 to 100 ms): it is for `podlab check` and for tests that say
// what they need, not for starting a pod.
//
// The questions come in two modes. "mount.proc" and its like are asked in the
// way a pod of this user is built: with CAP_SYS_ADMIN in namespaces alone, without
// it in a user namespace. Who has CAP_SYS_ADMIN gets the answers for a user
// namespace as well, with "userns." before the key: that is hostUsers: false.
func Probe() (Features, error) {
	m, err := readMachine()
	if err != nil {
		return Features{}, fmt.Errorf("probe: %w", err)
	}
	f := Features{Kernel: m.kernel, Machine: m.arch, UID: m.uid, Direct: m.direct()}
	add := func(found ...Finding) { f.Findings = append(f.Findings, found...) }

	for _, c := range callProbes {
		add(c.finding(m))
	}
	userns := m.ask(userProbe, true)
	add(userns, m.askRange(userns))
	for _, q := range probes {
		if !m.direct() && userns.Is != Yes {
			add(Finding{Key: q.key, What: q.what, Why: "needs a user namespace: see userns"})
			continue
		}
		add(m.ask(q, !m.direct()))
	}
	for _, q := range probes {
		if !m.direct() || !q.both {
			continue
		}
		q.key, q.what = "userns."+q.key, q.what+" in a user namespace"
		if userns.Is != Yes {
			add(Finding{Key: q.key, What: q.what, Why: "needs a user namespace: see userns"})
			continue
		}
		add(m.ask(q, true))
	}
	add(m.askIDMapped(userns))
	add(m.security()...)
	return f, nil
}

// A probe is a question put by a child in namespaces of its own: yes if it can
// run the steps.
type probe struct {
	key, what string
	clone     Kinds
	steps     []Step
	both      bool // ask it in a user namespace too
}

// podKinds are the namespaces that a container lives in.
var podKinds = Of(Mnt, UTS, IPC, PID, Net, Cgroup)

// userProbe goes beyond making a user namespace, because AppArmor
// (apparmor_restrict_unprivileged_userns) lets it be made and then takes the
// capabilities in it away: mounting needs one.
var userProbe = probe{"userns", "user namespaces", Of(User, Mnt), mounts(), false}

// mounts are steps in a mount namespace of one's own.
func mounts(ops ...Op) []Step {
	// A user namespace's mount namespace gets shared mounts as slaves already;
	// the others must be told, or what follows would show up outside.
	steps := []Step{{"private", Mount{Target: "/", Flags: unix.MS_REC | unix.MS_PRIVATE}}}
	for _, op := range ops {
		steps = append(steps, Step{"do", op})
	}
	return steps
}

// at is where the mount probes mount: a directory that is there on any machine
// that can be probed. Nobody but the child sees it covered.
const at = "/proc"

func fs(kind, options string) Op { return Mount{kind, at, kind, 0, options, false} }

// probes has a row per question that takes a child, in the order of the answers.
var probes = []probe{
	{"ns.mnt", "mount namespace", Of(Mnt), nil, false},
	{"ns.uts", "UTS namespace, host name", Of(UTS), []Step{{"do", Hostname{"podlab"}}}, false},
	{"ns.ipc", "IPC namespace", Of(IPC), nil, false},
	{"ns.pid", "PID namespace", Of(PID), nil, false},
	{"ns.net", "network namespace, loopback up", Of(Net), []Step{{"do", LinkUp{"lo"}}}, false},
	{"ns.cgroup", "cgroup namespace", Of(Cgroup), nil, false},
	{"ns.time", "time namespace", Of(Time), nil, false},
	{"mount.proc", "mount proc", podKinds, mounts(fs("proc", "")), true},
	{"mount.sysfs", "mount sysfs", podKinds, mounts(fs("sysfs", "")), true},
	{"mount.tmpfs", "mount tmpfs", podKinds, mounts(fs("tmpfs", "size=64k,mode=1777")), true},
	{"mount.devpts", "mount devpts", podKinds, mounts(fs("devpts", "newinstance,ptmxmode=0666,mode=0620")), true},
	// The mounter's user namespace must own the IPC namespace, or it is EPERM:
	// so the two are made by one clone.
	{"mount.mqueue", "mount mqueue", podKinds, mounts(fs("mqueue", "")), true},
	{"mount.cgroup2", "mount cgroup2", podKinds, mounts(fs("cgroup2", "")), true},
	{"mount.overlay", "mount overlay", podKinds, mounts(fs("tmpfs", ""),
		Mkdir{at + "/lower", 0o755}, Mkdir{at + "/upper", 0o755}, Mkdir{at + "/work", 0o755}, Mkdir{at + "/both", 0o755},
		Mount{"overlay", at + "/both", "overlay", 0, "lowerdir=" + at + "/lower,upperdir=" + at + "/upper,workdir=" + at + "/work", false}), true},
	{"pivot_root", "change the root by pivot_root", podKinds, mounts(fs("tmpfs", ""), Chdir{at}, PivotRoot{}), true},
	// Since 5.12, and one call for a whole tree of mounts.
	{"mount.tree", "open_tree, mount_setattr, move_mount", podKinds, mounts(
		OpenTree{Path: "/", Name: "root", Attr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}, Chdir{"/"}, MoveTree{"root", at}), true},
	{"mount.fsopen", "fsopen, fsconfig, fsmount", podKinds, mounts(rawOp(newMount)), true},
	// Only in an IPC namespace of its own: nothing outside changes.
	{"ipc.sysctl", "set kernel.shm*, msg*, sem in a pod", Of(IPC), []Step{{"do", WriteFile{Path: "/proc/sys/kernel/shmmni", Data: "64"}}}, true},
	{"ipc.mqueue", "set fs.mqueue.* in a pod", Of(IPC), []Step{{"do", WriteFile{Path: "/proc/sys/fs/mqueue/queues_max", Data: "64"}}}, true},
	// A process may always make itself a likelier victim; below its own value
	// needs CAP_SYS_RESOURCE on the host, proc_pid_oom_score_adj(5).
	{"oom.lower", "oom_score_adj below 0 (Guaranteed pods, pause)", 0, []Step{{"do", WriteFile{Path: "/proc/self/oom_score_adj", Data: "-998"}}}, false},
}

// rawOp is an Op for a probe: system calls that no pod makes.
type rawOp func(*Table)

func (f rawOp) Calls(t *Table) { f(t) }
func (f rawOp) Shell() string  { return "# a probe" }

// newMount mounts a tmpfs by the calls of 5.2: fsopen(2), fsconfig(2), fsmount(2).
func newMount(t *Table) {
	ctx, mnt := t.newReg(), t.newReg()
	t.call(unix.SYS_FSOPEN, t.str("tmpfs"), num(unix.FSOPEN_CLOEXEC)).to(ctx)
	t.call(unix.SYS_FSCONFIG, ctx, num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0))
	t.call(unix.SYS_FSMOUNT, ctx, num(unix.FSMOUNT_CLOEXEC), num(0)).to(mnt)
}

// ask puts q, in a new user namespace or as we are.
func (m *machine) ask(q probe, userns bool) Finding {
	f := Finding{Key: q.key, What: q.what}
	clone, steps := q.clone, q.steps
	if q.clone != 0 && userns {
		clone = clone.With(User)
		steps = append(ownMap(m.uid, m.gid), steps...)
	}
	for _, k := range clone.List() {
		if _, err := os.Stat(procNS(0, k)); os.IsNotExist(err) {
			f.Is, f.Why = No, fmt.Sprintf("this kernel was built without %s namespaces", k)
			return f
		}
	}
	err := inChild(clone, steps)
	if err == nil {
		f.Is = Yes
		return f
	}
	f.Is, f.Why, f.Do = m.because(q, clone, err)
	return f
}

// ownMap are the steps by which a process in a new user namespace maps its own
// ids, the only ones it may map itself, to 0. Without privilege in the parent
// it must first give up setgroups(2) for ever: else dropping a group could
// open a file that is closed to that group (user_namespaces(7)).
func ownMap(uid, gid int) []Step {
	return []Step{
		{"map", WriteFile{Path: "/proc/self/setgroups", Data: "deny"}},
		{"map", WriteFile{Path: "/proc/self/uid_map", Data: SingleID(0, uid).Text()}},
		{"map", WriteFile{Path: "/proc/self/gid_map", Data: SingleID(0, gid).Text()}},
	}
}
