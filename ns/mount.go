package ns

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mount is mount(2): a new file system of Type, or with MS_BIND, MS_REMOUNT or
// a propagation flag a change to one that is there.
type Mount struct {
	Source, Target, Type string
	Flags                uintptr // MS_…
	Data                 string  // options of the file system, comma separated
	Optional             bool    // no failure if Target isn't there
}

func (m Mount) Calls(t *Table) {
	src := t.opt(m.Source)
	c := t.call(unix.SYS_MOUNT, src, t.str(m.Target), t.opt(m.Type), num(m.Flags), t.opt(m.Data))
	if m.Optional {
		c.unless(0, unix.ENOENT)
	}
}

func (m Mount) Shell() string {
	switch m.Flags &^ unix.MS_REC {
	case unix.MS_PRIVATE:
		return "mount --make-" + recursive("private", m.Flags) + " " + Quote(m.Target)
	case unix.MS_BIND:
		return or(m.Optional, m.Target, "mount --"+recursive("bind", m.Flags)+" "+Quote(m.Source)+" "+Quote(m.Target))
	}
	opts := mountOptions(m.Flags &^ (unix.MS_BIND | unix.MS_REC | unix.MS_REMOUNT))
	if m.Data != "" {
		opts = append(opts, m.Data)
	}
	if m.Flags&unix.MS_REMOUNT != 0 {
		return or(m.Optional, m.Target, "mount -o "+Quote(strings.Join(append([]string{"remount", "bind"}, opts...), ","))+" "+Quote(m.Target))
	}
	o := ""
	if len(opts) > 0 {
		o = " -o " + Quote(strings.Join(opts, ","))
	}
	return or(m.Optional, m.Target, "mount -t "+m.Type+o+" "+Quote(m.Source)+" "+Quote(m.Target))
}

func recursive(word string, flags uintptr) string {
	if flags&unix.MS_REC != 0 {
		return "r" + word
	}
	return word
}

// or guards a command by the existence of target where it is optional.
func or(optional bool, target, command string) string {
	if optional {
		return "if [ -e " + Quote(target) + " ]; then " + command + "; fi"
	}
	return command
}

// OpenTree takes a copy of the mount at Path in hand, without a place yet:
// open_tree(2) with OPEN_TREE_CLONE. MoveTree gives it one, later, when Path
// can't be seen any more. Between the two nothing is looked up by name twice,
// so nobody can swap a symbolic link in.
type OpenTree struct {
	Path string
	Name string // what MoveTree calls it
	Attr uint64 // MOUNT_ATTR_… for it and what is mounted below
}

func (o OpenTree) Calls(t *Table) {
	fd := t.named(o.Name)
	// Recursive, or the kernel refuses (EINVAL) where mounts below Path were
	// inherited from a more privileged mount namespace: mount_namespaces(7).
	t.call(unix.SYS_OPEN_TREE, num(atCWD), t.str(o.Path), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).to(fd)
	t.setAttr(fd, o.Attr)
}

// setAttr is mount_setattr(2) on the tree fd and everything mounted in it. It
// only adds attributes: those that a mount brought along, perhaps locked, stay.
func (t *Table) setAttr(fd arg, attrs uint64) {
	if attrs != 0 {
		attr := unix.MountAttr{Attr_set: attrs}
		t.call(unix.SYS_MOUNT_SETATTR, fd, t.str(""), num(unix.AT_EMPTY_PATH|unix.AT_RECURSIVE), t.block(bytesOf(&attr)), num(unsafe.Sizeof(attr)))
	}
}

func (o OpenTree) Shell() string {
	return strings.TrimSuffix("tree "+Quote(o.Name)+" "+Quote(o.Path)+" "+strings.Join(attrOptions(o.Attr), ","), " ")
}

// MoveTree gives the mount that OpenTree took its place at Target: move_mount(2).
// Target is found by insideRoot.
type MoveTree struct {
	Name   string
	Target string
}

