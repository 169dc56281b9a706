package ns

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

func TestKinds(t *testing.T) {
	tests := []struct {
		set   Kinds
		text  string
		flags uintptr
	}{
		{0, "", 0},
		{Of(Net), "net", unix.CLONE_NEWNET},
		{Of(IPC, User), "user,ipc", unix.CLONE_NEWUSER | unix.CLONE_NEWIPC},
		{Of(AllKinds()...).Without(User, Time), "mnt,uts,ipc,pid,net,cgroup",
			unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID |
				unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP},
		{Of(Time).With(PID, PID), "pid,time", unix.CLONE_NEWPID | unix.CLONE_NEWTIME},
	}
	for _, tt := range tests {
		if got := tt.set.String(); got != tt.text {
			t.Errorf("Kinds(%b): got %q, want %q", tt.set, got, tt.text)
		}
		if got := tt.set.Flags(); got != tt.flags {
			t.Errorf("flags of %s: got %#x, want %#x", tt.set, got, tt.flags)
		}
		if got := Of(tt.set.List()...); got != tt.set {
			t.Errorf("list of %s: got %s back", tt.set, got)
		}
	}
	for _, k := range AllKinds() {
		if got, ok := ParseKind(k.String()); got != k || !ok {
			t.Errorf("ParseKind(%q): got %v, %v", k, got, ok)
		}
		if Of(k).Without(k) != 0 || !Of(k).Has(k) || Kinds(0).Has(k) {
			t.Errorf("%s: set of one is wrong", k)
		}
	}
	if _, ok := ParseKind("pid_for_children"); ok {
		t.Error("pid_for_children is not a kind")
	}
}

func TestParseLink(t *testing.T) {
	tests := []struct {
		link  string
		inode uint64
		ok    bool
	}{
		{"mnt:[4026531832]", 4026531832, true},
		{"mnt:[]", 0, false},
		{"net:[4026531832]", 0, false},
		{"mnt:[4026531832", 0, false},
		{"mnt:4026531832]", 0, false},
		{"mnt:[-1]", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		inode, err := parseLink(Mnt, tt.link)
		if inode != tt.inode || (err == nil) != tt.ok {
			t.Errorf("%q: got %d, %v, want %d, ok %v", tt.link, inode, err, tt.inode, tt.ok)
		}
	}
}

// The kernel answers the same question twice: the link's text and the inode
// behind it.
func TestInspectIsStat(t *testing.T) {
	got, err := Inspect(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range AllKinds() {
		var st unix.Stat_t
		err := unix.Stat("/proc/self/ns/"+k.String(), &st)
		if err == unix.ENOENT {
			if n, ok := got[k]; ok {
				t.Errorf("%s: got %d, but the kernel has none", k, n)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got[k] != st.Ino {
			t.Errorf("%s: got %d, stat says %d", k, got[k], st.Ino)
		}
	}
}

// lsns reads the same files with other code.
func TestInspectIsLsns(t *testing.T) {
	lsns, err := exec.LookPath("lsns")
	testenv.Need(t, "lsns", err == nil, "no lsns here: package util-linux")
	pid := os.Getpid()
	got, err := Inspect(pid)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(lsns, "--noheadings", "--raw", "--output", "TYPE,NS", "--task", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		k, ok := ParseKind(f[0])
		if !ok {
			t.Errorf("lsns: kind %q is unknown here", f[0])
			continue
		}
		if have := strconv.FormatUint(got[k], 10); have != f[1] {
			t.Errorf("%s: got %s, lsns says %s", k, have, f[1])
		}
	}
}

func TestInspectErrors(t *testing.T) {
	// pid_max is at most 2^22, so nobody has this one: proc_sys_kernel(5).
	if got, err := Inspect(1 << 23); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such process: got %v, %v, want ErrNotExist", got, err)
	}
	// Os.StartProcess makes a child that stays a zombie until Wait; waitid
	// with WNOWAIT leaves it one.
	p, err := os.StartProcess("/proc/self/exe", []string{"zombie", "-test.run=^$"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := p.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := Inspect(p.Pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("zombie: got %v, %v, want ErrProcessDone", got, err)
	}
	if os.Getuid() != 0 {
		if got, err := Inspect(1); !errors.Is(err, os.ErrPermission) {
			t.Errorf("pid 1 as uid %d: got %v, %v, want ErrPermission", os.Getuid(), got, err)
		}
	}
}

func TestOwnerAndParent(t *testing.T) {
	self, err := Inspect(0)
	if err != nil {
		t.Fatal(err)
	}
	// Where no user namespace was made, all namespaces belong to ours.
	owner, err := Owner(0, UTS)
	if err == nil && owner == 0 {
		t.Error("owner of uts: got 0")
	}
	if err != nil && !errors.Is(err, os.ErrPermission) {
		t.Errorf("owner of uts: %v", err)
	}
	if _, err := Parent(0, UTS); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("parent of uts: got %v, want EINVAL", err)
	}
	// The parent of one's own user namespace is never in sight.
	if n, err := Parent(0, User); !errors.Is(err, os.ErrPermission) {
		t.Errorf("parent of user:[%d]: got %d, %v, want ErrPermission", self[User], n, err)
	}
	if uid, err := OwnerUID(0); err != nil || uid < 0 {
		t.Errorf("OwnerUID: got %d, %v", uid, err)
	}
}

func BenchmarkInspect(b *testing.B) {
	for b.Loop() {
		if _, err := Inspect(0); err != nil {
			b.Fatal(err)
		}
	}
}
