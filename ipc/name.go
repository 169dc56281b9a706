package ipc

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Open says how a POSIX object is opened. Without Create it must be there.
type Open struct {
	Create    bool
	Exclusive bool        // with Create: EEXIST if it is there already
	ReadOnly  bool        // a semaphore can't be
	Perm      fs.FileMode // of what is created: the low 9 bits, less the umask, as for open(2)
}

// component returns what follows the slash of a POSIX object's name, with a prefix: "sem." is what a semaphore's file
// has before it. A name is a slash and one component (mq_overview(7), shm_overview(7), sem_overview(7)). glibc lets
// some more pass for shared memory and semaphores, and then means the same object by "a" and "//a"; here a name is
// the same word in all three.
func component(name, prefix string) (string, error) {
	rest, slash := strings.CutPrefix(name, "/")
	file := prefix + rest
	switch {
	case !slash:
		return "", fmt.Errorf("a name begins with a slash: %w", unix.EINVAL)
	case rest == "":
		return "", fmt.Errorf("nothing after the slash: %w", unix.EINVAL)
	case strings.Contains(rest, "/"):
		return "", fmt.Errorf("a name has one slash, the first character: %w", unix.EINVAL)
	case strings.Contains(rest, "\x00"):
		return "", fmt.Errorf("a zero byte: %w", unix.EINVAL)
	case file == "." || file == "..":
		return "", fmt.Errorf("a directory: %w", unix.EINVAL)
	case len(file) > unix.NAME_MAX:
		return "", fmt.Errorf("%d bytes after the slash, %d at most: %w", len(rest), unix.NAME_MAX-len(prefix), unix.ENAMETOOLONG)
	}
	return file, nil
}

// fault is err as a *os.PathError, nil for nil.
func fault(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: object, Err: err}
}
