package pod

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// MountError says that something is still mounted in what was to be deleted. Nothing behind it was touched.
type MountError struct{ Path string }

func (e *MountError) Error() string {
	return fmt.Sprintf("%s is a mount point: nothing is deleted through a mount", e.Path)
}

// ForeignError says that something belongs to a user whose files we may not delete: to one of a pod's own ids, where an ordinary user
// ran it with a range of them. A process in a user namespace with the same id map may; it can call EmptyDir.
type ForeignError struct {
	Path string // a directory
	UID  int
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s belongs to user %d: only a user namespace that has this id may delete what is in it", e.Path, e.UID)
}

// EmptyDir deletes everything in the directory fd is open at, but what is named in keep. path is how errors call it.
//
// It trusts nothing it finds: names are single ones, as getdents(2) gives them, each relative to an open directory; links are deleted, not
// followed; a mount point is an error. A tree may be as deep as its writer liked: no path is put together, and few descriptors are open.
func EmptyDir(fd int, path string, keep ...string) error {
	s := sweep{top: fd, keep: keep, uid: uint32(os.Geteuid())}
	return s.empty(fd, path, 0)
}

// maxDepth is how deep sweep goes with a descriptor per level. What lies deeper is moved up to the top first.
const maxDepth = 8

type sweep struct {
	top   int
	keep  []string // names at the top
	uid   uint32
	moved int // how many directories were moved up
}

// empty goes on until the directory is seen empty: while one reads and deletes, names may be passed over (readdir(3)).
func (s *sweep) empty(dir int, path string, depth int) error {
	buf := make([]byte, 8192)
	for {
		names, err := s.some(dir, buf, depth)
		if err != nil {
			return &os.PathError{Op: "getdents", Path: path, Err: err}
		}
		if len(names) == 0 {
			return nil
		}
		for _, name := range names {
			if err := s.remove(dir, path, name, depth); err != nil {
				return err
			}
		}
	}
}

// some are the first few names of a directory, from its beginning.
func (s *sweep) some(dir int, buf []byte, depth int) (names []string, err error) {
	if _, err := unix.Seek(dir, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	for len(names) == 0 {
		n, err := unix.Getdents(dir, buf)
		if err != nil || n == 0 {
			return nil, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, nil) // without . and ..
		if depth == 0 {
			names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(s.keep, name) })
		}
	}
	return names, nil
}

// remove deletes one name, with what is in it if it is a directory.
func (s *sweep) remove(dir int, path, name string, depth int) error {
	err := unix.Unlinkat(dir, name, 0)
	if (err == unix.EACCES || err == unix.EPERM) && s.allow(dir) {
		err = unix.Unlinkat(dir, name, 0)
	}
	if err == unix.EISDIR {
		err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) // an empty one goes whoever owns it
	}
	switch {
	case err == unix.ENOTEMPTY && depth == maxDepth:
		return s.moveUp(dir, path, name)
	case err == unix.ENOTEMPTY:
		return s.removeTree(dir, path, name, depth)
	case err == nil, err == unix.ENOENT:
		return nil
	case err == unix.EBUSY:
		return &MountError{Path: path + "/" + name}
	}
	return s.refused(dir, path, name, err)
}

func (s *sweep) removeTree(dir int, path, name string, depth int) error {
	child := path + "/" + name
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err == unix.EACCES && s.allowChild(dir, name) {
		fd, err = openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	}
	if err == unix.EACCES {
		return s.refusedChild(dir, child, name)
	}
	if err != nil {
		return openError(child, err)
	}
	err = s.empty(fd, child, depth+1)
	_ = unix.Close(fd) // it was only read
	if err != nil {
		return err
	}
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err != nil {
		return &os.PathError{Op: "rmdir", Path: child, Err: err}
	}
	return nil
}

// moveUp puts a directory at the top, where empty will find it again with all of its depth still to go.
func (s *sweep) moveUp(dir int, path, name string) error {
	for {
		s.moved++
		err := unix.Renameat2(dir, name, s.top, fmt.Sprintf("deep-%d", s.moved), unix.RENAME_NOREPLACE)
		switch {
		case err == unix.EEXIST: // of an earlier sweep that was interrupted
		case err == unix.EACCES && s.allowChild(dir, name): // a new parent is written into the directory itself
		case err == unix.EACCES:
			return s.refusedChild(dir, path+"/"+name, name)
		case err == unix.EBUSY:
			return &MountError{Path: path + "/" + name}
		case err != nil:
			return &os.PathError{Op: "rename", Path: path + "/" + name, Err: err}
		default:
			return nil
		}
	}
}

// allow gives us all permissions in a directory of our own that lacks some: mode bits bind an owner until he changes them.
func (s *sweep) allow(dir int) bool {
	return s.lacks(dir) && unix.Fchmod(dir, 0o700) == nil
}

// allowChild does so for one that can't even be opened. fchmod(2) takes no O_PATH descriptor, chmod(2) takes its link in /proc.
func (s *sweep) allowChild(dir int, name string) bool {
	fd, err := openBeneath(dir, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return s.lacks(fd) && unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o700) == nil
}

func (s *sweep) lacks(dir int) bool {
	var st unix.Stat_t
	return unix.Fstat(dir, &st) == nil && st.Uid == s.uid && st.Mode&0o700 != 0o700
}

// refused is the error for deleting name in dir: foreign if it is dir's owner and mode that forbid it.
func (s *sweep) refused(dir int, path, name string, err error) error {
	var st unix.Stat_t
	if unix.Fstat(dir, &st) == nil && st.Uid != s.uid && (err == unix.EACCES || err == unix.EPERM && st.Mode&unix.S_ISVTX != 0) {
		return &ForeignError{Path: path, UID: int(st.Uid)}
	}
	return &os.PathError{Op: "unlink", Path: path + "/" + name, Err: err}
}

// refusedChild is the error for a directory that could not be opened or moved.
func (s *sweep) refusedChild(dir int, child, name string) error {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Uid != s.uid {
		return &ForeignError{Path: child, UID: int(st.Uid)}
	}
	return &os.PathError{Op: "open", Path: child, Err: unix.EACCES}
}

// openError names what openat2(2) objected to.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, unix.EXDEV):
		return &MountError{Path: path}
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%s: is a symbolic link, want a directory", path)
	}
	return &os.PathError{Op: "open", Path: path, Err: err}
}
