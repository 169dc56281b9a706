package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is a pod's directory, held: while lockFile is locked through it, the pod is alive, and its name is taken.
// The kernel gives the lock back when the holder dies, however it dies; there is no pid file to be wrong.
type Dir struct {
	Path            string // for people, and for mounts; podlab itself works below the descriptor
	Namespace, Name string
	root            *Root
	fd, lock        int
}

const lockFile = "lock"

// RunningError says that a name is taken by a pod that is alive.
type RunningError struct {
	Name, Path string
	Supervisor int       // pid; 0 if state.json doesn't tell
	Started    time.Time // likewise
}

func (e *RunningError) Error() string {
	if e.Supervisor == 0 {
		return fmt.Sprintf("%s is running already (%s/%s is locked)", e.Name, e.Path, lockFile)
	}
	return fmt.Sprintf("%s is running already (pid %d, since %s)", e.Name, e.Supervisor, e.Started.Format(time.TimeOnly))
}

// Unwrap makes errors.Is(err, os.ErrExist) true.
func (e *RunningError) Unwrap() error { return os.ErrExist }

// Reserve takes a name: of any number who try at once, one gets it, and the others a *RunningError. What a lost pod of that name has
// left is cleared first. It leaves nothing behind when it returns an error, but what it found.
func (r *Root) Reserve(namespace, name string) (*Dir, error) {
	entry, err := entryName(namespace, name)
	if err != nil {
		return nil, err
	}
	var d *Dir
	lost := false
	// mkdir and flock are two steps. Between them a second starter would see a lost pod, so they are taken one starter at a time.
	err = r.serial(unix.LOCK_EX, func() error {
		err := unix.Mkdirat(r.fd, entry, 0o700)
		lost = err == unix.EEXIST
		if err != nil && !lost {
			return &os.PathError{Op: "mkdir", Path: filepath.Join(r.Path, entry), Err: err}
		}
		if d, err = r.take(namespace, name, entry); err != nil && !lost {
			_ = unix.Unlinkat(r.fd, entry+"/"+lockFile, 0) // err is what counts
			_ = unix.Unlinkat(r.fd, entry, unix.AT_REMOVEDIR)
		}
		return err
	})
	if err != nil || !lost {
		return d, err
	}
	if err := EmptyDir(d.fd, d.Path, lockFile); err != nil {
		_ = d.Close() // a lost pod again
		return nil, fmt.Errorf("an earlier %s was left behind: %w", name, err)
	}
	return d, nil
}

// Adopt takes over a lost pod, for Remove. The error is a *RunningError if it isn't lost, and os.ErrNotExist if there is none.
func (r *Root) Adopt(namespace, name string) (d *Dir, err error) {
	entry, err := entryName(namespace, name)
	if err != nil {
		return nil, err
	}
	err = r.serial(unix.LOCK_EX, func() error {
		d, err = r.take(namespace, name, entry)
		return err
	})
	return d, err
}

// Remove deletes what a lost pod has left.
func (r *Root) Remove(namespace, name string) error {
	d, err := r.Adopt(namespace, name)
	if err != nil {
		return err
	}
	if err := d.Remove(); err != nil {
		_ = d.Close() // a lost pod as before
		return err
	}
	return nil
}

// take opens a pod's directory and locks it. It runs inside serial.
func (r *Root) take(namespace, name, entry string) (*Dir, error) {
	d := &Dir{Path: filepath.Join(r.Path, entry), Namespace: namespace, Name: name, root: r, fd: -1, lock: -1}
	if err := d.open(entry); err != nil {
		_ = d.Close() // err is what counts
		return nil, err
	}
	return d, nil
}

func (d *Dir) open(entry string) error {
	var st unix.Stat_t
	var err error
	if d.fd, err = openBeneath(d.root.fd, entry, unix.O_RDONLY|unix.O_DIRECTORY); err != nil {
		return openError(d.Path, err)
	}
	if err := unix.Fstat(d.fd, &st); err != nil {
		return &os.PathError{Op: "fstat", Path: d.Path, Err: err}
	}
	if uid := os.Geteuid(); int(st.Uid) != uid {
		return fmt.Errorf("%s: owned by user %d, want %d", d.Path, st.Uid, uid)
	}
	// A starter that was killed after its mkdir has left no lock file: then this makes it.
	path := filepath.Join(d.Path, lockFile)
	d.lock, err = unix.Openat(d.fd, lockFile, unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.Fstat(d.lock, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s: not a regular file, and not podlab's", path)
	}
	if err = unix.Flock(d.lock, unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		s, _ := readState(d.fd) // the pod is running even if its state can't be read
		return &RunningError{Name: d.Name, Path: d.Path, Supervisor: s.Supervisor, Started: s.Started}
	}
	if err != nil {
		return &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return nil
}

// Remove deletes the directory and gives the name back. On an error the name stays taken, until Close or another Remove; the error is a
// *MountError or a *ForeignError where something can be done about it.
func (d *Dir) Remove() error {
	if d.fd < 0 {
		return nil // removed or closed before
	}
	if err := EmptyDir(d.fd, d.Path, lockFile); err != nil {
		return err
	}
	err := d.root.serial(unix.LOCK_EX, func() error { // or a starter would find a directory without its lock
		if err := unix.Unlinkat(d.fd, lockFile, 0); err != nil && err != unix.ENOENT {
			return &os.PathError{Op: "unlink", Path: filepath.Join(d.Path, lockFile), Err: err}
		}
		if err := unix.Unlinkat(d.root.fd, filepath.Base(d.Path), unix.AT_REMOVEDIR); err != nil {
			return &os.PathError{Op: "rmdir", Path: d.Path, Err: err}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.Close()
}

// Close gives up the lock and leaves the directory: from now on it is a lost pod's.
func (d *Dir) Close() error {
	for _, fd := range []*int{&d.lock, &d.fd} {
		if *fd >= 0 {
			_ = unix.Close(*fd) // nothing was written through it
			*fd = -1
		}
	}
	return nil
}

// Fd is the directory's descriptor, for a child that is to empty it inside the pod's user namespace. Dir keeps it.
func (d *Dir) Fd() int { return d.fd }
