package ipc

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const mqueueMagic = 0x19800202 // statfs(2)

// listQueues lists an mqueue file system.
func listQueues(path string) ([]Object, error) {
	dir, magic, err := directory(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err == nil {
		defer dir.Close()
	}
	if magic != mqueueMagic {
		return nil, &os.PathError{Op: "list", Path: path, Err: ErrNoMQueue}
	}
	return readQueues(dir)
}

func readQueues(dir *os.File) ([]Object, error) {
	all, err := regularFiles(dir, KindQueue)
	for i := range all {
		all[i].Size, all[i].Resident = 0, 0 // stat's size is that of the line
		all[i].readQueue(dir)
	}
	return all, err
}

// listOwnQueues lists the queues of the caller's IPC namespace, whatever is mounted at path.
func listOwnQueues(path string) ([]Object, error) {
	if dir, err := ownMQueue(); err == nil {
		defer dir.Close()
		return readQueues(dir)
	}
	all, err := listQueues(path)
	if err == nil && foreign(path, all) {
		return nil, &os.PathError{Op: "list", Path: path, Err: ErrForeignMQueue}
	}
	return all, err
}

// ownMQueue opens the root of the caller's mqueue file system, without a place in the mount table (fsmount(2), Linux
// 5.2). EPERM without CAP_SYS_ADMIN in the user namespace that owns the IPC namespace.
func ownMQueue() (*os.File, error) {
	context, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, err
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(mount)
	// The mount's descriptor is an O_PATH one; what is opened from it keeps the mount.
	fd, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "mqueue"), nil
}

// foreign tells whether queues were listed in a file system of another IPC namespace: there, mq_open(2) doesn't find
// them, or finds others.
func foreign(path string, all []Object) bool {
	for _, o := range all {
		fd, err := mqOpen(o.Name[1:], unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0, nil)
		var st unix.Stat_t
		if err == unix.ENOENT && unix.Lstat(path+o.Name, &st) == nil {
			return true
		}
		if err != nil {
			continue // removed since, or EACCES, which tells nothing
		}
		err = unix.Fstat(fd, &st)
		_ = unix.Close(fd) // of a queue that was only looked at
		return err == nil && st.Dev != o.Dev
	}
	return false
}

// readQueue reads a queue's file, which is a line (mq_overview(7)), and asks for its attributes.
func (o *Object) readQueue(dir *os.File) {
	f, err := openSame(dir, o.Name[1:], o)
	if err != nil {
		o.Unreadable = true
		return
	}
	defer f.Close()
	line := make([]byte, 256)
	n, _ := f.Read(line) // what isn't there is missed below
	size, notify, err := parseQueueLine(string(line[:n]))
	a, err2 := mqGetAttr(int(f.Fd()))
	if err != nil || err2 != nil {
		o.Unreadable = true
		return
	}
	o.Size, o.NotifyPid = size, notify
	o.Messages, o.MaxMessages, o.MessageSize = int(a.Messages), a.MaxMessages, a.MessageSize
}

// parseQueueLine reads "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260". The size is of the messages, in bytes.
func parseQueueLine(line string) (size int64, notifyPid int, err error) {
	found := false
	for _, field := range strings.Fields(line) {
		name, value, _ := strings.Cut(field, ":")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("queue's line %q: %w", line, err)
		}
		switch name {
		case "QSIZE":
			size, found = n, true
		case "NOTIFY_PID":
			notifyPid = int(n)
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("queue's line %q: no QSIZE", line)
	}
	return size, notifyPid, nil
}
