package ns

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// SetGroups is setgroups(2): the supplementary groups, all of them. In a user
// namespace where setgroups is denied (a map of one id made without privilege)
// the kernel answers EPERM; the plan leaves the step out there.
type SetGroups struct{ GIDs []uint32 }

func (s SetGroups) Calls(t *Table) {
	list := num(0)
	if len(s.GIDs) > 0 {
		b := make([]byte, 0, 4*len(s.GIDs))
		for _, g := range s.GIDs {
			b = append(b, bytesOf(&g)...)
		}
		list = t.block(b)
	}
	t.call(unix.SYS_SETGROUPS, num(len(s.GIDs)), list)
}

// The words of setpriv(1) collect in $P until exec.
func (s SetGroups) Shell() string {
	if len(s.GIDs) == 0 {
		return `P="$P --clear-groups"`
	}
	return `P="$P --groups ` + strings.ReplaceAll(strings.Trim(fmt.Sprint(s.GIDs), "[]"), " ", ",") + `"`
}

// SetGID is setresgid(2): real, effective and saved.
type SetGID struct{ GID uint32 }

func (s SetGID) Calls(t *Table) {
	t.call(unix.SYS_SETRESGID, num(s.GID), num(s.GID), num(s.GID))
}

// setpriv(1) wants to be told about the groups too, even that they stay.
func (s SetGID) Shell() string {
	return fmt.Sprintf(`case $P in *groups*) ;; *) P="$P --keep-groups" ;; esac; P="$P --regid %d"`, s.GID)
}

// SetUID is setresuid(2). Leaving user 0 clears the effective and permitted
// capabilities, capabilities(7), so what needs them comes before.
type SetUID struct{ UID uint32 }

func (s SetUID) Calls(t *Table) {
	t.call(unix.SYS_SETRESUID, num(s.UID), num(s.UID), num(s.UID))
}

func (s SetUID) Shell() string { return fmt.Sprintf(`P="$P --reuid %d"`, s.UID) }

// Caps is a set of capabilities, a bit each as in capabilities(7).
type Caps uint64

// DefaultCaps are the capabilities that root of a container keeps, eleven of
// forty-one: those that Docker and containerd give, without MKNOD, NET_RAW and
// AUDIT_WRITE, as podman has it.
const DefaultCaps Caps = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_KILL | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE |
	1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_SETFCAP

// BoundCaps drops every capability but Keep from the bounding set, so that no
// program started later can get one of them back, set-user-ID root or not.
// Last is what this kernel has.
type BoundCaps struct {
	Keep Caps
	Last int // the highest capability this kernel knows, /proc/sys/kernel/cap_last_cap
}

func (b BoundCaps) Calls(t *Table) {
	for c := 0; c <= b.Last; c++ {
		if b.Keep>>c&1 == 0 {
			t.call(unix.SYS_PRCTL, num(unix.PR_CAPBSET_DROP), num(c), num(0), num(0), num(0))
		}
	}
}

func (b BoundCaps) Shell() string {
	return `P="$P --bounding-set=-all` + strings.ToLower(strings.ReplaceAll("|"+b.Keep.String(), "|CAP_", ",+")) + ` --inh-caps=-all"`
}

// SetCaps is capset(2): effective and permitted become Keep, inheritable
// nothing.
type SetCaps struct{ Keep Caps }

func (s SetCaps) Calls(t *Table) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	lo, hi := uint32(s.Keep), uint32(s.Keep>>32)
	data := [2]unix.CapUserData{{Effective: lo, Permitted: lo}, {Effective: hi, Permitted: hi}}
	t.call(unix.SYS_CAPSET, t.block(bytesOf(&hdr)), t.block(bytesOf(&data)))
}

func (s SetCaps) Shell() string {
	return "# capset(2): here execve(2) makes the effective set, from the bounding set or empty"
}

// NoNewPrivs is prctl(2) PR_SET_NO_NEW_PRIVS: set-user-ID bits and file
// capabilities mean nothing from now on, for all descendants.
type NoNewPrivs struct{}

