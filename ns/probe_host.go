package ns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what there is to know before anything is tried: the facts that
// turn an errno into a reason. It is a value, so that reasons can be tested for
// machines we don't have.
type machine struct {
	kernel, arch string
	uid, gid     int
	user         string // login name, or ""
	caps         Caps   // effective
	lastCap      int
	seccomp      int               // of proc_pid_status(5): 2 is a filter
	noNewPrivs   bool              // likewise
	sysctl       map[string]string // those of knobs that exist
	filesystems  map[string]bool   // types that the kernel knows, proc_filesystems(5)
	mounts       []string          // mount points, proc_pid_mountinfo(5)
}

// knobs are the sysctls that say no to namespaces, or to looking at processes.
var knobs = []string{
	"kernel.unprivileged_userns_clone",             // Debian's and Arch's older kernels
	"kernel.apparmor_restrict_unprivileged_userns", // Ubuntu since 23.10
	"kernel.apparmor_restrict_unprivileged_unconfined",
	"kernel.yama.ptrace_scope",
	"kernel.cap_last_cap",
	"user.max_user_namespaces", "user.max_mnt_namespaces", "user.max_uts_namespaces", "user.max_ipc_namespaces",
	"user.max_pid_namespaces", "user.max_net_namespaces", "user.max_cgroup_namespaces", "user.max_time_namespaces",
}

func readMachine() (*machine, error) {
	m := &machine{uid: os.Geteuid(), gid: os.Getegid(), sysctl: map[string]string{}, filesystems: map[string]bool{}}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, os.NewSyscallError("uname", err)
	}
	m.kernel, m.arch = unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Machine[:])
	m.user = UserName(m.uid)
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return nil, err
	}
	if err := m.parseStatus(string(status)); err != nil {
		return nil, err
	}
	for _, k := range knobs {
		if b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(k, ".", "/")); err == nil {
			m.sysctl[k] = strings.TrimSpace(string(b))
		}
	}
	if m.lastCap, err = strconv.Atoi(m.sysctl["kernel.cap_last_cap"]); err != nil {
		m.lastCap = unix.CAP_LAST_CAP
	}
	types, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(types)) {
		if f := strings.Fields(line); len(f) > 0 {
			m.filesystems[f[len(f)-1]] = true
		}
	}
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 {
			m.mounts = append(m.mounts, f[4]) // blanks in it are \040, which no path of ours has
		}
	}
	return m, nil
}

// parseStatus reads proc_pid_status(5).
func (m *machine) parseStatus(status string) error {
	seen := false
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "CapEff":
			caps, err := strconv.ParseUint(value, 16, 64)
			if err != nil {
				return fmt.Errorf("/proc/self/status: CapEff: %q", value)
			}
			m.caps, seen = Caps(caps), true
		case "Seccomp":
			m.seccomp, _ = strconv.Atoi(value) // absent or odd: no filter that we know of
		case "NoNewPrivs":
			m.noNewPrivs = value == "1"
		}
	}
	if !seen {
		return errors.New("/proc/self/status: want a line CapEff")
	}
	return nil
}

// direct tells whether namespaces can be had without a user namespace.
func (m *machine) direct() bool { return m.caps>>unix.CAP_SYS_ADMIN&1 != 0 }

// filtered tells whether somebody put us under a seccomp filter.
func (m *machine) filtered() bool { return m.seccomp == 2 }

func (m *machine) filterNote() string {
	return "; this process is under a seccomp filter (Seccomp: 2 in /proc/self/status), as in a container"
}

// chrooted tells whether the root is no mount, the sign of chroot(2).
func (m *machine) chrooted() bool {
	for _, p := range m.mounts {
		if p == "/" {
			return false
		}
	}
	return len(m.mounts) > 0
}

// emptyDirs are directories of proc and sysfs that the kernel keeps empty to be
// mounted on (proc_create_mount_point, sysfs_create_mount_point): what covers
// them hides nothing.
var emptyDirs = []string{
	"/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom",
	"/sys/fs/", // cgroup bpf fuse/connections pstore selinux resctrl, and whatever comes
	"/sys/kernel/security", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/config", "/sys/firmware/efi/efivars",
}

// covered are the mounts below dir that hide something.
func (m *machine) covered(dir string) (paths []string) {
	for _, p := range m.mounts {
		hides := strings.HasPrefix(p, dir+"/")
		for _, e := range emptyDirs {
			hides = hides && p != e && !(strings.HasSuffix(e, "/") && strings.HasPrefix(p, e))
		}
		if hides {
			paths = append(paths, p)
		}
	}
	return paths
}

// lacking are the capabilities that the kernel knows and root hasn't here.
func (m *machine) lacking() Caps {
	return (1<<(m.lastCap+1) - 1) &^ m.caps
}

