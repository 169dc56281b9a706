package ipc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Places is where a process sees its IPC objects. An empty one isn't looked at.
type Places struct {
	SysV   string // files shm, sem and msg of proc_sysvipc(5). They show the IPC namespace of who opens them
	Shm    string // POSIX shared memory and semaphores
	MQueue string // an mqueue file system. It shows the IPC namespace of who mounted it
}

// Here is where the calling process sees its own.
func Here() Places { return Places{SysV: "/proc/sysvipc", Shm: shmDir, MQueue: "/dev/mqueue"} }

// ErrNoMQueue is what List has to say of a place that is no mqueue file system: mq_open(2) works all the same, and
// queues that may exist can't be listed.
var ErrNoMQueue = errors.New("no mqueue file system is mounted there, so queues can't be listed")

// List returns every object in the caller's IPC namespace and in its /dev/shm, sorted by kind, then as the kernel
// has them. The error is about what couldn't be listed; the objects are what could.
func List() ([]Object, error) {
	all, err := ListAt(Here())
	for i := range all {
		if o := &all[i]; o.Kind == KindSem {
			values, err := Sem(o.ID).Values()
			o.Values, o.Unreadable = values, err != nil // or gone since
		}
	}
	return all, err
}

// ListAt is List in other places. The values of a System V set are not to be had from there.
func ListAt(p Places) ([]Object, error) {
	var all []Object
	var errs []error
	if p.SysV != "" {
		for _, k := range []Kind{KindShm, KindSem, KindMsg} {
			some, err := listSysV(filepath.Join(p.SysV, string(k)), k)
			all, errs = append(all, some...), append(errs, err)
		}
	}
	if p.MQueue != "" {
		some, err := listQueues(p.MQueue)
		all, errs = append(all, some...), append(errs, err)
	}
	if p.Shm != "" {
		some, err := listShared(p.Shm)
		all, errs = append(all, some...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

func listSysV(path string, k Kind) ([]Object, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := parseSysV(data, k)
	if err != nil {
		return all, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// parseSysV reads a file of /proc/sysvipc: a line of names, and a line of numbers per object (proc_sysvipc(5)).
func parseSysV(data []byte, k Kind) ([]Object, error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	if !lines.Scan() {
		return nil, errors.New("no head line")
	}
	head := strings.Fields(lines.Text())
	var all []Object
	for lines.Scan() {
		cells := strings.Fields(lines.Text())
		if len(cells) != len(head) {
			return all, fmt.Errorf("%d columns, want %d: %q", len(cells), len(head), lines.Text())
		}
		o := Object{Kind: k}
		for i, cell := range cells {
			base := 10
			if head[i] == "perms" {
				base = 8
			}
			n, err := strconv.ParseInt(cell, base, 64)
			if err != nil {
				return all, fmt.Errorf("column %s: %w", head[i], err)
			}
			o.setColumn(head[i], n)
		}
		all = append(all, o)
	}
	return all, lines.Err()
}

// setColumn takes a column of /proc/sysvipc. Those that it doesn't know are a later kernel's.
func (o *Object) setColumn(name string, n int64) {
	switch name {
	case "key":
		o.Key = Key(n)
	case "shmid", "semid", "msqid":
		o.ID = int(n)
	case "perms":
		o.Mode, o.Removed, o.Locked = fs.FileMode(n).Perm(), n&shmDest != 0, n&shmLocked != 0
	case "size", "cbytes":
		o.Size = n
	case "cpid":
		o.CreatorPid = int(n)
	case "lpid":
		o.LastPid = int(n)
	case "lspid":
		o.LastSendPid = int(n)
	case "lrpid":
		o.LastReceivePid = int(n)
	case "nattch":
		o.Attached = int(n)
	case "nsems":
		o.Semaphores = int(n)
	case "qnum":
		o.Messages = int(n)
	case "uid":
		o.UID = int(n)
	case "gid":
		o.GID = int(n)
	case "cuid":
		o.CreatorUID = int(n)
	case "cgid":
		o.CreatorGID = int(n)
	case "atime":
		o.AttachTime = seconds(n)
	case "dtime":
		o.DetachTime = seconds(n)
	case "ctime":
		o.ChangeTime = seconds(n)
	case "otime":
		o.OpTime = seconds(n)
	case "stime":
		o.SendTime = seconds(n)
	case "rtime":
		o.ReceiveTime = seconds(n)
	case "rss":
		o.Resident = n
	case "swap":
		o.Swapped = n
	}
}

// directory opens a directory, and says which file system it is on.
func directory(path string) (f *os.File, magic int64, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		_ = unix.Close(fd) // err is what counts
		return nil, 0, &os.PathError{Op: "fstatfs", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), int64(st.Type), nil
}

// regularFiles lists the regular files right in a directory, with what stat says of each.
func regularFiles(dir *os.File, k Kind) ([]Object, error) {
	names, err := dir.Readdirnames(-1)
	var all []Object
	for _, name := range sorted(names) {
		var st unix.Stat_t
		if unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue // removed since, or nothing that shm_open(3) would make
		}
		all = append(all, Object{
			Kind: k, Name: "/" + name, Mode: fs.FileMode(st.Mode).Perm(),
			UID: int(st.Uid), GID: int(st.Gid), CreatorUID: int(st.Uid), CreatorGID: int(st.Gid),
			Size: st.Size, Resident: st.Blocks * 512, // stat(2): blocks are of 512 bytes
			ChangeTime: timespec(st.Ctim), AccessTime: timespec(st.Atim), ModifyTime: timespec(st.Mtim),
			Inode: st.Ino, Dev: st.Dev,
		})
	}
	return all, err
}

// openSame opens a file to read it, if it is still the one that o was made of. Nothing waits, whatever is there now.
func openSame(dir *os.File, file string, o *Object) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), file, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != o.Inode || st.Dev != o.Dev {
		_ = unix.Close(fd) // another file
		return nil, unix.ESTALE
	}
	return os.NewFile(uintptr(fd), file), nil
}
