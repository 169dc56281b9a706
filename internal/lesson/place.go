package lesson

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
}

// maxDir is the longest path of a place: podlab has Unix sockets under it, and
// an address of those holds 108 bytes (unix(7)).
const maxDir = 48

// NewPlace makes a place with the given program as podlab, and the examples in
// examples/ of its working directory. env is added to the environment.
func NewPlace(podlab string, examples fs.FS, env ...string) (*Place, error) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return nil, err
	}
	tmp := os.TempDir()
	if len(tmp)+len("/podlab-lesson-0123456789") > maxDir {
		tmp = "/tmp"
	}
	dir, err := os.MkdirTemp(tmp, "podlab-lesson-")
	if err != nil {
		return nil, err
	}
	p := &Place{dir: dir, work: filepath.Join(dir, "work"), shell: shell}
	if err := p.fill(podlab, examples); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.env = append(environment(),
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"),
		"PODLAB_ROOT="+filepath.Join(dir, "state"),
		"PWD="+p.work,
		"NO_COLOR=1", // what is compared is text
		"LC_ALL=C",   // and in one language
	)
	p.env = append(p.env, env...)
	return p, nil
}

func (p *Place) fill(podlab string, examples fs.FS) error {
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

// closing is the longest that clearing a place away may take.
const closing = 30 * time.Second

// Close stops and removes the pods, ends what else was started in the place,
// and removes the directory.
func (p *Place) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err := p.stopPods(ctx)
	p.killRest()
	return errors.Join(err, os.RemoveAll(p.dir))
}

func (p *Place) stopPods(ctx context.Context) error {
	var all []error
	for _, name := range p.pods() {
		namespace, pod, ok := strings.Cut(name, "_")
		if !ok {
			continue
		}
		// A pod that has ended is no error, and neither is one that rm finds gone.
		end := fmt.Sprintf("podlab stop -n %[1]s --grace 0s %[2]s; podlab rm -n %[1]s %[2]s", namespace, pod)
		if out, err := p.command(ctx, end).CombinedOutput(); err != nil && p.has(name) {
			all = append(all, fmt.Errorf("%s: %w\n%s", end, err, out))
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

// killRest kills what still works in the place's directories: commands that
// went into the background. They are found by their working directories, since
// a process group may be somebody else's by now.
func (p *Place) killRest() {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil || pid == os.Getpid() {
			continue
		}
		if !p.worksHere(pid) {
			continue
		}
		proc, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		// proc is a pidfd: if the process is still here, it is the one to kill.
		if p.worksHere(pid) {
			_ = proc.Kill() // gone already, or beyond our rights: then it isn't ours
		}
		_ = proc.Release()
	}
}

func (p *Place) worksHere(pid int) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && (cwd == p.dir || strings.HasPrefix(cwd, p.dir+"/"))
}
