package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// work is a directory with everything that the subjects need.
type work struct{ dir, podlab string }

func (w work) rootfs() string       { return filepath.Join(w.dir, "rootfs") }
func (w work) path(s string) string { return filepath.Join(w.dir, s) }

type subject struct {
	name string
	run  func() error
}

func command(dir string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// prepare builds floor and podlab, and a root file system that holds floor alone.
func (w work) prepare(podlab string) error {
	for _, d := range []string{"proc", "sys", "dev", "etc", "tmp"} {
		if err := os.MkdirAll(filepath.Join(w.rootfs(), d), 0o755); err != nil {
			return err
		}
	}
	if err := command("", "cc", "-O2", "-static", "-o", filepath.Join(w.rootfs(), "floor"), "internal/bench/floor/floor.c"); err != nil {
		return err
	}
	return w.build(podlab)
}

// build builds podlab, unless there is one.
func (w work) build(podlab string) error {
	if podlab == "" {
		return command("", "go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w", "-o", w.podlab, ".")
	}
	podlab, err := filepath.Abs(podlab)
	if err != nil {
		return err
	}
	return os.Symlink(podlab, w.podlab)
}

// hideUnified takes the v2 tree of a hybrid machine out of sight: crun refuses such a machine as a whole.
func (w work) hideUnified() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount --make-rprivate /: %w", err)
	}
	_ = unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH) // where there is none, nothing is in the way
	return nil
}

// subjects returns floor, podlab, then the peers that are here, each as its own
// users drive it: "pinned" has its namespaces made by us beforehand, which costs
// the peer nothing; "pause" makes a sandbox first and deletes it, as engines do.
func (w work) subjects(n int) []subject {
	manifest := w.manifest(n)
	all := []subject{
		{"floor", func() error {
			return command("", filepath.Join(w.rootfs(), "floor"), "pod", strconv.Itoa(n), w.rootfs())
		}},
		{"podlab", func() error { return command("", w.podlab, "run", "--rootfs", w.rootfs(), manifest) }},
	}
	for _, name := range []string{"crun", "runc"} {
		bin, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		r := runtimeUnderTest{w: w, bin: bin, global: []string{"--root", w.path("run-" + name)}}
		if name == "crun" {
			r.global = append(r.global, "--cgroup-manager=disabled")
		}
		all = append(all,
			subject{name + ", namespaces pinned for it", func() error { return r.pinned(n) }},
			subject{name + ", sandbox and containers", func() error { return r.pause(n) }})
	}
	return all
}

func (w work) manifest(n int) string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Pod\nmetadata: {name: bench}\nspec:\n  restartPolicy: Never\n  containers:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: c%d, command: [/floor, \"true\"]}\n", i)
	}
	file := w.path("pod.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		panic(err) // our own temporary directory
	}
	return file
}

// runtimeUnderTest is an OCI runtime.
type runtimeUnderTest struct {
	w      work
	bin    string
	global []string
}

func (r runtimeUnderTest) command(bundle string, args ...string) error {
	return command(bundle, r.bin, append(append([]string{}, r.global...), args...)...)
}

// sideBySide runs n containers that join the namespaces in dir.
func (r runtimeUnderTest) sideBySide(n int, join string) error {
	done := make(chan error, n)
	for i := range n {
		bundle, err := r.w.bundle(fmt.Sprintf("c%d", i), join, "true")
		if err != nil {
			return err
		}
		go func() { done <- r.command(bundle, "run", fmt.Sprintf("bench-%d", i)) }()
	}
	var first error
	for range n {
		if err := <-done; first == nil {
			first = err
		}
	}
	return first
}

func (r runtimeUnderTest) pinned(n int) error {
	dir := r.w.path("pinned")
	if err := pin(dir); err != nil {
		return err
	}
	err := r.sideBySide(n, dir)
	for _, ns := range shared {
		if e := unix.Unmount(filepath.Join(dir, ns), unix.MNT_DETACH); err == nil {
			err = e
		}
	}
	return err
}

func (r runtimeUnderTest) pause(n int) error {
	bundle, err := r.w.bundle("sandbox", "", "pause")
	if err != nil {
		return err
	}
	pidFile := r.w.path("pid")
	// Started without pipes: the sandbox would hold them open.
	cmd := exec.Command(r.bin, append(append([]string{}, r.global...), "run", "-d", "--pid-file", pidFile, "bench-sandbox")...)
	cmd.Dir = bundle
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s run -d: %w", r.bin, err)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return err
	}
	if err := r.sideBySide(n, "/proc/"+strings.TrimSpace(string(pid))+"/ns"); err != nil {
		return err
	}
	if err := r.command("", "kill", "bench-sandbox", "KILL"); err != nil {
		return err
	}
	return r.command("", "delete", "--force", "bench-sandbox")
}

// shared are the namespaces of a pod, as /proc/PID/ns calls them.
var shared = []string{"ipc", "net", "uts"}

// pin makes them anew and keeps them by bind mounts, without a process.
func pin(dir string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, in its namespaces
		done <- pinThread(dir)
	}()
	return <-done
}

func pinThread(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}
	for _, ns := range shared {
		file := filepath.Join(dir, ns)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return err
		}
		if err := unix.Mount("/proc/thread-self/ns/"+ns, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin %s: %w", ns, err)
		}
	}
	return nil
}
