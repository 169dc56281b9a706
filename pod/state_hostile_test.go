package pod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// sandboxed runs the calling test again, in a mount namespace where everything but a new /tmp is read-only: a test of deleting that goes
// wrong must not find anything to delete. It is true in there. Root's test runs twice: as root, and as root of a user namespace that is an
// ordinary user outside; an ordinary user's runs in the second way.
func sandboxed(t *testing.T) bool {
	if os.Getenv("PODLAB_SANDBOX") != "" {
		enterSandbox(t)
		return true
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		t.Run("root", func(t *testing.T) { sandbox(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) })
		uid, gid = 1000, 1000
	}
	t.Run("user", func(t *testing.T) {
		sandbox(t, &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
			Credential:  &syscall.Credential{NoSetGroups: true},
		})
	})
	return false
}

func sandbox(t *testing.T, attr *syscall.SysProcAttr) {
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+name+"$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = []string{"PODLAB_SANDBOX=1", "TMPDIR=/tmp", "PODLAB_MUST=" + os.Getenv("PODLAB_MUST")}
	cmd.SysProcAttr = attr
	attr.Pdeathsig = syscall.SIGKILL
	out, err := cmd.CombinedOutput()
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) // of clone(2)
	testenv.Need(t, "userns", !denied || attr.Cloneflags&syscall.CLONE_NEWUSER == 0, fmt.Sprint(err))
	testenv.Need(t, "mountns", !denied, fmt.Sprint(err))
	if err != nil || !strings.Contains(string(out), "--- PASS: "+name) {
		t.Errorf("%v\n%s", err, out)
	}
}

func enterSandbox(t *testing.T) {
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &readOnly),
		unix.Mount("podlab-test", "/tmp", "tmpfs", 0, "mode=1777"))
	for _, dir := range []string{"/", "/etc", "/root", "/home", "/var", "/run", "/dev/shm"} {
		if err := unix.Mkdir(dir+"/podlab-sandbox", 0o700); err == nil {
			_ = os.Remove(dir + "/podlab-sandbox")
			t.Fatalf("%s is writable", dir)
		}
	}
	must(t, os.Mkdir("/tmp/outside", 0o700), os.WriteFile("/tmp/outside/precious", []byte("kept"), 0o600))
	t.Cleanup(func() {
		if got, err := os.ReadFile("/tmp/outside/precious"); string(got) != "kept" || contents(t, "/tmp/outside") != "precious" {
			t.Errorf("what is outside was touched: %q, %v, %s", got, err, contents(t, "/tmp/outside"))
		}
	})
}

