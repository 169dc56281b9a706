package pod_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of what must hold whatever happens run the program as users get it.

// podlabFile builds podlab as users get it, once, where every user may run it.
var podlabFile = sync.OnceValues(func() (string, error) {
	if file := os.Getenv("PODLAB_BINARY"); file != "" {
		return file, nil
	}
	var err error
	if scratch, err = os.MkdirTemp("", "podlab-bin-"); err == nil {
		err = os.Chmod(scratch, 0o755)
	}
	if err != nil {
		return "", err
	}
	file := filepath.Join(scratch, "podlab")
	cmd := exec.Command("go", "build", "-tags", "urfave_cli_no_docs", "-o", file, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// scratch is for the whole run. It is made when it is needed, not by TestMain:
// other tests start this binary again and kill it.
var scratch string

func TestMain(m *testing.M) {
	code := m.Run()
	if scratch != "" {
		_ = os.RemoveAll(scratch) // the temporary folder is cleaned by others too
	}
	os.Exit(code)
}

// caller is a user who runs podlab, with a state directory of their own.
type caller struct {
	uid  int
	dir  string // holds manifests; state is dir/s
	prog string
}

// eachCaller runs a test as the user that we are, and if that is root as an
// ordinary user too.
func eachCaller(t *testing.T, f func(*testing.T, *caller)) {
	t.Helper()
	prog, err := podlabFile()
	if err != nil {
		t.Fatal(err)
	}
	uids := []int{os.Getuid()}
	if uids[0] == 0 {
		uids = append(uids, 1000)
	}
	for _, uid := range uids {
		t.Run(fmt.Sprintf("uid=%d", uid), func(t *testing.T) {
			c := &caller{uid: uid, dir: stateRoot(t), prog: prog}
			if err := os.Chown(c.dir, uid, -1); err != nil {
				t.Fatal(err)
			}
			f(t, c)
		})
	}
}

// command is one to be run by that user.
func (c *caller) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "NO_COLOR=1", "PODLAB_ROOT=" + c.dir + "/s"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.uid != os.Getuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // where does it hang?
	cmd.WaitDelay = time.Second
	return cmd
}

// write puts a file into the caller's directory.
func (c *caller) write(t *testing.T, name, data string) string {
	t.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// left is what there is of a pod: processes, mounts, files. mark is a word that
// the arguments or the environment of each of its processes have.
func (c *caller) left(mark string) (all []string) {
	for _, pid := range marked(mark) {
		all = append(all, fmt.Sprintf("process %d: %s", pid, bytes.ReplaceAll(readProc(pid, "cmdline"), []byte{0}, []byte{' '})))
	}
	if b, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(b, []byte(c.dir)) {
		all = append(all, fmt.Sprintf("mount (%v)", err))
	}
	entries, _ := filepath.Glob(c.dir + "/s/*")
	return append(append(all, entries...), cgroupsOf(mark)...)
}

// marked are the processes that have mark in their arguments or environment.
func marked(mark string) (pids []int) {
	procs, _ := os.ReadDir("/proc")
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if bytes.Contains(readProc(pid, "cmdline"), []byte(mark)) || bytes.Contains(readProc(pid, "environ"), []byte(mark)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// readProc is a file of a process; nothing if it is gone, or not ours to read.
func readProc(pid int, file string) []byte {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	return b
}

// cgroupsOf are the control groups with mark in their name, two levels down.
func cgroupsOf(mark string) (all []string) {
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/" + pattern + mark + "*")
		all = append(all, dirs...)
	}
	return all
}
