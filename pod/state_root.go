package pod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the directory that holds one directory per pod, NAMESPACE_NAME. It is 0700 and its user's; podlab reaches everything below it
// through descriptors, so that neither a name nor a planted link leads anywhere else.
type Root struct {
	Path string
	fd   int
}

// OpenRoot opens the state directory and makes it where it is missing. An empty path means the usual place of this user.
func OpenRoot(path string) (*Root, error) {
	path, err := RootPath(path)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	fd, err := openRoot(path)
	if errors.Is(err, unix.ENOENT) {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("state directory: %w", err)
		}
		fd, err = openRoot(path)
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	r := &Root{Path: path, fd: fd}
	if err := r.check(); err != nil {
		_ = r.Close() // the check's error is the one that counts
		return nil, fmt.Errorf("state directory %s: %w", path, err)
	}
	return r, nil
}

// openRoot refuses a symbolic link as the last element: in /tmp anyone could have put it there.
func openRoot(path string) (int, error) {
	return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// check wants a directory that nobody else can look into or has prepared.
func (r *Root) check() error {
	var st unix.Stat_t
	if err := unix.Fstat(r.fd, &st); err != nil {
		return err
	}
	if uid := os.Geteuid(); int(st.Uid) != uid {
		return fmt.Errorf("owned by user %d, want %d", st.Uid, uid)
	}
	if st.Mode&0o077 != 0 {
		return fmt.Errorf("mode %#o, want 0700", st.Mode&0o7777)
	}
	return nil
}

// Close gives up the descriptor. Pods that were reserved keep their locks.
func (r *Root) Close() error { return unix.Close(r.fd) }

// RootPath is where OpenRoot(flag) would look, without looking.
func RootPath(flag string) (string, error) {
	return filepath.Abs(rootPath(flag, os.Getenv, os.Geteuid()))
}

// rootPath is --root, else $PODLAB_ROOT, else where the XDG base directory specification puts what lasts as long as a login.
func rootPath(flag string, getenv func(string) string, uid int) string {
	run := getenv("XDG_RUNTIME_DIR")
	switch {
	case flag != "":
		return flag
	case getenv("PODLAB_ROOT") != "":
		return getenv("PODLAB_ROOT")
	case uid == 0:
		return "/run/podlab"
	case ownDir(run, uid):
		return filepath.Join(run, "podlab")
	}
	tmp := getenv("TMPDIR")
	if !filepath.IsAbs(tmp) {
		tmp = "/tmp"
	}
	return filepath.Join(tmp, fmt.Sprintf("podlab-%d", uid))
}

// ownDir: after su(1) the variable still names the directory of the user before, which is no place for us.
func ownDir(path string, uid int) bool {
	var st unix.Stat_t
	return filepath.IsAbs(path) && unix.Stat(path, &st) == nil && int(st.Uid) == uid && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// serial runs do while no other podlab is inside serial for this root: exclusively, or together with others who only look.
func (r *Root) serial(how int, do func() error) error {
	// A descriptor of its own: a flock(2) belongs to the open file, and goroutines would share r.fd's.
	fd, err := unix.Openat(r.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: r.Path, Err: err}
	}
	defer unix.Close(fd)
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(fd, how)
	}
	if err != nil {
		return &os.PathError{Op: "flock", Path: r.Path, Err: err}
	}
	defer unix.Flock(fd, unix.LOCK_UN) // by hand: a child between fork and execve may hold a copy of fd
	return do()
}

// openBeneath opens name below dir, and nowhere else: no link, no "..", no mount point on the way.
func openBeneath(dir int, name string, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_NOFOLLOW | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		if err != unix.EINTR && err != unix.EAGAIN { // EAGAIN: the kernel could not rule out a race with rename(2)
			return fd, err
		}
	}
}

// entryName is the directory of a pod. Both names are checked here, before they meet any path.
func entryName(namespace, name string) (string, error) {
	if len(namespace) > 63 || strings.Contains(namespace, ".") || !isSubdomain(namespace) {
		return "", fmt.Errorf("namespace %q: want an RFC 1123 label: a-z, 0-9 and -, up to 63", namespace)
	}
	if len(name) > 253 || !isSubdomain(name) {
		return "", fmt.Errorf("pod name %q: want an RFC 1123 name: a-z, 0-9, - and ., up to 253", name)
	}
	entry := namespace + "_" + name
	if len(entry) > unix.NAME_MAX {
		return "", fmt.Errorf("pod name %q: %s is a file name of %d bytes, want at most %d", name, entry, len(entry), unix.NAME_MAX)
	}
	return entry, nil
}

// splitEntry is entryName backwards; ok is false for what is no pod's directory.
func splitEntry(entry string) (namespace, name string, ok bool) {
	namespace, name, ok = strings.Cut(entry, "_")
	if ok {
		_, err := entryName(namespace, name)
		ok = err == nil
	}
	return namespace, name, ok
}

// isSubdomain: labels of a-z, 0-9 and - between dots, with neither - nor nothing at either end of a label.
func isSubdomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}
