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
//	s string  d number  o octal  x hex  f descriptor  a argv  g signal  J user or group
//	A flags of open, m the mode if they have O_CREAT  K mode of mknod, D the device if it makes one
//	M flags of mount  T of open_tree  U of umount  V of move_mount  E of AT_…  F of sendmsg  c of unshare
//	H struct open_how  S struct mount_attr  b bytes, as many as the next argument says  G ids, as many as the last says
//	k struct clone_args  L its size  q struct ifreq  h and u those of capset  B sigaction  W a set of signals
//	P option of prctl, C what follows it  p a pointer that is not followed
var syscalls = [...]struct {
	nr   uint64
	name string
	args string
}{
	{unix.SYS_MOUNT, "mount", "sssMs"}, {unix.SYS_UMOUNT2, "umount2", "sU"}, {unix.SYS_PIVOT_ROOT, "pivot_root", "ss"},
	{unix.SYS_OPEN_TREE, "open_tree", "fsT"}, {unix.SYS_MOVE_MOUNT, "move_mount", "fsfsV"}, {unix.SYS_MOUNT_SETATTR, "mount_setattr", "fsESd"},
	{unix.SYS_MKDIRAT, "mkdirat", "fso"}, {unix.SYS_MKNODAT, "mknodat", "fsKD"}, {unix.SYS_SYMLINKAT, "symlinkat", "sfs"},
	{unix.SYS_FCHOWNAT, "fchownat", "fsJJE"}, {unix.SYS_FCHMODAT, "fchmodat", "fso"}, {unix.SYS_CHDIR, "chdir", "s"},
	{unix.SYS_OPENAT, "openat", "fsAm"}, {unix.SYS_OPENAT2, "openat2", "fsHd"}, {unix.SYS_WRITE, "write", "fbd"}, {unix.SYS_READ, "read", "fpd"},
	{unix.SYS_CLOSE, "close", "f"}, {unix.SYS_DUP3, "dup3", "ffd"}, {unix.SYS_CLOSE_RANGE, "close_range", "ddR"},
	{unix.SYS_UMASK, "umask", "o"}, {unix.SYS_SETHOSTNAME, "sethostname", "sd"}, {unix.SYS_SOCKET, "socket", "NYi"},
	{unix.SYS_IOCTL, "ioctl", "fIq"}, {unix.SYS_SETGROUPS, "setgroups", "dG"}, {unix.SYS_SETRESUID, "setresuid", "JJJ"},
	{unix.SYS_SETRESGID, "setresgid", "JJJ"}, {unix.SYS_PRCTL, "prctl", "PC"}, {unix.SYS_CAPSET, "capset", "hu"},
	{unix.SYS_SETSID, "setsid", ""}, {unix.SYS_RT_SIGACTION, "rt_sigaction", "gBpd"}, {unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", "1Wpd"},
	{unix.SYS_EXECVE, "execve", "sap"}, {unix.SYS_EXECVEAT, "execveat", "fsapE"}, {unix.SYS_CLOCK_GETTIME, "clock_gettime", "dp"},
	{unix.SYS_GETPPID, "getppid", ""}, {unix.SYS_SENDMSG, "sendmsg", "fpF"}, {unix.SYS_UNSHARE, "unshare", "c"}, {unix.SYS_SETNS, "setns", "fc"}, {unix.SYS_EXIT_GROUP, "exit_group", "d"}, {unix.SYS_FCHDIR, "fchdir", "f"}, {unix.SYS_KEYCTL, "keyctl", "jp"},
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
	var words []string
	for j := range kinds {
		if w := t.word(&t.calls[i], j, kinds[j]); w != omitted {
			words = append(words, w)
		}
	}
	return name + "(" + strings.Join(words, ", ") + ")"
}

// omitted is an argument that the kernel doesn't look at, so that strace leaves
// it out.
const omitted = ""

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
		return t.regName(c, j, v)
	}
	if c.mem>>j&1 != 0 {
		return t.pointer(c, v, j, kind)
	}
	switch kind {
	case 'd', 'f':
		return number(v)
	case 'J':
		return strconv.Itoa(int(int32(v)))
	case 'm':
		if c.args[j-1]&unix.O_CREAT == 0 {
			return omitted
		}
		return octal(v)
	case 'D':
		if c.args[j-1]&unix.S_IFMT != unix.S_IFCHR {
			return omitted
		}
		return device(v)
	case 'g':
		return signalName(v)
	case 'C':
		return strings.Join(prctlWords(c.args), ", ")
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

// regName names a register: what the steps called it, or by its kind.
func (t *Table) regName(c *call, j int, r uint64) string {
	for _, l := range t.labels {
		if &t.calls[l.call] == c && l.arg == j {
			return "<" + l.name + ">"
		}
	}
	if r < regFirst {
		return [...]string{"<report>", "<stdin>", "<stdout>", "<stderr>", "<target>"}[r]
	}
	return "<fd>"
}

// bytes are n bytes of the table's memory, or as many as there are.
func (t *Table) bytes(at, n uint64) []byte {
	b := t.mem[at-uint64(t.base0()):]
	return b[:min(n, uint64(len(b)))]
}

func (t *Table) u32(at uint64) uint32 { return binary.NativeEndian.Uint32(t.bytes(at, 4)) }

// base is the address of the memory once the table is loaded.
func (t *Table) base() uintptr { return addressOf(t.mem) }

// base0 is what to subtract from an argument to get an offset.
func (t *Table) base0() uintptr {
	if t.ready {
		return t.base()
	}
	return 0
}
