package ns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An IDRange says that Count ids beginning at Inside, in a user namespace, are
// the ids beginning at Host in its parent: one line of /proc/PID/uid_map,
// user_namespaces(7). In the answer of [SubIDs] Inside is 0: where a range
// goes is the caller's choice.
type IDRange struct{ Inside, Host, Count int }

// An IDMap is a whole uid_map or gid_map.
type IDMap []IDRange

const (
	maxIDs      = 1<<32 - 1 // (uid_t)-1 means "no id" to chown(2) and setresuid(2)
	maxMapLines = 340       // user_namespaces(7): since Linux 4.15
	maxMapText  = 4096 - 1  // less than a page
)

// SingleID maps one id: all that a user may map without help, and only his own
// (user_namespaces(7), "Defining user and group ID mappings").
func SingleID(inside, host int) IDMap {
	return IDMap{{inside, host, 1}}
}

// RangeIDs maps the ids from 0 up to the ids from base up, as root may.
func RangeIDs(base, count int) IDMap {
	return IDMap{{0, base, count}}
}

// SpreadIDs maps inside to own, the caller's own id, and every other id from 0
// upwards to the ids of sub in order, as long as they last: what newuidmap(1)
// and newgidmap(1) let an ordinary user do.
func SpreadIDs(inside, own int, sub []IDRange) IDMap {
	var m IDMap
	next := 0
	for _, r := range sub {
		for r.Count > 0 {
			if next == inside {
				m, next = append(m, IDRange{inside, own, 1}), next+1
			}
			n := r.Count
			if next < inside {
				n = min(n, inside-next)
			}
			m = append(m, IDRange{next, r.Host, n})
			next, r.Host, r.Count = next+n, r.Host+n, r.Count-n
		}
	}
	if next <= inside {
		m = append(m, IDRange{inside, own, 1})
	}
	return m
}

// Text is what to write to /proc/PID/uid_map or gid_map. It must go in one
// write(2): the kernel takes the first and refuses all others.
func (m IDMap) Text() string {
	var b strings.Builder
	for _, r := range m {
		fmt.Fprintf(&b, "%d %d %d\n", r.Inside, r.Host, r.Count)
	}
	return b.String()
}

// Args are the arguments of newuidmap(1) or newgidmap(1) for process pid.
func (m IDMap) Args(pid int) []string {
	args := []string{strconv.Itoa(pid)}
	for _, r := range m {
		args = append(args, strconv.Itoa(r.Inside), strconv.Itoa(r.Host), strconv.Itoa(r.Count))
	}
	return args
}

// ToHost returns the id in the parent namespace for an id inside, and false
// where there is none: such an id can be taken by nobody (EINVAL) and owns
// no file.
func (m IDMap) ToHost(inside int) (int, bool) {
	for _, r := range m {
		if inside >= r.Inside && inside-r.Inside < r.Count {
			return r.Host + inside - r.Inside, true
		}
	}
	return 0, false
}

// ToInside returns the id inside for an id of the parent namespace, and false
// where there is none: its files then show as the overflow id, 65534.
func (m IDMap) ToInside(host int) (int, bool) {
	for _, r := range m {
		if host >= r.Host && host-r.Host < r.Count {
			return r.Inside + host - r.Host, true
		}
	}
	return 0, false
}

// Validate refuses what the kernel would answer with a bare EINVAL
// (user_namespaces(7), the rules for writing uid_map).
func (m IDMap) Validate() error {
	if len(m) == 0 {
		return errors.New("id map: want at least one range")
	}
	if len(m) > maxMapLines || len(m.Text()) > maxMapText {
		return fmt.Errorf("id map: %d ranges in %d bytes: the kernel takes %d in %d",
			len(m), len(m.Text()), maxMapLines, maxMapText)
	}
	for i, r := range m {
		if !r.valid() {
			return fmt.Errorf("id map: %s: want a count above 0 and ids from 0 to %d", r, maxIDs-1)
		}
		for _, o := range m[:i] {
			if overlap(r.Inside, r.Count, o.Inside, o.Count) || overlap(r.Host, r.Count, o.Host, o.Count) {
				return fmt.Errorf("id map: %s overlaps %s", r, o)
			}
		}
	}
	return nil
}

// String is the line of uid_map.
func (r IDRange) String() string {
	return fmt.Sprintf("%d %d %d", r.Inside, r.Host, r.Count)
}

func (r IDRange) valid() bool {
	return r.Count > 0 && r.Count <= maxIDs &&
		r.Inside >= 0 && r.Inside <= maxIDs-r.Count &&
		r.Host >= 0 && r.Host <= maxIDs-r.Count
}

