package ns

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pointer is what v points to, where strace follows the pointer and it is the
// same each time: "{…}" else.
func (t *Table) pointer(c *call, v uint64, j int, kind byte) string {
	switch kind {
	case 's':
		return strconv.Quote(t.cstring(v))
	case 'b':
		return strconv.Quote(string(t.bytes(v, c.args[j+1])))
	case 'a':
		var args []string
		for ; t.u64(v) != 0; v += 8 {
			args = append(args, strconv.Quote(t.cstring(t.u64(v))))
		}
		return "[" + strings.Join(args, ", ") + "]"
	case 'G':
		var ids []string
		for i := range c.args[j-1] {
			ids = append(ids, strconv.FormatUint(uint64(t.u32(v+4*i)), 10))
		}
		return "[" + strings.Join(ids, ", ") + "]"
	case 'H':
		return "{flags=" + flagWord('A', t.u64(v)) + ", resolve=" + flagWord('Q', t.u64(v+16)) + "}"
	case 'k':
		return "{flags=CLONE_PIDFD|" + flagWord('c', t.u64(v)&^unix.CLONE_PIDFD) + ", pidfd={…}, exit_signal=SIGCHLD, stack=NULL, stack_size=0}"
	case 'S':
		return "{attr_set=" + flagWord('Z', t.u64(v)) + ", attr_clr=" + flagWord('Z', t.u64(v+8)) + ", propagation=0, userns_fd=0}"
	case 'B':
		return "{sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}" // there is no other in podlab
	case 'W':
		return "[]"
	case 'q':
		name, _, _ := bytes.Cut(t.bytes(v, unix.IFNAMSIZ), []byte{0})
		flags := uint64(t.u32(v+unix.IFNAMSIZ)) & 0xffff
		return "{ifr_name=" + strconv.Quote(string(name)) + ", ifr_flags=" + named(nil, flags, bit{unix.IFF_UP, "IFF_UP"}, bit{unix.IFF_RUNNING, "IFF_RUNNING"}) + "}"
	case 'h':
		return "{version=_LINUX_CAPABILITY_VERSION_3, pid=0}"
	case 'u':
		return "{effective=" + t.caps(v) + ", permitted=" + t.caps(v+4) + ", inheritable=" + t.caps(v+8) + "}"
	}
	return "{…}"
}

// caps is a set of struct __user_cap_data_struct, whose second half lies 12
// bytes further on.
func (t *Table) caps(at uint64) string {
	set := Caps(t.u32(at)) | Caps(t.u32(at+12))<<32
	if set == 0 {
		return "0"
	}
	return "1<<" + strings.ReplaceAll(set.String(), "|", "|1<<")
}

// prctlWords are the arguments of prctl(2) after the first. How many there are
// depends on that one.
func prctlWords(args [6]uint64) []string {
	v := args[1]
	switch args[0] {
	case unix.PR_SET_PDEATHSIG:
		return []string{signalName(v)}
	case unix.PR_CAPBSET_DROP:
		return []string{Caps(1 << v).String()}
	case unix.PR_SET_CHILD_SUBREAPER:
		return []string{strconv.FormatUint(v, 10)}
	case unix.PR_CAP_AMBIENT:
		return []string{value(v, bit{unix.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"}), Caps(1 << args[2]).String(), "0", "0"}
	}
	return []string{strconv.FormatUint(v, 10), "0", "0", "0"}
}

// signalName: those from 32 on have no names of their own.
func signalName(v uint64) string {
	switch {
	case v == 0:
		return "0"
	case v == 32:
		return "SIGRTMIN"
	case v > 32:
		return fmt.Sprintf("SIGRT_%d", v-32)
	}
	return unix.SignalName(syscall.Signal(v))
}

// device is what makedev(3) makes of v's two numbers.
func device(v uint64) string {
	return "makedev(" + hex(unix.Major(v)) + ", " + hex(unix.Minor(v)) + ")"
}

func hex[N uint32 | uint64](v N) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", v)
}
