package pod

import (
	"fmt"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// Flags of mounts that hold no programs and no devices.
const inert = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// rootfsDir is the directory given with --rootfs, or "".
func (pl *planner) rootfsDir() string {
	if pl.opts.Rootfs == "host" {
		return ""
	}
	return pl.opts.Rootfs
}

// planRoot gives the container a root of its own and what every Linux program
// expects there, and makes it the root. The mounts that need no name of the old
// root any more come after pivot_root: what they are called is then looked up in
// the new root, and no symbolic link in it can lead out.
func (pl *planner) planRoot(c *spec.Container, in *steps) {
	if pl.rootfsDir() != "" {
		pl.overlayRoot(in)
	} else {
		pl.toolboxRoot(c, in)
	}
	in.add("root.pivot", ns.PivotRoot{})
	pl.proc(in)
	pl.dev(in)
	pl.sys(in)
	if pl.rootfsDir() == "" {
		pl.toolboxEtc(c, in)
	}
}

// toolboxRoot is the root of a container without an image: an empty tmpfs, and
// in it this machine's /usr, read-only.
func (pl *planner) toolboxRoot(c *spec.Container, in *steps) {
	in.add("root.mount", ns.Mount{Source: "root", Target: "root", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=755" + pl.owner()})
	in.add("root.chdir", ns.Chdir{Path: "root"})
	dirs := []struct {
		name string
		mode uint32
	}{{"usr", 0o755}, {"etc", 0o755}, {"tmp", 0o1777}, {"run", 0o755}, {"var", 0o755}, {"var/tmp", 0o1777}, {"home", 0o755},
		{"root", 0o700}, {"opt", 0o755}, {"opt/podlab", 0o755}, {"proc", 0o755}, {"dev", 0o755}, {"sys", 0o755}}
	for _, d := range dirs {
		in.add("root.dir", ns.Mkdir{Path: d.name, Mode: d.mode})
	}
	in.add("usr.mount", ns.MoveTree{Name: "usr", Target: "usr"})
	for _, d := range rootDirs {
		switch target, ok := pl.host.Links[d]; {
		case ok && target != "":
			in.add("root.link", ns.Symlink{Target: target, Link: d})
		case ok:
			in.add("root.dir", ns.Mkdir{Path: d, Mode: 0o755})
			in.add("usr.mount", ns.MoveTree{Name: d, Target: d})
		}
	}
	in.add("root.link", ns.Symlink{Target: "/run", Link: "var/run"})
}

// openToolbox takes copies of what the toolbox root shows of this machine.
func (pl *planner) openToolbox(in *steps) {
	attr := uint64(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV)
	in.add("usr.open", ns.OpenTree{Path: "/usr", Name: "usr", Attr: attr})
	for _, d := range rootDirs {
		if target, ok := pl.host.Links[d]; ok && target == "" {
			in.add("usr.open", ns.OpenTree{Path: "/" + d, Name: d, Attr: attr})
		}
	}
	for _, f := range pl.host.Etc {
		in.add("etc.open["+f+"]", ns.OpenTree{Path: "/etc/" + f, Name: "etc/" + f, Attr: attr | unix.MOUNT_ATTR_NOEXEC})
	}
	in.add("podlab.open", ns.OpenTree{Path: "podlab", Name: "podlab"})
}

// toolboxEtc writes the few files of /etc that programs can't do without, and
// puts podlab on the PATH.
func (pl *planner) toolboxEtc(c *spec.Container, in *steps) {
	u := userOf(pl.pod, c)
	in.add("etc.write[passwd]", ns.WriteFile{Path: "/etc/passwd", Data: passwd(u, pl.host.Users[u.UID]), Create: true, Mode: 0o644})
	in.add("etc.write[group]", ns.WriteFile{Path: "/etc/group", Data: group(u), Create: true, Mode: 0o644})
	in.add("etc.write[nsswitch.conf]", ns.WriteFile{Path: "/etc/nsswitch.conf", Data: "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n", Create: true, Mode: 0o644})
	for _, f := range pl.host.Etc {
		target := "/etc/" + f
		if pl.etcIsDir(f) {
			in.add("etc.dir", ns.MkdirAll{Path: target, Mode: 0o755})
		} else {
			in.add("etc.file["+f+"]", ns.Touch{Path: target})
		}
		in.add("etc.mount["+f+"]", ns.MoveTree{Name: "etc/" + f, Target: target})
	}
	in.add("podlab.file", ns.Touch{Path: "/opt/podlab/podlab"})
	in.add("podlab.mount", ns.MoveTree{Name: "podlab", Target: "/opt/podlab/podlab"})
}

// etcIsDir: which of toolboxEtc are directories, on every distribution.
func (pl *planner) etcIsDir(f string) bool {
	switch f {
	case "alternatives", "ssl/certs", "ca-certificates", "terminfo":
		return true
	}
	return false
}

func passwd(u user, name string) string {
	s := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	if u.UID != 0 && u.UID != 65534 {
		if name == "" || name == "root" || name == "nobody" {
			name = "user"
		}
		s += fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", name, u.UID, u.GID)
	}
	return s
}

func group(u user) string {
	gids := map[int]string{0: "root", 5: "tty", 65534: "nogroup"}
	for _, g := range append([]int{u.GID}, u.Groups...) {
		if gids[g] == "" {
			gids[g] = fmt.Sprintf("group%d", g)
		}
	}
	var order []int
	for g := range gids {
		order = append(order, g)
	}
	sort.Ints(order)
	var b strings.Builder
	for _, g := range order {
		fmt.Fprintf(&b, "%s:x:%d:\n", gids[g], g)
	}
	return b.String()
}

// overlayRoot is the root of a container with --rootfs DIR: the directory,
// read-only, under a writable layer that is the container's own and gone with
// it, as an image's is.
func (pl *planner) overlayRoot(in *steps) {
	in.add("root.mount", ns.Mount{Source: "root", Target: "root", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=755" + pl.owner()})
	for _, d := range []string{"root/upper", "root/work", "root/merged"} {
		in.add("root.dir", ns.Mkdir{Path: d, Mode: 0o755})
	}
	opts := "lowerdir=rootfs,upperdir=root/upper,workdir=root/work"
	if pl.ids != nil {
		opts += ",userxattr" // the other kind of attribute is refused in a user namespace
	}
	in.add("root.overlay", ns.Mount{Source: "overlay", Target: "root/merged", Type: "overlay", Flags: unix.MS_NODEV, Data: opts})
	in.add("root.chdir", ns.Chdir{Path: "root/merged"})
	for _, d := range []string{"proc", "dev", "sys"} {
		in.add("root.dir", ns.Mkdir{Path: d, Mode: 0o755})
		in.add("root.real", ns.RealDir{Path: d})
	}
}

// hostOnly: a kind of namespace that the pod shares with the host, which a user
// namespace of the pod's own has no power over. A file system that shows it
// can't be mounted anew then (EPERM), only the host's be shown again.
func (pl *planner) hostOnly(k ns.Kind) bool { return pl.shares(k) && pl.ids != nil }

// proc shows the processes of the container's PID namespace.
func (pl *planner) proc(in *steps) {
	if pl.hostOnly(ns.PID) {
		in.add("proc.place", ns.MoveTree{Name: "proc", Target: "/proc"})
		return
	}
	in.add("proc.mount", ns.Mount{Source: "proc", Target: "/proc", Type: "proc", Flags: inert})
}

// devices are the six that every container gets.
var devices = [...]struct {
	name         string
	major, minor uint32
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

func (pl *planner) dev(in *steps) {
	in.add("dev.mount", ns.Mount{Source: "tmpfs", Target: "/dev", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_STRICTATIME, Data: "mode=755,size=65536k" + pl.owner()})
	for _, d := range devices {
		path := "/dev/" + d.name
		if pl.ids == nil {
			in.add("dev.node["+d.name+"]", ns.Mknod{Path: path, Mode: 0o666, Major: d.major, Minor: d.minor})
			continue
		}
		in.add("dev.file["+d.name+"]", ns.Touch{Path: path})
		in.add("dev.place["+d.name+"]", ns.MoveTree{Name: "dev/" + d.name, Target: path})
	}
	for _, l := range [...][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"}, {"/proc/kcore", "core"}} {
		in.add("dev.link["+l[1]+"]", ns.Symlink{Target: l[0], Link: "/dev/" + l[1]})
	}
	for _, d := range []string{"/dev/pts", "/dev/mqueue", "/dev/shm"} {
		in.add("dev.dir", ns.Mkdir{Path: d, Mode: 0o755})
	}
	gid := ",gid=5"
	if pl.single() {
		gid = "" // no such group here
	}
	in.add("devpts.mount", ns.Mount{Source: "devpts", Target: "/dev/pts", Type: "devpts", Flags: unix.MS_NOSUID | unix.MS_NOEXEC, Data: "newinstance,ptmxmode=0666,mode=0620" + gid})
	switch {
	case !pl.hostOnly(ns.IPC):
		in.add("mqueue.mount", ns.Mount{Source: "mqueue", Target: "/dev/mqueue", Type: "mqueue", Flags: inert})
	case pl.host.Mqueue:
		in.add("mqueue.place", ns.MoveTree{Name: "mqueue", Target: "/dev/mqueue"})
	}
	in.add("shm.place", ns.MoveTree{Name: "shm", Target: "/dev/shm"})
}

// sys is read-only: most of it belongs to the machine, not to the pod.
func (pl *planner) sys(in *steps) {
	if pl.hostOnly(ns.Net) {
		in.add("sys.place", ns.MoveTree{Name: "sys", Target: "/sys"})
		return
	}
	in.add("sys.mount", ns.Mount{Source: "sysfs", Target: "/sys", Type: "sysfs", Flags: inert | unix.MS_RDONLY})
}

// openHost takes copies of those file systems that can't be mounted anew.
func (pl *planner) openHost(in *steps) {
	if pl.hostOnly(ns.PID) {
		in.add("proc.open", ns.OpenTree{Path: "/proc", Name: "proc"})
	}
	if pl.hostOnly(ns.Net) {
		in.add("sys.open", ns.OpenTree{Path: "/sys", Name: "sys", Attr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC})
	}
	if pl.hostOnly(ns.IPC) && pl.host.Mqueue {
		in.add("mqueue.open", ns.OpenTree{Path: "/dev/mqueue", Name: "mqueue"})
	}
	if pl.ids != nil {
		for _, d := range devices {
			in.add("dev.open["+d.name+"]", ns.OpenTree{Path: "/dev/" + d.name, Name: "dev/" + d.name})
		}
	}
}

// What of /proc and /sys tells of the machine, or changes it: the lists of
// Kubernetes (pkg/securitycontext).
var (
	maskedFiles = [...]string{"/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug"}
	maskedDirs  = [...]string{"/proc/asound", "/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
	readOnly    = [...]string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// maskPaths hides and protects them.
func (pl *planner) maskPaths(in *steps) {
	for _, p := range maskedFiles {
		in.add("mask.file["+p+"]", ns.Mount{Source: "/dev/null", Target: p, Flags: unix.MS_BIND, Optional: true})
	}
	for _, p := range maskedDirs {
		in.add("mask.dir["+p+"]", ns.Mount{Source: "tmpfs", Target: p, Type: "tmpfs", Flags: unix.MS_RDONLY | inert, Data: "size=0", Optional: true})
	}
	for _, p := range readOnly {
		in.add("mask.readonly["+p+"]", ns.ReadOnly{Path: p, Flags: inert})
	}
}
