package ns

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// Real noes: Probe in surroundings that forbid something. Each is a child of
// this test in namespaces of its own, where sh(1) takes something away and then
// becomes this test again, as TestProbeInBox.

type boxFeatures struct {
	Direct   bool
	Findings []struct{ Key, Is, Why, Do string }
}

func TestProbeInBox(t *testing.T) {
	box, ok := os.LookupEnv("PODLAB_TEST_BOX")
	if !ok {
		return // run by the tests below
	}
	if box == "seccomp" {
		refuseClone3(t)
	}
	f, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		t.Fatal(err)
	}
}

// refuseClone3 does as container engines do: a seccomp filter answers ENOSYS
// for clone3(2), whose flags it can't look at.
func refuseClone3(t *testing.T) {
	runtime.LockOSThread()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		t.Fatal(errno)
	}
}

// inBox runs script in new namespaces, as root of a user namespace if there is
// one among them; "$0" in it is this test, to be run last.
func inBox(t *testing.T, box string, clone Kinds, script string) boxFeatures {
	t.Helper()
	_, err := os.Stat("/bin/sh")
	testenv.Need(t, "sh", err == nil, "no /bin/sh here")
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	// Descriptor 3 is this program, wherever its path may lead by then.
	cmd := exec.Command("/bin/sh", "-ec", script, "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), "PODLAB_TEST_BOX="+box)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: clone.Flags()}
	if clone.Has(User) {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out.String(), errs.String())
	}
	var f boxFeatures
	if err := json.NewDecoder(&out).Decode(&f); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	return f
}

const probeSelf = ` exec "$0" -test.run='^TestProbeInBox$'`

// want checks one finding: the answer, and a part of the reason and of the way out.
func (f boxFeatures) want(t *testing.T, key, is, why, do string) {
	t.Helper()
	for _, x := range f.Findings {
		if x.Key == key {
			if x.Is != is || !strings.Contains(x.Why, why) || !strings.Contains(x.Do, do) {
				t.Errorf("%s: got %s, %q, %q, want %s, …%q…, …%q…", key, x.Is, x.Why, x.Do, is, why, do)
			}
			return
		}
	}
	t.Errorf("%s: no finding", key)
}

func needUserNS(t *testing.T) {
	t.Helper()
	err := inChild(userProbe.clone, append(ownMap(os.Geteuid(), os.Getegid()), userProbe.steps...))
	testenv.Need(t, "userns", err == nil, "no user namespaces here")
}

func TestProbeWithoutUserNamespaces(t *testing.T) {
	needUserNS(t)
	// The limit is one of the user namespace that it is written in.
	f := inBox(t, "", Of(User), "echo 0 > /proc/sys/user/max_user_namespaces;"+probeSelf)
	f.want(t, "userns", "no", "user.max_user_namespaces is 0", "sysctl user.max_user_namespaces=")
	f.want(t, "userns.mount.proc", "unknown", "needs a user namespace", "")
	f.want(t, "mount.tmpfs", "yes", "", "")
	if !f.Direct {
		t.Error("root of a user namespace: want direct")
	}
}

func TestProbeWithMaskedProc(t *testing.T) {
	needUserNS(t)
	f := inBox(t, "", Of(User, Mnt), "mount --bind /dev/null /proc/version;"+probeSelf)
	// Who covered a file may uncover it, and learns nothing new from another
	// proc. In a user namespace below, the cover is locked.
	f.want(t, "mount.proc", "yes", "", "")
	f.want(t, "userns.mount.proc", "no", "covered (/proc/version)", "unmask=ALL")
	f.want(t, "userns.mount.tmpfs", "yes", "", "")
}

func TestProbeInChroot(t *testing.T) {
	needUserNS(t)
	_, err := exec.LookPath("chroot")
	testenv.Need(t, "chroot", err == nil, "no chroot here: package coreutils")
	dir := t.TempDir()
	f := inBox(t, "", Of(User, Mnt), "mount --rbind / "+dir+"; exec chroot "+dir+` "$0" -test.run='^TestProbeInBox$'`)
	f.want(t, "userns", "no", "chroot", "")
}

func TestProbeUnderSeccomp(t *testing.T) {
	testenv.Need(t, "seccomp", seccompAction(unix.SECCOMP_RET_ERRNO) == nil, "no seccomp here")
	f := inBox(t, "seccomp", 0, probeSelf)
	f.want(t, "call.clone3", "no", "seccomp filter", "seccomp=unconfined")
	f.want(t, "userns", "no", "seccomp filter", "seccomp=unconfined")
	f.want(t, "call.openat2", "yes", "", "")
	f.want(t, "no_new_privs", "yes", "set already", "")
}

// An ordinary user with a range in /etc/subuid gets it.
func TestProbeRangeOfUser(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "only root can give a range out")
	_, err := IDHelper("newuidmap")
	testenv.Need(t, "newuidmap", err == nil, "no newuidmap here: package uidmap")
	_, err = exec.LookPath("setpriv")
	testenv.Need(t, "setpriv", err == nil, "no setpriv here: package util-linux")
	sub := filepath.Join(t.TempDir(), "sub")
	if err := os.WriteFile(sub, []byte("1000:200000:65536\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "mount --make-rprivate /; for f in /etc/subuid /etc/subgid; do mount --bind " + sub + ` $f; done
		exec setpriv --reuid 1000 --regid 1000 --clear-groups "$0" -test.run='^TestProbeInBox$'`
	f := inBox(t, "", Of(Mnt), script)
	f.want(t, "userns.range", "yes", "65537 ids by newuidmap", "")
	f.want(t, "caps", "no", "ordinary user", "")
}

func TestIDHelperUnderNoNewPrivs(t *testing.T) {
	path, err := IDHelper("newuidmap")
	testenv.Need(t, "newuidmap", err == nil, "no newuidmap here: package uidmap")
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the attribute is the thread's, and ends with it
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			done <- nil
			return
		}
		_, err := IDHelper("newuidmap")
		done <- err
	}()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "no_new_privs") {
		t.Errorf("%s: got %v, want an error with no_new_privs", path, err)
	}
}
