package ns

import (
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// bit is a flag with its name. A mask of several bits names one value of them.
type bit struct {
	v    uint64
	name string
}

// flagWord is v in the words of its kind (see syscalls).
func flagWord(kind byte, v uint64) string {
	switch kind {
	case 'M':
		var words []string
		for _, f := range mountFlags {
			if v&uint64(f.flag) != 0 {
				words = append(words, f.name)
				v &^= uint64(f.flag)
			}
		}
		return join(words, v)
	case 'A':
		words := []string{[...]string{"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"}[v&unix.O_ACCMODE]}
		if v &^= unix.O_ACCMODE; v == 0 {
			return words[0]
		}
		return named(words, v, bit{unix.O_CREAT, "O_CREAT"}, bit{unix.O_TRUNC, "O_TRUNC"}, bit{unix.O_NOFOLLOW, "O_NOFOLLOW"},
			bit{unix.O_CLOEXEC, "O_CLOEXEC"}, bit{unix.O_PATH, "O_PATH"}, bit{unix.O_DIRECTORY, "O_DIRECTORY"})
	case 'T':
		return named(nil, v, bit{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"}, bit{unix.OPEN_TREE_CLOEXEC, "OPEN_TREE_CLOEXEC"}, bit{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, bit{unix.AT_RECURSIVE, "AT_RECURSIVE"})
	case 'E':
		return named(nil, v, bit{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}, bit{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, bit{unix.AT_RECURSIVE, "AT_RECURSIVE"})
	case 'U':
		return named(nil, v, bit{unix.MNT_DETACH, "MNT_DETACH"})
	case 'V':
		return named(nil, v, bit{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"}, bit{unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"})
	case 'Q':
		return named(nil, v, bit{unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"}, bit{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"}, bit{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"})
	case 'Z':
		return named(nil, v, bit{unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"}, bit{unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"}, bit{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"}, bit{unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"})
	case 'R':
		return named(nil, v, bit{unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"})
	case 'N':
		return named(nil, v, bit{unix.AF_INET, "AF_INET"})
	case 'Y':
		return named(nil, v, bit{unix.SOCK_DGRAM, "SOCK_DGRAM"}, bit{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"})
	case 'i':
		return value(v, bit{0, "IPPROTO_IP"})
	case 'F':
		return named(nil, v, bit{unix.MSG_NOSIGNAL, "MSG_NOSIGNAL"})
	case '1':
		return value(v, bit{unix.SIG_SETMASK, "SIG_SETMASK"})
	case 'c': // in the order of their bits
		return named(nil, v, bit{unix.CLONE_NEWTIME, "CLONE_NEWTIME"}, bit{unix.CLONE_NEWNS, "CLONE_NEWNS"}, bit{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, bit{unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
			bit{unix.CLONE_NEWIPC, "CLONE_NEWIPC"}, bit{unix.CLONE_NEWUSER, "CLONE_NEWUSER"}, bit{unix.CLONE_NEWPID, "CLONE_NEWPID"}, bit{unix.CLONE_NEWNET, "CLONE_NEWNET"})
	case 'j':
		return value(v, bit{unix.KEYCTL_JOIN_SESSION_KEYRING, "KEYCTL_JOIN_SESSION_KEYRING"})
	case 'I':
		return value(v, bit{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"})
	case 'P':
		return value(v, bit{unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"}, bit{unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"}, bit{unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"}, bit{unix.PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER"},
			bit{unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"})
	}
	return hex(v)
}

// value is the name of v, which is one value and no set.
func value(v uint64, names ...bit) string {
	for _, n := range names {
		if n.v == v {
			return n.name
		}
	}
	return strconv.FormatUint(v, 10)
}

// named adds the names of the bits in v to words; what has no name is printed
// in hexadecimal, so that nothing is hidden.
func named(words []string, v uint64, bits ...bit) string {
	for _, b := range bits {
		if v&b.v == b.v {
			words = append(words, b.name)
			v &^= b.v
		}
	}
	return join(words, v)
}

func join(words []string, rest uint64) string {
	if rest != 0 || len(words) == 0 {
		words = append(words, hex(rest))
	}
	return strings.Join(words, "|")
}