func (NoNewPrivs) Calls(t *Table) {
	t.call(unix.SYS_PRCTL, num(unix.PR_SET_NO_NEW_PRIVS), num(1), num(0), num(0), num(0))
}
func (NoNewPrivs) Shell() string { return `P="$P --no-new-privs"` }

// DeathSignal is prctl(2) PR_SET_PDEATHSIG: SIGKILL when the parent's thread
// dies, or no signal with None. A change of credentials clears it, so it comes
// after them.
type DeathSignal struct{ None bool }

func (d DeathSignal) Calls(t *Table) {
	sig := unix.SIGKILL
	if d.None {
		sig = 0
	}
	t.call(unix.SYS_PRCTL, num(unix.PR_SET_PDEATHSIG), num(int(sig)), num(0), num(0), num(0))
}

func (d DeathSignal) Shell() string {
	if d.None {
		return "# prctl(2) PR_SET_PDEATHSIG 0"
	}
	return `P="$P --pdeathsig KILL"`
}

// Session is setsid(2): away from the caller's terminal and its Ctrl-C.
type Session struct{}

func (Session) Calls(t *Table) { t.call(unix.SYS_SETSID) }
func (Session) Shell() string  { return `P="setsid $P"` }

// Keyring is keyctl(2) KEYCTL_JOIN_SESSION_KEYRING: a session keyring of the
// process's own, for the caller's may hold his keys. A kernel without keyrings
// has none to protect; a user who has used up his quota of keys keeps his own.
type Keyring struct{}

func (Keyring) Calls(t *Table) {
	t.call(unix.SYS_KEYCTL, num(unix.KEYCTL_JOIN_SESSION_KEYRING), num(0)).unless(0, unix.ENOSYS, unix.EDQUOT)
}
func (Keyring) Shell() string { return "# keyctl(2) KEYCTL_JOIN_SESSION_KEYRING" }

// DefaultSignals makes every signal do its default action again and none be
// blocked. An ignored signal stays ignored across execve (signal(7)), and a
// shell without job control starts what it puts in the background with SIGINT
// and SIGQUIT ignored.
type DefaultSignals struct{}

func (DefaultSignals) Calls(t *Table) {
	zero := t.words(0, 0, 0, 0) // struct sigaction: SIG_DFL, no flags, no mask
	for sig := 1; sig <= 64; sig++ {
		if sig != int(unix.SIGKILL) && sig != int(unix.SIGSTOP) {
			t.call(unix.SYS_RT_SIGACTION, num(sig), zero, num(0), num(8))
		}
	}
	t.call(unix.SYS_RT_SIGPROCMASK, num(unix.SIG_SETMASK), zero, num(0), num(8))
}
func (DefaultSignals) Shell() string { return "# rt_sigaction(2): SIG_DFL for all" }

// capNames, in the order of their numbers.
const capNames = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"

// String is the names of the capabilities, as "CAP_CHOWN|CAP_KILL".
func (c Caps) String() string {
	var names []string
	for i, name := range strings.Fields(capNames) {
		if c>>i&1 != 0 {
			names = append(names, "CAP_"+name)
		}
	}
	return strings.Join(names, "|")
}

// AmbientCaps keeps Caps across execve for a user that is not root in its
// namespace: they must be inheritable and then raised into the ambient set,
// capabilities(7).
type AmbientCaps struct{ Caps Caps }

func (a AmbientCaps) Calls(t *Table) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	lo, hi := uint32(a.Caps), uint32(a.Caps>>32)
	data := [2]unix.CapUserData{{Effective: lo, Permitted: lo, Inheritable: lo}, {Effective: hi, Permitted: hi, Inheritable: hi}}
	t.call(unix.SYS_CAPSET, t.block(bytesOf(&hdr)), t.block(bytesOf(&data)))
	for c := range 64 {
		if a.Caps>>c&1 != 0 {
			t.call(unix.SYS_PRCTL, num(unix.PR_CAP_AMBIENT), num(unix.PR_CAP_AMBIENT_RAISE), num(c), num(0), num(0))
		}
	}
}

func (a AmbientCaps) Shell() string {
	return fmt.Sprintf("# prctl(2) PR_CAP_AMBIENT_RAISE %#x", uint64(a.Caps))
}