// security is what confines processes here, and what confines us.
func (m *machine) security() []Finding {
	return []Finding{m.askCaps(), m.askSeccomp(), m.askNoNewPrivs(), m.askLSM(), m.askLandlock(), m.askPtrace()}
}

func (m *machine) askCaps() Finding {
	f := Finding{Key: "caps", What: "all capabilities"}
	lacking := m.lacking()
	switch {
	case lacking == 0:
		f.Is = Yes
	case m.caps == 0:
		f.Is, f.Why = No, "an ordinary user has none, but all of them in his own user namespace"
	default:
		f.Is, f.Why = No, "lacking: "+lacking.String()
		if lacking>>unix.CAP_SYS_RESOURCE&1 != 0 {
			f.Why += "; without CAP_SYS_RESOURCE no hard limit can be raised and no oom_score_adj lowered"
		}
	}
	return f
}

func (m *machine) askSeccomp() Finding {
	f := Finding{Key: "seccomp", What: "seccomp filters"}
	err := seccompAction(unix.SECCOMP_RET_ERRNO)
	if err == nil {
		err = seccompAction(unix.SECCOMP_RET_KILL_PROCESS)
	}
	switch {
	case err == nil:
		f.Is = Yes
		if m.filtered() {
			f.Why = "podlab itself is under one: see /proc/self/status"
		}
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		f.Is, f.Why = No, "seccomp: "+err.Error()+": this kernel was built without CONFIG_SECCOMP_FILTER"
	default:
		f.Why = "seccomp: " + err.Error()
	}
	return f
}

func (m *machine) askNoNewPrivs() Finding {
	f := Finding{Key: "no_new_privs", What: "no_new_privs (allowPrivilegeEscalation: false)"}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	switch {
	case err != nil:
		f.Is, f.Why = No, "prctl PR_GET_NO_NEW_PRIVS: "+err.Error()
	case set == 1:
		f.Is, f.Why = Yes, "set already on podlab: no program started from here gains rights, newuidmap neither"
	default:
		f.Is = Yes
	}
	return f
}

// askLSM lists the security modules in force, lsm(5) as securityfs tells it.
func (m *machine) askLSM() Finding {
	f := Finding{Key: "lsm", What: "a security module that confines programs (AppArmor, SELinux)"}
	list, err := os.ReadFile("/sys/kernel/security/lsm")
	if err == nil {
		f.Is, f.Why = No, "/sys/kernel/security/lsm: "+string(list)
		for _, name := range []string{"apparmor", "selinux", "smack", "tomoyo"} {
			if strings.Contains(string(list), name) {
				f.Is = Yes
			}
		}
		return f
	}
	// Without securityfs each has its own sign.
	if b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err == nil && strings.HasPrefix(string(b), "Y") {
		f.Is, f.Why = Yes, "apparmor"
	} else if m.filesystems["selinuxfs"] {
		f.Is, f.Why = Yes, "selinux"
	} else if !m.filesystems["securityfs"] {
		f.Is, f.Why = No, "this kernel was built without CONFIG_SECURITYFS"
	} else {
		f.Why, f.Do = "securityfs isn't mounted", "as root: mount -t securityfs securityfs /sys/kernel/security"
	}
	return f
}

func (m *machine) askLandlock() Finding {
	f := Finding{Key: "landlock", What: "Landlock"}
	v, err := landlockVersion()
	switch {
	case err == nil:
		f.Is, f.Why = Yes, "version "+strconv.Itoa(v)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		f.Is, f.Why = No, "landlock_create_ruleset: "+err.Error()
	default:
		f.Why = "landlock_create_ruleset: " + err.Error()
	}
	return f
}

// askPtrace reads Yama's knob. Exec into a container only reads /proc/PID/ns,
// which Yama never refuses; a debugger in a pod is another matter.
func (m *machine) askPtrace() Finding {
	f := Finding{Key: "ptrace", What: "trace a process of the same user (strace -p, gdb -p)", Is: Yes}
	const knob = "kernel.yama.ptrace_scope"
	switch scope, ok := m.sysctl[knob]; {
	case !ok:
		f.Why = "no Yama in this kernel"
	case scope == "0":
	case scope == "1":
		f.Is, f.Why, f.Do = No, knob+" is 1: only one's own descendants", "as root: sysctl "+knob+"=0"
	case scope == "2" && m.caps>>unix.CAP_SYS_PTRACE&1 != 0:
		f.Why = knob + " is 2: only with CAP_SYS_PTRACE, which is here"
	case scope == "2":
		f.Is, f.Why, f.Do = No, knob+" is 2: only with CAP_SYS_PTRACE", "as root: sysctl "+knob+"=0"
	default:
		f.Is, f.Why = No, knob+" is "+scope+": nobody, until the next boot"
	}
	return f
}
