package ns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Kind is one of the eight kinds of namespace, namespaces(7). Kinds are
// numbered in the order in which clone(2) makes them: the user namespace
// comes first, because it owns the others made by the same call.
type Kind uint8

const (
	User   Kind = iota // user and group ids, capabilities: user_namespaces(7)
	Mnt                // the mount table: mount_namespaces(7)
	UTS                // host and NIS domain name: uts_namespaces(7)
	IPC                // System V IPC and POSIX message queues: ipc_namespaces(7)
	PID                // process ids: pid_namespaces(7)
	Net                // interfaces, addresses, ports, abstract sockets: network_namespaces(7)
	Cgroup             // what /proc/PID/cgroup calls the root: cgroup_namespaces(7)
	Time               // offsets of the monotonic and boot-time clocks: time_namespaces(7)
)

// kinds has a row per Kind. The names are those in /proc/PID/ns, where the
// mount namespace is "mnt"; the flags those of clone(2).
var kinds = [...]struct {
	name string
	flag uintptr
}{
	User:   {"user", unix.CLONE_NEWUSER},
	Mnt:    {"mnt", unix.CLONE_NEWNS},
	UTS:    {"uts", unix.CLONE_NEWUTS},
	IPC:    {"ipc", unix.CLONE_NEWIPC},
	PID:    {"pid", unix.CLONE_NEWPID},
	Net:    {"net", unix.CLONE_NEWNET},
	Cgroup: {"cgroup", unix.CLONE_NEWCGROUP},
	// Bit 7 lies within the exit signal of clone(2): only clone3(2) and
	// unshare(2) take this one.
	Time: {"time", unix.CLONE_NEWTIME},
}

