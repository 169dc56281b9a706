package lesson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Place is where a lesson is run: a scratch directory with a directory to
// work in, podlab on PATH, and a state directory of its own, so that its pods
// are its own too.
type Place struct {
	dir, work string
	shell     string
	env       []string
	owner     *os.File  // locked while this process lives
	users     io.Closer // of claimUsers, or nil
}

// maxDir is the longest path of a place: podlab has Unix sockets under it, and
// an address of those holds 108 bytes (unix(7)).
const maxDir = 48

// NewPlace makes a place with the given program as podlab, and the examples in
// examples/ of its working directory. env is added to the environment.
func NewPlace(podlab string, examples fs.FS, env ...string) (*Place, error) {
	dir, err := os.MkdirTemp(tempDir(), placePrefix)
	var fault *fs.PathError
	switch {
	case errors.As(err, &fault) && os.Getenv("TMPDIR") != "":
		return nil, fmt.Errorf("TMPDIR %s: %w", os.Getenv("TMPDIR"), fault.Err)
	case err != nil:
		return nil, err
	}
	p, err := placeAt(dir, podlab)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.fill(podlab, examples); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	p.env = append(p.env, env...)
	return p, nil
}

// placePrefix is what the names of places begin with.
const placePrefix = "podlab-lesson-"

// tempDir is where places are made.
func tempDir() string {
	if tmp := os.TempDir(); len(tmp)+len("/"+placePrefix+"0123456789") <= maxDir {
		return tmp
	}
	return "/tmp"
}

// placeAt is a place in a directory that exists.
func placeAt(dir, podlab string) (*Place, error) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return nil, err
	}
	p := &Place{dir: dir, work: filepath.Join(dir, "work"), shell: shell}
	p.env = append(environment(),
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"),
		"PODLAB_ROOT="+filepath.Join(dir, "state"),
		"PWD="+p.work,
		"NO_COLOR=1", // what is compared is text
		"LC_ALL=C",   // and in one language
	)
	return p, nil
}

func (p *Place) fill(podlab string, examples fs.FS) error {
	if err := p.lock(); err != nil {
		return err
	}
	ids, users, err := claimUsers()
	if err != nil {
		return err
	}
	p.users = users
	p.env = append(p.env, fmt.Sprintf("USER_A=%d", ids[0]), fmt.Sprintf("USER_B=%d", ids[1]))
	for _, d := range []string{p.work, filepath.Join(p.dir, "bin")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink(podlab, filepath.Join(p.dir, "bin", "podlab")); err != nil {
		return err
	}
	return os.CopyFS(filepath.Join(p.work, "examples"), examples)
}

// environment is the caller's, without what would make podlab behave
// differently here than elsewhere.
func environment() (env []string) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "PATH", "PWD", "OLDPWD", "NO_COLOR", "CLICOLOR_FORCE", "LC_ALL", "LANG", "LANGUAGE":
		default:
			if !strings.HasPrefix(name, "PODLAB_") {
				env = append(env, e)
			}
		}
	}
	return env
}

// command is one for sh, in this place. It has a process group of its own,
// which is killed when ctx ends: a Ctrl-C at the terminal must reach the
// player alone, who then clears up.
func (p *Place) command(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.shell, "-c", command)
	cmd.Dir, cmd.Env = p.work, p.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for output that a process in the background holds open
	return cmd
}

// closing is the longest that stopping a place's pods may take: they have no
// grace.
const closing = 15 * time.Second

// Close stops and removes the pods, ends what else was started in the place,
// and removes the directory.
func (p *Place) Close() error { return p.close(nil) }

// close runs the commands of after when nothing works in the place any more.
func (p *Place) close(after []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	// A pod that has ended is no error, and neither is one that rm finds gone.
	stop := p.eachPod(ctx, "podlab stop -n %[1]s --grace 0s %[2]s; podlab rm -n %[1]s %[2]s")
	p.killRest()
	for _, c := range after {
		p.try(c)
	}
	ctx, cancel = context.WithTimeout(context.Background(), closing)
	defer cancel()
	// What is left now are pods whose podlab had to be killed.
	if rm := p.eachPod(ctx, "podlab rm -n %[1]s %[2]s"); rm != nil {
		return errors.Join(stop, rm, p.remove())
	}
	return p.remove()
}

// remove removes the directory, and gives back what was claimed.
func (p *Place) remove() error {
	err := os.RemoveAll(p.dir)
	if p.users != nil {
		_ = p.users.Close() // a socket that nobody has used
	}
	if p.owner != nil {
		_ = p.owner.Close() // the lock on a file that is gone
	}
	return err
}

// eachPod runs a command for every pod that there is. An error of it counts
// only if the pod is still there afterwards.
func (p *Place) eachPod(ctx context.Context, format string) error {
	var all []error
	for _, name := range p.pods() {
		namespace, pod, ok := strings.Cut(name, "_")
		if !ok {
			continue
		}
		command := fmt.Sprintf(format, namespace, pod)
		if out, err := p.command(ctx, command).CombinedOutput(); err != nil && p.has(name) {
			all = append(all, fmt.Errorf("%s: %w\n%s", command, err, out))
		}
	}
	return errors.Join(all...)
}

// pods are the names of the state directories.
func (p *Place) pods() (names []string) {
	entries, err := os.ReadDir(filepath.Join(p.dir, "state"))
	if err != nil {
		return nil // no pod was ever run
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

func (p *Place) has(pod string) bool {
	_, err := os.Stat(filepath.Join(p.dir, "state", pod))
	return err == nil
}

// killRest kills what still works in the place: commands that went into the
// background, and a podlab that didn't stop its pods. They are found by their
// working directory or their environment, since a process group may be
// somebody else's by now.
func (p *Place) killRest() {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !p.worksHere(pid) {
			continue
		}
		proc, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		// proc is a pidfd: if the process is still here, it is the one to kill.
		if p.worksHere(pid) && proc.Kill() == nil {
			p.waitFor(pid)
		}
		_ = proc.Release()
	}
}

// waitFor waits for somebody else's child that was killed, for a moment.
func (p *Place) waitFor(pid int) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		if !p.worksHere(pid) {
			return
		}
		<-tick.C
	}
}

// worksHere tells whether a process has its working directory in the place, or
// keeps its pods here. Of other users' processes it can't, and they aren't ours.
func (p *Place) worksHere(pid int) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err == nil && (cwd == p.dir || strings.HasPrefix(cwd, p.dir+"/")) {
		return true
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00PODLAB_ROOT="+filepath.Join(p.dir, "state")+"\x00"))
}
