package ns

import (
	"fmt"
	"path"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mkdir is mkdir(2). A directory that is there already is no failure.
type Mkdir struct {
	Path string
	Mode uint32
}

func (m Mkdir) Calls(t *Table) {
	t.call(unix.SYS_MKDIRAT, num(atCWD), t.str(m.Path), num(m.Mode)).unless(0, unix.EEXIST)
}

func (m Mkdir) Shell() string { return fmt.Sprintf("mkdir -p -m %#o %s", m.Mode, Quote(m.Path)) }

// MkdirAll makes Path and what is missing above it.
type MkdirAll struct {
	Path string
	Mode uint32
}

func (m MkdirAll) Calls(t *Table) {
	for i := 1; i <= len(m.Path); i++ {
		if i == len(m.Path) || m.Path[i] == '/' {
			// EROFS comes before EEXIST on some file systems.
			t.call(unix.SYS_MKDIRAT, num(atCWD), t.str(m.Path[:i]), num(m.Mode)).unless(0, unix.EEXIST, unix.EROFS)
		}
	}
}

func (m MkdirAll) Shell() string { return "mkdir -p " + Quote(m.Path) }

// MkdirIn makes Path below Dir, with what is missing above it. Symbolic links
// in Path lead nowhere but below Dir: each parent is resolved by openat2(2)
// with RESOLVE_IN_ROOT, and mkdirat(2) doesn't follow the last name.
type MkdirIn struct {
	Dir, Path string
	Mode      uint32
}

func (m MkdirIn) Calls(t *Table) {
	open := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	how := t.block(bytesOf(&open))
	root, at := t.newReg(), t.newReg()
	t.call(unix.SYS_OPENAT, num(atCWD), t.str(m.Dir), num(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), num(0)).to(root)
	parent, names := ".", strings.Split(strings.Trim(m.Path, "/"), "/")
	for i, name := range names {
		t.call(unix.SYS_OPENAT2, root, t.str(parent), how, num(unsafe.Sizeof(open))).to(at)
		t.call(unix.SYS_MKDIRAT, at, t.str(name), num(m.Mode)).unless(0, unix.EEXIST, unix.EROFS)
		t.call(unix.SYS_CLOSE, at)
		parent = strings.Join(names[:i+1], "/")
	}
	t.free(at)
	t.close(root)
}

func (m MkdirIn) Shell() string {
	at := Quote(strings.TrimPrefix(path.Join(m.Dir, m.Path), "./"))
	if m.Dir == "." {
		at = Quote("/" + strings.Trim(m.Path, "/"))
	}
	return "[ -e " + at + " ] || mkdir -p " + at
}

// Touch makes an empty file to mount something on, if nothing is there:
// mknod(2), which unlike open(2) neither follows a link nor waits for a FIFO.
type Touch struct{ Path string }

func (f Touch) Calls(t *Table) {
	t.call(unix.SYS_MKNODAT, num(atCWD), t.str(f.Path), num(unix.S_IFREG|0o644), num(0)).unless(0, unix.EEXIST)
}

func (f Touch) Shell() string { return "[ -e " + Quote(f.Path) + " ] || : > " + Quote(f.Path) }

// TouchIn is Touch of a file below the current directory, as MkdirIn makes
// directories.
type TouchIn struct{ Path string }

func (f TouchIn) Calls(t *Table) {
	at := t.newReg()
	t.insideRoot(path.Dir(f.Path), unix.O_PATH|unix.O_DIRECTORY).to(at)
	t.call(unix.SYS_MKNODAT, at, t.str(path.Base(f.Path)), num(unix.S_IFREG|0o644), num(0)).unless(0, unix.EEXIST)
	t.close(at)
}

func (f TouchIn) Shell() string { return Touch(f).Shell() }

// ChdirIn is fchdir(2) to a directory found by insideRoot.
type ChdirIn struct{ Path string }

func (c ChdirIn) Calls(t *Table) {
	at := t.newReg()
	t.insideRoot(c.Path, unix.O_PATH|unix.O_DIRECTORY).to(at)
	t.call(unix.SYS_FCHDIR, at)
	t.close(at)
}

func (c ChdirIn) Shell() string { return "cd " + Quote(c.Path) }

// WriteFile opens Path, writes Data in one write(2) and closes it: files of
// /proc take a value whole or not at all. With Create the file is made, or
// emptied, with Mode.
type WriteFile struct {
	Path   string
	Data   string
	Create bool
	Mode   uint32
}

func (w WriteFile) Calls(t *Table) {
	flags := unix.O_WRONLY | unix.O_CLOEXEC
	if w.Create {
		flags |= unix.O_CREAT | unix.O_TRUNC
	}
	fd := t.newReg()
	t.call(unix.SYS_OPENAT, num(atCWD), t.str(w.Path), num(flags), num(w.Mode)).to(fd)
	if w.Data != "" {
		t.call(unix.SYS_WRITE, fd, t.str(w.Data), num(len(w.Data)))
	}
	t.close(fd)
}

func (w WriteFile) Shell() string {
	s := "printf " + printfWords(w.Data) + " > " + Quote(w.Path)
	if w.Create {
		s += fmt.Sprintf("; chmod %#o %s", w.Mode, Quote(w.Path))
	}
	return s
}

// Symlink is symlink(2): Link will lead to Target.
type Symlink struct{ Target, Link string }

func (s Symlink) Calls(t *Table) {
	t.call(unix.SYS_SYMLINKAT, t.str(s.Target), num(atCWD), t.str(s.Link))
}

func (s Symlink) Shell() string { return "ln -s " + Quote(s.Target) + " " + Quote(s.Link) }

// Mknod makes a character device, mknod(2). The kernel allows it only outside
// user namespaces: EPERM.
type Mknod struct {
	Path         string
	Mode         uint32
	Major, Minor uint32
}

func (m Mknod) Calls(t *Table) {
	t.call(unix.SYS_MKNODAT, num(atCWD), t.str(m.Path), num(unix.S_IFCHR|m.Mode), num(unix.Mkdev(m.Major, m.Minor)))
}

func (m Mknod) Shell() string {
	return fmt.Sprintf("mknod -m %#o %s c %d %d", m.Mode, Quote(m.Path), m.Major, m.Minor)
}

// Chown is chown(2), not following a symbolic link.
type Chown struct {
	Path     string
	UID, GID int
}

func (c Chown) Calls(t *Table) {
	t.call(unix.SYS_FCHOWNAT, num(atCWD), t.str(c.Path), num(uint32(c.UID)), num(uint32(c.GID)), num(unix.AT_SYMLINK_NOFOLLOW))
}

func (c Chown) Shell() string {
	if c.UID < 0 {
		return fmt.Sprintf("chgrp -h %d %s", c.GID, Quote(c.Path))
	}
	return fmt.Sprintf("chown -h %d:%d %s", c.UID, c.GID, Quote(c.Path))
}

// Chmod is chmod(2).
type Chmod struct {
	Path string
	Mode uint32
}

func (c Chmod) Calls(t *Table) {
	t.call(unix.SYS_FCHMODAT, num(atCWD), t.str(c.Path), num(c.Mode))
}

func (c Chmod) Shell() string { return fmt.Sprintf("chmod %#o %s", c.Mode, Quote(c.Path)) }

// Chdir is chdir(2).
type Chdir struct{ Path string }

func (c Chdir) Calls(t *Table) { t.call(unix.SYS_CHDIR, t.str(c.Path)) }
func (c Chdir) Shell() string  { return "cd " + Quote(c.Path) }

// Umask is umask(2): the permission bits that new files don't get.
type Umask struct{ Mask uint32 }

func (u Umask) Calls(t *Table) { t.call(unix.SYS_UMASK, num(u.Mask)) }
func (u Umask) Shell() string  { return fmt.Sprintf("umask %03o", u.Mask) }

// Stdio makes the descriptors that came with the order to start standard
// input, output and error, and closes every other one at execve, whoever left
// it open: close_range(2).
type Stdio struct{}

func (Stdio) Calls(t *Table) {
	for fd := range 3 {
		t.call(unix.SYS_DUP3, arg{'r', uint64(regStdin + fd)}, num(fd), num(0))
	}
	t.call(unix.SYS_CLOSE_RANGE, num(3), num(^uint32(0)), num(unix.CLOSE_RANGE_CLOEXEC))
}

func (Stdio) Shell() string {
	return "# dup3(2): standard input, output, error; close_range(2) on the rest"
}

// StageStdio gives the pod stage what Stdio gives a container, and its socket as
// descriptor 3.
type StageStdio struct{}

func (StageStdio) Calls(t *Table) {
	for fd, reg := range [...]uint64{regStdout, regStderr, regStderr, regStdin} {
		t.call(unix.SYS_DUP3, arg{'r', reg}, num(fd), num(0))
	}
	t.call(unix.SYS_CLOSE_RANGE, num(4), num(^uint32(0)), num(unix.CLOSE_RANGE_CLOEXEC))
}

func (StageStdio) Shell() string {
	return "# dup3(2): the socket to the supervisor; close_range(2) on the rest"
}

// Exec is execve(2). A Path without a slash is looked for in the directories of
// PATH in Env, as execvp(3) does it.
type Exec struct {
	Path string
	Args []string // with the name of the program first
	Env  []string
}

// Candidates are the files that Exec tries, in order.
func (e Exec) Candidates() []string {
	if strings.Contains(e.Path, "/") {
		return []string{e.Path}
	}
	dirs := ""
	for _, v := range e.Env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			dirs = p
		}
	}
	var files []string
	for _, dir := range strings.Split(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		files = append(files, dir+"/"+e.Path)
	}
	return files
}

