package ipc

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

func timespec(t unix.Timespec) time.Time { return time.Unix(t.Unix()) }

// listShared lists a directory such as /dev/shm.
func listShared(path string) ([]Object, error) {
	dir, _, err := directory(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	files, err := regularFiles(dir, KindShared)
	var memory, sems []Object
	for _, o := range files {
		rest, isSem := strings.CutPrefix(o.Name, "/"+semPrefix)
		if isSem && rest != "" && o.Size == semSize {
			o.Kind, o.Resident = KindNamedSem, 0
			o.readSemaphore(dir)
			o.Name = "/" + rest
			sems = append(sems, o)
		} else {
			memory = append(memory, o)
		}
	}
	return append(memory, sems...), err
}

// readSemaphore reads, and doesn't map: whoever owns the file may shorten it at any moment.
func (o *Object) readSemaphore(dir *os.File) {
	f, err := openSame(dir, o.Name[1:], o)
	if err != nil {
		o.Unreadable = true
		return
	}
	defer f.Close()
	b := make([]byte, semSize)
	n, _ := f.ReadAt(b, 0) // too few bytes are no semaphore
	value, waiting, err := parseSemaphore(b[:n])
	if err != nil {
		o.Unreadable = true
		return
	}
	o.Values, o.Waiting = []int{value}, waiting
}

// listQueues lists an mqueue file system.
func listQueues(path string) ([]Object, error) {
	dir, magic, err := directory(path)
	if os.IsNotExist(err) {
		return nil, &os.PathError{Op: "list", Path: path, Err: ErrNoMQueue}
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if magic != mqueueMagic {
		return nil, &os.PathError{Op: "list", Path: path, Err: ErrNoMQueue}
	}
	all, err := regularFiles(dir, KindQueue)
	for i := range all {
		all[i].Size, all[i].Resident = 0, 0 // stat's size is that of the line
		all[i].readQueue(dir)
	}
	return all, err
}

const mqueueMagic = 0x19800202 // statfs(2)

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