// Everything that a container may have left in a volume goes, and nothing that it points to.
func TestRemoveHostileContents(t *testing.T) {
	if !sandboxed(t) {
		return
	}
	few := unix.Rlimit{Cur: 100, Max: 100} // a descriptor per level won't do
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	r := newRoot(t)
	plants := map[string]func(vol string) error{
		"link to a directory": func(v string) error { return os.Symlink("/tmp/outside", v+"/link") },
		"link to /":           func(v string) error { return os.Symlink("/", v+"/link") },
		"link in circles":     func(v string) error { return errors.Join(os.Symlink("b", v+"/a"), os.Symlink("a", v+"/b")) },
		"hard link":           func(v string) error { return os.Link("/tmp/outside/precious", v+"/hard") },
		"fifo":                func(v string) error { return unix.Mkfifo(v+"/fifo", 0) },
		"socket":              func(v string) error { return unix.Mknod(v+"/socket", unix.S_IFSOCK, 0) },
		"odd names": func(v string) error {
			for _, name := range []string{"-rf", "a\nb", "*", "\xff\xfe", "deep-1", "lock", strings.Repeat("n", 255)} {
				if err := os.MkdirAll(v+"/"+name+"/sub", 0o700); err != nil {
					return err
				}
			}
			return nil
		},
		"no permissions": func(v string) error {
			return errors.Join(os.MkdirAll(v+"/a/b/c", 0o700), os.WriteFile(v+"/a/b/f", nil, 0), os.Chmod(v+"/a/b", 0), os.Chmod(v+"/a", 0), os.Chmod(v, 0o500))
		},
		"many": func(v string) error {
			for i := range 3000 {
				if err := os.WriteFile(fmt.Sprintf("%s/%d", v, i), nil, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		"deep":                 func(v string) error { return deep(v, 3000, 0o700) },
		"deep, no permissions": func(v string) error { return deep(v, 40, 0) },
		"deep, in the way": func(v string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(filepath.Dir(v))+"/deep-1/x", 0o700), deep(v, 30, 0o700))
		},
		"in the pod's own files": func(v string) error {
			return os.Symlink("/tmp/outside/precious", filepath.Dir(filepath.Dir(v))+"/state.json")
		},
	}
	for what, plant := range plants {
		d := reserve(t, r, "web")
		vol := d.Path + "/volumes/data"
		must(t, os.MkdirAll(vol, 0o700), plant(vol))
		if err := d.Remove(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := contents(t, r.Path); got != "" {
			t.Fatalf("%s: left behind: %s", what, got)
		}
	}
}

// deep makes a chain of directories that no path is long enough for.
func deep(path string, levels int, mode uint32) error {
	top, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	fds := []int{top}
	for i := 0; i < levels && err == nil; i++ {
		var fd int
		dir := fds[len(fds)-1]
		if err = unix.Mkdirat(dir, "directory", 0o700); err == nil {
			fd, err = unix.Openat(dir, "directory", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			fds = append(fds, fd)
		}
		if len(fds) > 50 && mode != 0 {
			_ = unix.Close(fds[0])
			fds = fds[1:]
		}
	}
	for _, fd := range fds {
		if mode == 0 {
			err = errors.Join(err, unix.Fchmod(fd, mode))
		}
		_ = unix.Close(fd)
	}
	return err
}

// Nothing is deleted through a mount, wherever it is, nor by a link in the place of something of ours.
func TestRemoveStopsAtMounts(t *testing.T) {
	if !sandboxed(t) {
		return
	}
	r := newRoot(t)
	bind := func(target string) { must(t, unix.Mount("/tmp/outside", target, "", unix.MS_BIND, "")) }
	for _, sub := range []string{"", "/volumes", "/volumes/data", "/volumes/data/1/2/3/4/5/6/7/8/9/10/11"} {
		d := reserve(t, r, "web")
		must(t, os.MkdirAll(d.Path+sub, 0o700), d.Close())
		bind(d.Path + sub)
		at := removeAtMount(t, r)
		if _, err := r.Reserve("default", "web"); !errors.As(err, new(*MountError)) {
			t.Errorf("reserve over a mount at %s: got %v, want a MountError", sub, err)
		}
		must(t, unix.Unmount(at, 0), r.Remove("default", "web"))
	}
	d := reserve(t, r, "web") // a file may be a mount point too
	must(t, os.WriteFile(d.Path+"/manifest.yaml", nil, 0o600), unix.Mount("/tmp/outside/precious", d.Path+"/manifest.yaml", "", unix.MS_BIND, ""), d.Close())
	must(t, unix.Unmount(removeAtMount(t, r), 0), r.Remove("default", "web"))
	if got := contents(t, r.Path); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// removeAtMount wants Remove to refuse, and is the mount point that it names.
func removeAtMount(t *testing.T, r *Root) string {
	t.Helper()
	var at *MountError
	err := r.Remove("default", "web")
	if !errors.As(err, &at) {
		t.Fatalf("got %v, want a MountError", err)
	}
	return at.Path
}

// A name that is taken by something which podlab never made is refused, and left alone.
func TestForeignEntries(t *testing.T) {
	if !sandboxed(t) {
		return
	}
	r := newRoot(t)
	web := r.Path + "/default_web"
	plants := map[string]func() error{
		"a link":          func() error { return os.Symlink("/tmp/outside", web) },
		"a dangling link": func() error { return os.Symlink("/tmp/nowhere", web) },
		"a file":          func() error { return os.WriteFile(web, nil, 0o600) },
		"a fifo":          func() error { return unix.Mkfifo(web, 0o600) },
		"a lock that is a link": func() error {
			return errors.Join(os.Mkdir(web, 0o700), os.Symlink("/tmp/outside/precious", web+"/lock"))
		},
		"a lock that leads to new": func() error { return errors.Join(os.Mkdir(web, 0o700), os.Symlink("/tmp/outside/new", web+"/lock")) },
		"a lock that is a fifo":    func() error { return errors.Join(os.Mkdir(web, 0o700), unix.Mkfifo(web+"/lock", 0o600)) },
		"a lock that is a dir":     func() error { return os.MkdirAll(web+"/lock/sub", 0o700) },
		"a directory of others": func() error {
			if os.Chown("/tmp", 0, 0) == nil && os.Chown("/tmp/outside", 12, 12) != nil {
				return os.WriteFile(web, nil, 0o600) // a user namespace of one id has no others: the file again
			}
			return errors.Join(os.Chown("/tmp/outside", 0, 0), os.MkdirAll(web+"/sub", 0o700), os.Chown(web, 12, 12))
		},
	}
	for what, plant := range plants {
		must(t, plant())
		before := tree(t, web)
		_, err := r.Reserve("default", "web")
		err2 := r.Remove("default", "web")
		if err == nil || err2 == nil {
			t.Errorf("%s: reserve says %v, remove %v, want errors", what, err, err2)
		}
		if got := tree(t, web); got != before {
			t.Errorf("%s: got %s, want it untouched: %s", what, got, before)
		}
		if list, err := r.List(); err != nil || len(list) != 1 || list[0].Err == nil {
			t.Errorf("%s: list: got %+v, %v, want it listed with an error", what, list, err)
		}
		must(t, os.RemoveAll(web))
	}
}

func tree(t *testing.T, path string) string {
	var names []string
	must(t, filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		names = append(names, fmt.Sprint(p, d.Type()))
		return err
	}))
	return strings.Join(names, " ")
}

// A disk that is full, or read-only, makes one clear error and nothing half-built.
func TestFullAndReadOnly(t *testing.T) {
	if !sandboxed(t) {
		return
	}
	dir := t.TempDir()
	mount := func(flags uintptr, data string) {
		must(t, unix.Mount("podlab-test", dir, "tmpfs", flags, "mode=0700,"+data))
	}
	try := func(want error) {
		t.Helper()
		r, err := OpenRoot(dir)
		must(t, err)
		_, err = r.Reserve("default", "web")
		must(t, r.Close())
		if !errors.Is(err, want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("got %v, want %v on one line", err, want)
		}
		if got := contents(t, dir); got != "" {
			t.Errorf("left behind: %s", got)
		}
		must(t, unix.Unmount(dir, 0))
	}
	mount(0, "nr_inodes=1") // the root takes one; mkdir fails
	try(unix.ENOSPC)
	mount(0, "nr_inodes=2") // mkdir works, the lock file doesn't
	try(unix.ENOSPC)
	mount(unix.MS_RDONLY, "")
	try(unix.EROFS)
	if _, err := OpenRoot("/etc/podlab/new"); !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EACCES) {
		t.Errorf("got %v, want %v", err, unix.EROFS)
	}

	mount(0, "size=8k")
	r, err := OpenRoot(dir)
	must(t, err)
	d := reserve(t, r, "web")
	must(t, d.WriteState(State{Name: "old"}))
	if err := d.WriteState(State{Name: strings.Repeat("n", 20000)}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v, want %v", err, unix.ENOSPC)
	}
	if s, err := d.ReadState(); err != nil || s.Name != "old" || contents(t, d.Path) != "lock state.json" {
		t.Errorf("after a full disk: got state of %q, %v, and %s", s.Name, err, contents(t, d.Path))
	}
	must(t, d.Remove(), r.Close(), unix.Unmount(dir, 0))
}

// What the ids of a pod own, an ordinary user can't delete; a process in a user namespace with the pod's id map can.
func TestRemoveInIDMap(t *testing.T) {
	if arg := os.Getenv("PODLAB_AGAIN"); arg != "" {
		idMapChild(t, arg)
		return
	}
	if os.Getenv("PODLAB_SANDBOX") == "" {
		testenv.Need(t, "root", os.Geteuid() == 0, "only root can give a directory to another user")
		t.Run("root", func(t *testing.T) { sandbox(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) })
		return
	}
	enterSandbox(t)
	must(t, unix.MountSetattr(unix.AT_FDCWD, "/proc", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})) // for the id maps
	const user, subID = 1000, 100000
	path := "/tmp/podlab-1000"
	pod := path + "/default_web"
	vol := pod + "/volumes/data"
	must(t, os.MkdirAll(vol+"/theirs/sub", 0o700), os.WriteFile(vol+"/theirs/file", nil, 0o600), os.Mkdir(vol+"/empty", 0o700))
	must(t, filepath.WalkDir(path, func(p string, _ fs.DirEntry, _ error) error { return os.Chown(p, user, user) }))
	for _, p := range []string{"/theirs", "/theirs/sub", "/theirs/file", "/empty"} {
		must(t, os.Chown(vol+p, subID+69, subID+69))
	}
	run := func(want string, attr *syscall.SysProcAttr, files ...*os.File) {
		t.Helper()
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestRemoveInIDMap$")
		cmd.Env = append(os.Environ(), "PODLAB_AGAIN="+path)
		cmd.SysProcAttr, cmd.ExtraFiles = attr, files
		if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), want) || (want == "PASS") != (err == nil) {
			t.Errorf("got %s, %v, want %s", out, err, want)
		}
	}
	asUser := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	run(vol+"/theirs belongs to user 100069", asUser)
	dir, err := os.Open(pod) // what Dir.Fd() is
	must(t, err)
	run("PASS", &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}, {ContainerID: 1, HostID: subID, Size: 65535}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}, {ContainerID: 1, HostID: subID, Size: 65535}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}, dir)
	if got := contents(t, pod); got != "lock" {
		t.Errorf("emptied by the pod's root: got %s, want lock", got)
	}
	run("PASS", asUser)
	if got := contents(t, path); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func idMapChild(t *testing.T, path string) {
	if os.Geteuid() == 0 {
		must(t, EmptyDir(3, path, lockFile))
		return
	}
	r, err := OpenRoot(path)
	must(t, err)
	if err := r.Remove("default", "web"); err != nil {
		var foreign *ForeignError
		if !errors.As(err, &foreign) {
			t.Errorf("not a ForeignError")
		}
		t.Fatal(err)
	}
}