// AllKinds returns every Kind in order.
func AllKinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// ParseKind returns the Kind with that name in /proc/PID/ns.
func ParseKind(name string) (Kind, bool) {
	for k, row := range kinds {
		if row.name == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// String is the name in /proc/PID/ns: user mnt uts ipc pid net cgroup time.
func (k Kind) String() string {
	if int(k) >= len(kinds) {
		return "kind" + strconv.Itoa(int(k))
	}
	return kinds[k].name
}

// Flag is the CLONE_NEW… bit of clone3(2), unshare(2) and setns(2).
func (k Kind) Flag() uintptr {
	return kinds[k].flag
}

// Kinds is a set of namespaces.
type Kinds uint16

// Of returns the set of those kinds.
func Of(ks ...Kind) Kinds {
	return Kinds(0).With(ks...)
}

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool {
	return s&(1<<k) != 0
}

// With returns the set with those kinds added.
func (s Kinds) With(ks ...Kind) Kinds {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

// Without returns the set with those kinds taken out.
func (s Kinds) Without(ks ...Kind) Kinds {
	for _, k := range ks {
		s &^= 1 << k
	}
	return s
}

// List returns the members in order.
func (s Kinds) List() []Kind {
	var ks []Kind
	for _, k := range AllKinds() {
		if s.Has(k) {
			ks = append(ks, k)
		}
	}
	return ks
}

// Flags are the CLONE_NEW… bits of the set.
func (s Kinds) Flags() uintptr {
	var flags uintptr
	for _, k := range s.List() {
		flags |= k.Flag()
	}
	return flags
}

// String is the members' names with commas between them.
func (s Kinds) String() string {
	ks := s.List()
	names := make([]string, len(ks))
	for i, k := range ks {
		names[i] = k.String()
	}
	return strings.Join(names, ",")
}

// Inspect returns the inode number of every namespace that process pid is in;
// equal numbers are the same namespace (namespaces(7), "The /proc/pid/ns/
// directory"). Pid 0 is the calling thread. A kind that this kernel was built
// without is missing from the result.
//
// The entries pid_for_children and time_for_children are not looked at: they
// say where the next child will be, not where the process is.
//
// The error is os.ErrNotExist for no such process, os.ErrProcessDone for one
// that has ended and was not waited for, and os.ErrPermission where ptrace(2)
// would not let the caller read it (PTRACE_MODE_READ_FSCREDS).
func Inspect(pid int) (map[Kind]uint64, error) {
	inodes := make(map[Kind]uint64, len(kinds))
	for _, k := range AllKinds() {
		link, err := os.Readlink(procNS(pid, k))
		if errors.Is(err, os.ErrNotExist) {
			continue // this kernel lacks the kind, or the process is gone: see below
		}
		if err != nil {
			return nil, err
		}
		if inodes[k], err = parseLink(k, link); err != nil {
			return nil, err
		}
	}
	// The mount namespace isn't optional in any kernel, but a process gives
	// its namespaces up (all but user and pid) when it becomes a zombie.
	if _, ok := inodes[Mnt]; !ok {
		if _, err := os.Stat(procDir(pid)); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("readlink %s: %w", procNS(pid, Mnt), os.ErrProcessDone)
	}
	return inodes, nil
}

// Owner returns the inode number of the user namespace that owns pid's
// namespace of kind k: capabilities over the one are those held in the other.
// It is os.ErrPermission if the owner is outside the caller's user namespace
// and its descendants, ioctl_ns(2). The owner of a user namespace is its
// parent.
func Owner(pid int, k Kind) (uint64, error) {
	return related(pid, k, unix.NS_GET_USERNS, "NS_GET_USERNS")
}

// Parent returns the inode number of the parent of pid's namespace. Only PID
// and user namespaces have parents; the others are syscall.EINVAL. It is
// os.ErrPermission for the parent of the outermost namespace in sight,
// ioctl_ns(2).
func Parent(pid int, k Kind) (uint64, error) {
	return related(pid, k, unix.NS_GET_PARENT, "NS_GET_PARENT")
}

// OwnerUID returns the user who made pid's user namespace, as a uid in the
// caller's user namespace (ioctl_ns(2), NS_GET_OWNER_UID). That user has all
// capabilities in it, from outside.
func OwnerUID(pid int) (int, error) {
	path := procNS(pid, User)
	fd, err := open(path)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	uid, err := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
	if err != nil {
		return 0, &os.PathError{Op: "ioctl NS_GET_OWNER_UID", Path: path, Err: err}
	}
	return int(uid), nil
}

// related follows one ioctl_ns(2) request that answers with a descriptor of
// another namespace.
func related(pid int, k Kind, request uint, name string) (uint64, error) {
	path := procNS(pid, k)
	fd, err := open(path)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	// The new descriptor is close-on-exec from the start.
	other, err := unix.IoctlRetInt(fd, request)
	if err != nil {
		return 0, &os.PathError{Op: "ioctl " + name, Path: path, Err: err}
	}
	defer unix.Close(other)
	var st unix.Stat_t
	if err := unix.Fstat(other, &st); err != nil {
		return 0, &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// open opens path without the runtime's poller, which namespace files
// refuse anyway.
func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

// parseLink reads the inode number out of a link's text, "mnt:[4026531832]".
func parseLink(k Kind, link string) (uint64, error) {
	text, ok := strings.CutPrefix(link, k.String()+":[")
	text, ok2 := strings.CutSuffix(text, "]")
	inode, err := strconv.ParseUint(text, 10, 64)
	if !ok || !ok2 || err != nil {
		return 0, fmt.Errorf("link of a %s namespace: want %s:[number], have %q", k, k, link)
	}
	return inode, nil
}

// procDir is the directory of a process, proc_pid(5). A thread may be in other
// namespaces than the rest of its process, so 0 is the calling thread.
func procDir(pid int) string {
	if pid == 0 {
		return "/proc/thread-self"
	}
	return "/proc/" + strconv.Itoa(pid)
}

func procNS(pid int, k Kind) string {
	return procDir(pid) + "/ns/" + k.String()
}
