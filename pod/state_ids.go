package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Host ids for pods with hostUsers: false, where root starts them: a range of its own for each, so that what escapes from one pod owns no
// file and no process of another.
const (
	idRange  = 65536          // ids per pod, and the first is a multiple of it: the kubelet's rules
	firstIDs = 8192 * idRange // far above what useradd(8) hands out in /etc/subuid
	lastIDs  = 1<<31 - idRange
)

// idsFile records a range. It is a symbolic link that points nowhere: symlink(2) makes it whole or not at all, on a full disk too, and
// one readlink(2) reads it.
const idsFile = "ids"

// ReserveIDs gives the pod a range of host ids that no other pod of this root has, whether alive or lost: files of a lost one may be left.
// The range is free again when the directory is gone. Asked twice, it gives the same.
func (d *Dir) ReserveIDs() (first uint32, err error) {
	r := d.root
	err = r.serial(unix.LOCK_EX, func() error {
		names, err := r.names()
		if err != nil {
			return &os.PathError{Op: "getdents", Path: r.Path, Err: err}
		}
		taken := map[uint32]bool{}
		for _, n := range names {
			if ids, ok := r.ids(n); ok {
				taken[ids] = true
				if n == filepath.Base(d.Path) {
					first = ids
					return nil
				}
			}
		}
		for first = firstIDs; taken[first]; first += idRange {
			if first >= lastIDs {
				return fmt.Errorf("%s: all ranges of %d ids are taken", r.Path, idRange)
			}
		}
		if err := unix.Symlinkat(strconv.FormatUint(uint64(first), 10), d.fd, idsFile); err != nil {
			return &os.PathError{Op: "symlink", Path: filepath.Join(d.Path, idsFile), Err: err}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return first, nil
}

// ids is the range of one pod.
func (r *Root) ids(entry string) (first uint32, ok bool) {
	if _, _, ok := splitEntry(entry); !ok {
		return 0, false
	}
	buf := make([]byte, 16)
	n, err := unix.Readlinkat(r.fd, entry+"/"+idsFile, buf)
	if err != nil {
		return 0, false
	}
	ids, err := strconv.ParseUint(string(buf[:n]), 10, 32)
	return uint32(ids), err == nil && ids%idRange == 0
}
