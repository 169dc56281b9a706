package ns

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Reasons for machines that we don't have: facts and an errno in, words out.
func TestBecause(t *testing.T) {
	user := machine{mounts: []string{"/", "/proc", "/sys"}}
	with := func(change func(*machine)) machine {
		m := user
		m.sysctl = map[string]string{}
		change(&m)
		return m
	}
	knob := func(name, value string) machine { return with(func(m *machine) { m.sysctl[name] = value }) }
	find := func(key string) probe {
		for _, q := range append([]probe{userProbe}, probes...) {
			if q.key == key {
				return q
			}
		}
		t.Fatalf("no probe %s", key)
		return probe{}
	}
	tests := []struct {
		name, key, step string
		clone           Kinds
		m               machine
		errno           unix.Errno
		is              Feature
		why, do         string // parts
	}{
		{"Debian's knob", "userns", "clone", Of(User, Mnt), knob("kernel.unprivileged_userns_clone", "0"), unix.EPERM, No,
			"kernel.unprivileged_userns_clone is 0", "sysctl kernel.unprivileged_userns_clone=1"},
		{"Ubuntu's AppArmor, at the map", "userns", "map", Of(User, Mnt), knob("kernel.apparmor_restrict_unprivileged_userns", "1"), unix.EACCES, No,
			"AppArmor", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"Ubuntu's AppArmor, at the first mount", "userns", "private", Of(User, Mnt), knob("kernel.apparmor_restrict_unprivileged_userns", "1"), unix.EACCES, No,
			"AppArmor", "userns"},
		{"none allowed", "ns.net", "clone", Of(User, Net), knob("user.max_net_namespaces", "0"), unix.ENOSPC, No,
			"user.max_net_namespaces is 0", "sysctl user.max_net_namespaces="},
		{"nested too deep", "userns", "clone", Of(User, Mnt), knob("user.max_user_namespaces", "100"), unix.ENOSPC, No, "32 deep", ""},
		{"in a chroot", "userns", "clone", Of(User, Mnt), with(func(m *machine) { m.mounts = []string{"/proc"} }), unix.EPERM, No, "chroot", "pivot_root"},
		{"in Docker", "userns", "clone", Of(User, Mnt), with(func(m *machine) { m.seccomp = 2 }), unix.EPERM, No, "seccomp", "seccomp=unconfined"},
		{"clone3 filtered", "ns.net", "clone", Of(Net), with(func(m *machine) { m.seccomp = 2 }), unix.ENOSYS, No, "seccomp", "seccomp=unconfined"},
		{"before 5.3", "ns.net", "clone", Of(Net), user, unix.ENOSYS, No, "Linux 5.3", ""},
		{"SELinux, say", "userns", "clone", Of(User, Mnt), user, unix.EPERM, No, "security module", ""},
		{"no privilege", "ns.net", "clone", Of(Net), user, unix.EPERM, No, "CAP_SYS_ADMIN", ""},
		{"out of memory", "ns.net", "clone", Of(Net), user, unix.ENOMEM, Unknown, "cannot allocate memory", ""},
		{"masked proc", "mount.proc", "do", podKinds.With(User), with(func(m *machine) {
			m.mounts = []string{"/", "/proc", "/proc/sys/fs/binfmt_misc", "/proc/acpi", "/proc/keys", "/proc/scsi", "/proc/sys", "/process"}
		}), unix.EPERM, No, "covered (/proc/acpi, /proc/keys, /proc/scsi, 1 more)", "systempaths=unconfined"},
		{"masked sysfs", "userns.mount.sysfs", "do", podKinds.With(User), with(func(m *machine) {
			m.mounts = []string{"/", "/sys/fs/cgroup", "/sys/kernel/debug", "/sys/firmware"}
		}), unix.EPERM, No, "covered (/sys/firmware)", "unmask=ALL"},
		{"no proc at all", "mount.proc", "do", podKinds.With(User), user, unix.EPERM, No, "no /proc in sight", ""},
		{"an initramfs", "userns.pivot_root", "do", podKinds, user, unix.EINVAL, No, "initial ramfs", "switch_root"},
		{"no overlay", "mount.overlay", "do", podKinds, user, unix.ENODEV, No, "no overlay", "modprobe overlay"},
		{"no mqueue", "mount.mqueue", "do", podKinds, user, unix.ENODEV, No, "built without", ""},
		{"old overlay", "userns.mount.overlay", "do", podKinds.With(User), user, unix.EPERM, No, "5.11", ""},
		{"old sysctls", "ipc.sysctl", "do", Of(User, IPC), user, unix.EACCES, No, "host's root", ""},
		{"sysctls read-only", "userns.ipc.mqueue", "do", Of(User, IPC), user, unix.EROFS, No, "read-only", ""},
	}
	for _, tt := range tests {
		err := error(&StepError{Key: tt.step, Call: "call", Err: tt.errno})
		q := find(strings.TrimPrefix(tt.key, "userns."))
		q.key = tt.key
		is, why, do := tt.m.because(q, tt.clone, err)
		if is != tt.is || !strings.Contains(why, tt.why) || !strings.Contains(do, tt.do) || (do == "") != (tt.do == "") {
			t.Errorf("%s: got %s, %q, %q, want %s, …%q…, …%q…", tt.name, is, why, do, tt.is, tt.why, tt.do)
		}
		if !strings.HasPrefix(why, "call: "+tt.errno.Error()) {
			t.Errorf("%s: got %q, want the call and its error first", tt.name, why)
		}
	}
	if is, why, _ := user.because(userProbe, Of(User), errors.New("socketpair: too many open files")); is != Unknown || why == "" {
		t.Errorf("not a step: got %s, %q, want unknown with a reason", is, why)
	}
}

func TestParseStatus(t *testing.T) {
	var m machine
	err := m.parseStatus("Name:\tx\nCapEff:\t000001fffeffffff\nNoNewPrivs:\t1\nSeccomp:\t2\n")
	if err != nil || !m.noNewPrivs || !m.filtered() || !m.direct() {
		t.Errorf("got %+v, %v", m, err)
	}
	m.lastCap = 40
	if got := m.lacking(); got != 1<<unix.CAP_SYS_RESOURCE {
		t.Errorf("lacking: got %s, want CAP_SYS_RESOURCE", got)
	}
	for _, text := range []string{"", "CapEff:\tx\n"} {
		if err := m.parseStatus(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}