func overlap(a, na, b, nb int) bool {
	return a < b+nb && b < a+na
}

// SubIDs returns the ranges of user ids and of group ids that /etc/subuid and
// /etc/subgid give to the user, by name or by number (subuid(5), subgid(5):
// both files are keyed by user). No file is no ranges. Name may be empty.
func SubIDs(name string, uid int) (uids, gids []IDRange, err error) {
	// Where the name service says that another source has the ids, the files
	// don't count: newuidmap(1).
	if source := subIDSource("/etc/nsswitch.conf"); source != "files" {
		return nil, nil, fmt.Errorf("/etc/nsswitch.conf: subid: %s: podlab reads files only", source)
	}
	if uids, err = readSubIDs("/etc/subuid", name, uid); err != nil {
		return nil, nil, err
	}
	gids, err = readSubIDs("/etc/subgid", name, uid)
	return uids, gids, err
}

func readSubIDs(path, name string, uid int) ([]IDRange, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ranges, err := ParseSubIDs(f, name, uid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ranges, nil
}

// ParseSubIDs reads the ranges of one user out of a subuid(5) or subgid(5)
// file. Lines that make no sense are passed over, as newuidmap(1) does, and
// ranges that overlap an earlier one are dropped: one map can't hold both.
func ParseSubIDs(r io.Reader, name string, uid int) ([]IDRange, error) {
	var ranges []IDRange
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":")
		if len(f) != 3 || f[0] == "" || (f[0] != name && f[0] != strconv.Itoa(uid)) {
			continue
		}
		first, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		r := IDRange{Host: first, Count: count}
		if err1 != nil || err2 != nil || !r.valid() {
			continue
		}
		if !slices.ContainsFunc(ranges, func(o IDRange) bool { return overlap(r.Host, r.Count, o.Host, o.Count) }) {
			ranges = append(ranges, r)
		}
	}
	return ranges, lines.Err()
}

// nextSubID is the first id above all ranges in a subuid(5) file, and at least
// 100000, where distributions begin.
func nextSubID(path string) int {
	next := 100000
	text, err := os.ReadFile(path)
	if err != nil {
		return next // no file, no ranges
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 3 {
			first, err1 := strconv.Atoi(f[1])
			count, err2 := strconv.Atoi(f[2])
			if r := (IDRange{Host: first, Count: count}); err1 == nil && err2 == nil && r.valid() {
				next = max(next, first+count)
			}
		}
	}
	return next
}

// subIDSource is the one source named by the subid line of nsswitch.conf(5),
// "files" if there is none.
func subIDSource(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "files"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if key, value, ok := strings.Cut(text, ":"); ok && strings.TrimSpace(key) == "subid" {
			if sources := strings.Fields(value); len(sources) > 0 {
				return sources[0]
			}
		}
	}
	return "files"
}

// UserName is the login name of uid in /etc/passwd, passwd(5), or "".
func UserName(uid int) string {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if f := strings.Split(lines.Text(), ":"); len(f) >= 3 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return ""
}

// IDHelper finds the program that writes a map of more than one's own id for
// an ordinary user: newuidmap or newgidmap. The error says why there is none,
// or why the one there is could not do it.
func IDHelper(name string) (string, error) {
	path, err := lookPath(name)
	if err != nil {
		return "", err
	}
	// It needs CAP_SETUID or CAP_SETGID over the parent namespace, which execve(2)
	// gives by the set-user-id bit or by file capabilities, capabilities(7).
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	_, err = unix.Getxattr(path, "security.capability", nil)
	if (st.Mode&unix.S_ISUID == 0 || st.Uid != 0) && err != nil {
		return "", fmt.Errorf("%s: neither set-user-id root nor given capabilities", path)
	}
	// Neither of the two has an effect on a nosuid mount, mount(2), ...
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return "", &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if fs.Flags&unix.ST_NOSUID != 0 {
		return "", fmt.Errorf("%s: on a file system mounted nosuid", path)
	}
	// ... nor after PR_SET_NO_NEW_PRIVS, which children inherit.
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && set == 1 {
		return "", fmt.Errorf("%s: no_new_privs is set, so it gains no rights", path)
	}
	return path, nil
}

// lookPath finds a program on PATH or where distributions keep it: the PATH of
// a service may be bare.
func lookPath(name string) (string, error) {
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin")
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue // a relative one depends on where we are, and a set-user-id program is called
		}
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, os.ErrNotExist)
}