func (m MoveTree) Calls(t *Table) {
	fd, at := t.named(m.Name), t.newReg()
	t.insideRoot(m.Target, unix.O_PATH).to(at)
	t.call(unix.SYS_MOVE_MOUNT, fd, t.str(""), at, t.str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
	t.close(at)
	t.close(fd)
}

// insideRoot opens a path as if the current directory were the root: openat2(2)
// with RESOLVE_IN_ROOT. Somebody else may have made what is there, so symbolic
// links must not lead out of it, and those of /proc, which lead anywhere
// (/proc/1/root is the pod stage's), not be followed at all.
func (t *Table) insideRoot(path string, flags uint64) *call {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	return t.call(unix.SYS_OPENAT2, num(atCWD), t.str(path), t.block(bytesOf(&how)), num(unsafe.Sizeof(how)))
}

func (m MoveTree) Shell() string { return "place " + Quote(m.Name) + " " + Quote(m.Target) }

// Subtree opens Path below the mount that the OpenTree named Tree took, whatever
// symbolic links there are in Path (openat2(2), RESOLVE_IN_ROOT), and takes a
// copy of that part only: how subPath is mounted.
type Subtree struct {
	Tree, Path string
	Name       string // what MoveTree calls it
	Attr       uint64 // MOUNT_ATTR_…, as of OpenTree
}

func (s Subtree) Calls(t *Table) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	at, fd := t.newReg(), t.named(s.Name)
	t.call(unix.SYS_OPENAT2, t.named(s.Tree), t.str(s.Path), t.block(bytesOf(&how)), num(unsafe.Sizeof(how))).to(at)
	t.call(unix.SYS_OPEN_TREE, at, t.str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_EMPTY_PATH)).to(fd)
	t.setAttr(fd, s.Attr)
	t.close(at)
	t.close(t.named(s.Tree))
}

func (s Subtree) Shell() string {
	return strings.TrimSuffix("subtree "+Quote(s.Name)+" "+Quote(s.Tree)+" "+Quote(s.Path)+" "+strings.Join(attrOptions(s.Attr), ","), " ")
}

// PivotRoot makes the current directory, which must be a mount, the root, and
// hangs the old root over it: pivot_root(2) with "." twice. The old root is
// still in the mount namespace, and must be while a user namespace mounts proc
// and sysfs (the kernel gives those only to a mount namespace that shows them
// in full already), but no name leads to it any more. Unlike after chroot(2),
// nothing can climb back once it is unmounted.
type PivotRoot struct{}

func (PivotRoot) Calls(t *Table) {
	dot := t.str(".")
	t.call(unix.SYS_PIVOT_ROOT, dot, dot)
}

func (PivotRoot) Shell() string { return "pivot_root . ." }

// Unmount is umount2(2) of Target with MNT_DETACH.
type Unmount struct{ Target string }

func (u Unmount) Calls(t *Table) {
	t.call(unix.SYS_UMOUNT2, t.str(u.Target), num(unix.MNT_DETACH))
}

func (u Unmount) Shell() string { return "umount -l " + Quote(u.Target) }

// ReadOnly makes Path, a file or directory of a file system whose other part
// stays writable, read-only: a mount of it on itself. Flags says what else the
// mount has, which a remount must name or lose (and in a user namespace may not
// lose: EPERM, mount_namespaces(7)). Absent paths are left alone.
type ReadOnly struct {
	Path  string
	Flags uintptr
}

func (r ReadOnly) Calls(t *Table) {
	p := t.str(r.Path)
	t.call(unix.SYS_MOUNT, p, p, num(0), num(unix.MS_BIND|unix.MS_REC), num(0)).unless(1, unix.ENOENT)
	t.call(unix.SYS_MOUNT, num(0), p, num(0), num(unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|r.Flags), num(0))
}

func (r ReadOnly) Shell() string {
	p := Quote(r.Path)
	return or(true, r.Path, "mount --rbind "+p+" "+p+" && mount -o "+strings.Join(append([]string{"remount", "bind"}, mountOptions(unix.MS_RDONLY|r.Flags)...), ",")+" "+p)
}

// RealDir fails with ELOOP if Path is, or leads through, a symbolic link: what
// is mounted there must not land elsewhere in a root somebody else made
// (CVE-2019-19921).
type RealDir struct{ Path string }

func (r RealDir) Calls(t *Table) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd := t.newReg()
	t.call(unix.SYS_OPENAT2, num(atCWD), t.str(r.Path), t.block(bytesOf(&how)), num(unsafe.Sizeof(how))).to(fd)
	t.close(fd)
}

func (r RealDir) Shell() string {
	return "[ -d " + Quote(r.Path) + " ] && [ ! -L " + Quote(r.Path) + " ]"
}

// atCWD is AT_FDCWD as a register holds it.
const atCWD = ^uintptr(99) // -100

func bytesOf[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }
