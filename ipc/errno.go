package ipc

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrnoName returns the name of the errno that err wraps, such as "ENOENT", or "" if it wraps none: a wait that its
// context has ended has no errno.
func ErrnoName(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	return unix.ErrnoName(errno)
}

// keyError says which call failed for which key; nil stays nil.
func keyError(op string, k Key, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: "key " + k.String(), Err: err}
}

// idError says which call failed for which identifier; nil stays nil.
func idError[ID ~int](op string, id ID, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: "id " + strconv.Itoa(int(id)), Err: err}
}

// failure makes an error of a system call's errno. An errno of 0 put into an error as it is would not be nil.
func failure(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
