package ns

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Quote is s as one word of sh(1).
func Quote(s string) string {
	plain := s != ""
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%", r) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// printfWords are the words with which printf(1) prints s: as they are, or where
// s has bytes that a script can't, as octal escapes of the format.
func printfWords(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == 0 || r == '\r' || r == utf8.RuneError }) {
		return "%s " + Quote(s)
	}
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\%03o`, s[i])
	}
	return Quote(b.String())
}

// mountFlags has the flags of mount(2) that mount(8) has a word for.
var mountFlags = [...]struct {
	flag uintptr
	name string // of the constant
	opt  string // of mount(8)
}{
	{unix.MS_RDONLY, "MS_RDONLY", "ro"},
	{unix.MS_NOSUID, "MS_NOSUID", "nosuid"},
	{unix.MS_NODEV, "MS_NODEV", "nodev"},
	{unix.MS_NOEXEC, "MS_NOEXEC", "noexec"},
	{unix.MS_REMOUNT, "MS_REMOUNT", "remount"},
	{unix.MS_BIND, "MS_BIND", "bind"},
	{unix.MS_REC, "MS_REC", ""},
	{unix.MS_PRIVATE, "MS_PRIVATE", ""},
	{unix.MS_STRICTATIME, "MS_STRICTATIME", "strictatime"},
}

func mountOptions(flags uintptr) (opts []string) {
	for _, f := range mountFlags {
		if flags&f.flag != 0 && f.opt != "" {
			opts = append(opts, f.opt)
		}
	}
	return opts
}

// attrOptions is the same for the attributes of mount_setattr(2).
func attrOptions(attr uint64) (opts []string) {
	for _, f := range [...]struct {
		attr uint64
		opt  string
	}{
		{unix.MOUNT_ATTR_RDONLY, "ro"}, {unix.MOUNT_ATTR_NOSUID, "nosuid"},
		{unix.MOUNT_ATTR_NODEV, "nodev"}, {unix.MOUNT_ATTR_NOEXEC, "noexec"},
	} {
		if attr&f.attr != 0 {
			opts = append(opts, f.opt)
		}
	}
	return opts
}

// ShellPreamble defines the words that Shell uses and sh(1) lacks. $T is a
// directory of the script's own where mounts wait for their place, kept open
// as descriptor 9 because no name leads to it after pivot_root.
const ShellPreamble = `# open_tree(2): a copy of the mount at $2, kept aside as $1, with options $3
tree() {
	mkdir -p "$(dirname "$T/$1")"
	if [ -d "$2" ]; then mkdir -p "$T/$1"; else : > "$T/$1"; fi
	mount --rbind "$2" "$T/$1"
	attr "$T/$1" "${3-}"
}
# the part $3 of the tree $2, kept aside as $1, with options $4
subtree() {
	tree "$1" "$T/$2/$3" "${4-}"
}
# mount_setattr(2) on $1 and what is mounted in it
attr() {
	[ -z "$2" ] || awk -v d="$1" '$5 == d || index($5, d "/") == 1 {print $5, $6}' /proc/self/mountinfo |
		while read -r m o; do mount -o "remount,bind,$(printf %s "$o" | sed 's/^rw,*//'),$2" "$m"; done
}
# move_mount(2): the mount kept aside as $1 gets its place at $2
place() { mount -n -c --move "/proc/self/fd/9/$1" "$2"; }
`
