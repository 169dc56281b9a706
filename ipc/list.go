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
)

// Places is where a process sees its IPC objects. An empty one isn't looked at.
type Places struct {
	SysV   string // files shm, sem and msg of proc_sysvipc(5). They show the IPC namespace of who opens them
	Shm    string // POSIX shared memory and semaphores
	MQueue string // an mqueue file system. It shows the IPC namespace of who mounted it
}

// Here is where the calling process sees its own.
func Here() Places { return Places{SysV: "/proc/sysvipc", Shm: shmDir, MQueue: "/dev/mqueue"} }

// What List has to say of queues that it can't list. mq_open(2) works all the same.
var (
	ErrNoMQueue      = errors.New("no mqueue file system is mounted there, so queues can't be listed")
	ErrForeignMQueue = errors.New("that mqueue file system was mounted in another IPC namespace and shows its queues, not ours")
)

// List returns every object in the caller's IPC namespace and in its /dev/shm, sorted by kind, then as the kernel
// has them. The error is about what couldn't be listed; the objects are what could.
//
// Who may mount in the namespace's user namespace is shown its queues with and without a mount at /dev/mqueue. For
// others the mount must be there; one from another namespace is noticed only by a queue in it.
func List() ([]Object, error) {
	all, err := ListNamespace()
	files, err2 := ListAt(Places{Shm: Here().Shm})
	return append(all, files...), errors.Join(err, err2)
}

// ListNamespace is List without /dev/shm: what the IPC namespace holds.
func ListNamespace() ([]Object, error) {
	all, err := ListAt(Places{SysV: Here().SysV})
	for i := range all {
		if all[i].Kind == KindSem {
			all[i].readSet()
		}
	}
	queues, err2 := listOwnQueues(Here().MQueue)
	return append(all, queues...), errors.Join(err, err2)
}

// readSet asks for the values of a System V set, and who set them.
func (o *Object) readSet() {
	values, err := Sem(o.ID).Values()
	if o.Values, o.Unreadable = values, err != nil; err != nil { // or gone since
		return
	}
	pids := make([]int, len(values))
	for i := range pids {
		pids[i], _ = Sem(o.ID).LastPid(i) // 0, as for one that nobody has touched, if it is gone since
	}
	o.LastPids = pids
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