func (e Exec) Calls(t *Table) {
	args, env := t.list(e.Args), t.list(e.Env)
	files := e.Candidates()
	for i, f := range files {
		c := t.call(unix.SYS_EXECVE, t.str(f), args, env)
		if i < len(files)-1 {
			c.unless(0, unix.ENOENT, unix.EACCES, unix.ENOTDIR)
		}
	}
}

func (e Exec) Shell() string {
	var b strings.Builder
	b.WriteString("exec $P -- env --default-signal -i") // sh starts what is in the background with SIGINT ignored
	for _, w := range append(append([]string{}, e.Env...), e.Args...) {
		b.WriteString(" " + Quote(w))
	}
	return b.String()
}

// OpenFile opens a file to be named by its descriptor later: openat(2) with O_PATH.
type OpenFile struct {
	Path string
	Name string
}

func (o OpenFile) Calls(t *Table) {
	t.call(unix.SYS_OPENAT, num(atCWD), t.str(o.Path), num(unix.O_PATH|unix.O_CLOEXEC), num(0)).to(t.named(o.Name))
}

func (o OpenFile) Shell() string { return "# openat(2) of " + Quote(o.Path) + ", for execveat(2)" }

// ExecFile is execveat(2) of what OpenFile opened under Name, wherever that lies:
// in the container or not.
type ExecFile struct {
	Name string
	Args []string
	Env  []string
}

func (e ExecFile) Calls(t *Table) {
	t.call(unix.SYS_EXECVEAT, t.named(e.Name), t.str(""), t.list(e.Args), t.list(e.Env), num(unix.AT_EMPTY_PATH))
}

func (e ExecFile) Shell() string { return "# execveat(2) of " + Quote(e.Name) }
