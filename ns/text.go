package ns

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How system calls are printed: as strace(1) does, so that the two can be held
// against each other. A letter for each argument:
//
//	s string  d number  o octal  x hex  f descriptor  a argv  e envp
//	A flags of open  M flags of mount  T of open_tree  U of umount  V of move_mount  E of AT_…
//	H struct open_how  S struct mount_attr  b bytes, as many as the next argument says
//	k struct clone_args  L its size
//	p a pointer that is not followed
var syscalls = [...]struct {
	nr   uint64
	name string
	args string
}{
	{unix.SYS_MOUNT, "mount", "sssMs"}, {unix.SYS_UMOUNT2, "umount2", "sU"}, {unix.SYS_PIVOT_ROOT, "pivot_root", "ss"},
	{unix.SYS_OPEN_TREE, "open_tree", "fsT"}, {unix.SYS_MOVE_MOUNT, "move_mount", "fsfsV"}, {unix.SYS_MOUNT_SETATTR, "mount_setattr", "fsESd"},
	{unix.SYS_MKDIRAT, "mkdirat", "fso"}, {unix.SYS_MKNODAT, "mknodat", "fsKD"}, {unix.SYS_SYMLINKAT, "symlinkat", "sfs"},
	{unix.SYS_FCHOWNAT, "fchownat", "fsddE"}, {unix.SYS_FCHMODAT, "fchmodat", "fso"}, {unix.SYS_CHDIR, "chdir", "s"},
	{unix.SYS_OPENAT, "openat", "fsAo"}, {unix.SYS_OPENAT2, "openat2", "fsHd"}, {unix.SYS_WRITE, "write", "fbd"}, {unix.SYS_READ, "read", "fpd"},
	{unix.SYS_CLOSE, "close", "f"}, {unix.SYS_DUP3, "dup3", "ffd"}, {unix.SYS_CLOSE_RANGE, "close_range", "ddR"},
	{unix.SYS_UMASK, "umask", "o"}, {unix.SYS_SETHOSTNAME, "sethostname", "sd"}, {unix.SYS_SOCKET, "socket", "NYd"},
	{unix.SYS_IOCTL, "ioctl", "fIp"}, {unix.SYS_SETGROUPS, "setgroups", "dG"}, {unix.SYS_SETRESUID, "setresuid", "ddd"},
	{unix.SYS_SETRESGID, "setresgid", "ddd"}, {unix.SYS_PRCTL, "prctl", "PC"}, {unix.SYS_CAPSET, "capset", "pp"},
	{unix.SYS_SETSID, "setsid", ""}, {unix.SYS_RT_SIGACTION, "rt_sigaction", "dpdd"}, {unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", "dpdd"},
	{unix.SYS_EXECVE, "execve", "sap"}, {unix.SYS_EXECVEAT, "execveat", "fsapE"}, {unix.SYS_CLOCK_GETTIME, "clock_gettime", "dp"},
	{unix.SYS_GETPPID, "getppid", ""}, {unix.SYS_SENDMSG, "sendmsg", "fpd"}, {unix.SYS_UNSHARE, "unshare", "c"},
	{callFork, "clone3", "kL"}, {callAwait, "read", "fpd"},
}

// Call is a system call of a step, as strace prints it, without the result.
type Call struct {
	Step int
	Text string
}

// Texts are the calls of the table in order, without the marks of trace.
func (t *Table) Texts() []Call {
	var texts []Call
	for i := range t.own {
		c := &t.calls[i]
		if c.nr == callStore || c.nr == unix.SYS_CLOCK_GETTIME || c.nr == unix.SYS_WRITE && c.args[0] == regReport && c.reg&1 != 0 {
			continue
		}
		texts = append(texts, Call{int(c.step), t.text(i)})
	}
	return texts
}

// Steps are the steps that the table was compiled from.
func (t *Table) Steps() []Step { return t.steps }

func (t *Table) lookup(i int) (name, args string) {
	for _, s := range syscalls {
		if s.nr == t.calls[i].nr {
			return s.name, s.args
		}
	}
	return "syscall" + strconv.FormatUint(t.calls[i].nr, 10), "xxxxxx"
}

// text is call i in full.
func (t *Table) text(i int) string {
	name, kinds := t.lookup(i)
	words := make([]string, len(kinds))
	for j := range words {
		words[j] = t.word(&t.calls[i], j, kinds[j])
	}
	return name + "(" + strings.Join(words, ", ") + ")"
}

// brief is call i for an error: its name and the last path among its arguments,
// which is what the call was about.
func (t *Table) brief(i int) string {
	name, kinds := t.lookup(i)
	c := &t.calls[i]
	about := ""
	for j, k := range kinds {
		if k != 's' || c.mem>>j&1 == 0 {
			continue
		}
		if s := t.cstring(c.args[j]); s != "" && (about == "" || name == "mount" && j == 1 || name == "move_mount") {
			about = " " + s
		}
	}
	return name + about
}

func (t *Table) cstring(at uint64) string {
	if t.ready {
		at -= uint64(t.base())
	}
	if at >= uint64(len(t.mem)) {
		return ""
	}
	s, _, _ := bytes.Cut(t.mem[at:], []byte{0})
	return string(s)
}

func (t *Table) u64(at uint64) uint64 {
	if t.ready {
		at -= uint64(t.base())
	}
	return binary.NativeEndian.Uint64(t.mem[at:])
}

// word is argument j of c.
func (t *Table) word(c *call, j int, kind byte) string {
	v := c.args[j]
	if c.reg>>j&1 != 0 {
		return t.regName(v)
	}
	if c.mem>>j&1 != 0 {
		return t.pointer(c, v, j, kind)
	}
	switch kind {
	case 'd', 'f', 'D':
		return number(v)
	case 'o':
		return octal(v)
	case 's', 'p', 'a', 'G':
		return "NULL"
	case 'L':
		return strconv.Itoa(int(unsafe.Sizeof(cloneArgs{})))
	case 'K':
		if v&unix.S_IFMT == unix.S_IFREG {
			return "S_IFREG|" + octal(v&^unix.S_IFMT)
		}
		return "S_IFCHR|" + octal(v&^unix.S_IFMT)
	}
	return flagWord(kind, v)
}

func octal(v uint64) string {
	if v == 0 {
		return "000"
	}
	return fmt.Sprintf("%#03o", v)
}

func number(v uint64) string {
	if v == uint64(atCWD) {
		return "AT_FDCWD"
	}
	return strconv.FormatInt(int64(v), 10)
}

// regName names a register: what a step called it, or by its number.
func (t *Table) regName(r uint64) string {
	for name, n := range t.names {
		if uint64(n) == r {
			return "<" + name + ">"
		}
	}
	if r < regFirst {
		return [...]string{"<report>", "<stdin>", "<stdout>", "<stderr>"}[r]
	}
	return "<fd>"
}

func (t *Table) pointer(c *call, v uint64, j int, kind byte) string {
	switch kind {
	case 's':
		return strconv.Quote(t.cstring(v))
	case 'b':
		s := t.mem[v-uint64(t.base0()):]
		return strconv.Quote(string(s[:min(c.args[j+1], uint64(len(s)))]))
	case 'a':
		var args []string
		for ; t.u64(v) != 0; v += 8 {
			args = append(args, strconv.Quote(t.cstring(t.u64(v))))
		}
		return "[" + strings.Join(args, ", ") + "]"
	case 'H':
		return "{flags=" + flagWord('A', t.u64(v)) + ", resolve=" + flagWord('Q', t.u64(v+16)) + "}"
	case 'k':
		return "{flags=CLONE_PIDFD|" + flagWord('c', t.u64(v)&^unix.CLONE_PIDFD) + ", exit_signal=SIGCHLD}"
	case 'S':
		return "{attr_set=" + flagWord('Z', t.u64(v)) + "}"
	}
	return "{…}"
}

// base is the address of the memory once the table is loaded.
func (t *Table) base() uintptr { return addressOf(t.mem) }

// base0 is what to subtract from an argument to get an offset.
func (t *Table) base0() uintptr {
	if t.ready {
		return t.base()
	}
	return 0
}
