package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// codeKernel is the exit code of an ipc verb that the kernel refused.
const codeKernel = 1

// explain makes of an error what the user is told: the call, the object, the kernel's text and the name of its errno, and
// what that means here.
func (c *ipcCall) explain(err error) error {
	var own *failure
	var late timedOut
	var sig signalled
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &late):
		return &failure{code: codeTimeout, err: err}
	case errors.As(err, &sig):
		return exit(codeSignal + int(sig))
	}
	name := ipc.ErrnoName(err)
	if name == "" {
		return err
	}
	return &failure{code: codeKernel, err: fmt.Errorf("%w (%s)", err, name), hint: c.meaning(err)}
}

// errEmpty is ENOENT, so that --wait goes on, for shared memory that has been made and has no size yet.
func errEmpty(name string) error {
	return &os.PathError{Op: "shm_open", Path: name, Err: fmt.Errorf("it has no size yet: %w", unix.ENOENT)}
}

// meaning is what an errno means for this verb on this object, or "".
func (c *ipcCall) meaning(err error) string {
	var errno unix.Errno
	errors.As(err, &errno)
	op := ""
	var pe *os.PathError
	if errors.As(err, &pe) {
		op = pe.Op
		if pe.Err != errno && (errno == unix.EINVAL || errno == unix.ENAMETOOLONG) {
			return "" // not the kernel's: package ipc says what was wrong
		}
	}
	noun := kindOf(c.kind).noun
	switch errno {
	case unix.ENOENT:
		return c.nothing(noun)
	case unix.EACCES, unix.EPERM:
		return c.denied(errno, noun)
	case unix.EEXIST:
		return "there is one already, and --excl wants to be the one that makes it"
	case unix.EIDRM:
		return "the " + noun + " was removed while this waited, or since its identifier was found"
	case unix.EAGAIN:
		return c.wouldBlock(noun)
	case unix.ENOMSG:
		return "no such message is there, and --no-wait doesn't wait for one"
	case unix.EINVAL:
		return c.invalid(op, noun)
	case unix.ENOSPC:
		return c.full(op)
	case unix.ENOMEM:
		return noMemory(op)
	case unix.EMFILE:
		return queueBytes()
	}
	return c.rarer(errno)
}

// rarer is the errnos that have one meaning each.
func (c *ipcCall) rarer(errno unix.Errno) string {
	switch errno {
	case unix.E2BIG:
		return fmt.Sprintf("a semop takes %s operations at most, in this IPC namespace: kernel.sem, third number", limit("kernel.sem", "SEMOPM"))
	case unix.EFBIG:
		return "the set has no semaphore of that number: they count from 0"
	case unix.ERANGE:
		return "a semaphore of System V counts from 0 to 32767 (SEMVMX, semop(2))"
	case unix.EOVERFLOW:
		return "the semaphore is at SEM_VALUE_MAX already"
	case unix.EMSGSIZE:
		return "longer than a message of this queue may be: podlab ipc mq get " + c.subject.name + " shows its size"
	case unix.EBUSY:
		return "another process waits for its notification already, and a queue has room for one (mq_notify(3))"
	case unix.ENOSYS:
		return "this kernel was built without it"
	}
	return ""
}

// nothing is ENOENT: nothing of that name here, and where here is.
func (c *ipcCall) nothing(noun string) string {
	if inDevShm(c.kind) {
		file := "/dev/shm" + c.subject.name
		if c.kind == ipc.KindNamedSem {
			file = "/dev/shm/sem." + strings.TrimPrefix(c.subject.name, "/")
		}
		return fmt.Sprintf("no file %s in this mount of /dev/shm (device %s)", file, deviceOf("/dev/shm"))
	}
	what := "no " + noun + " of that name"
	if c.kind.SystemV() {
		what = "no " + noun + " of key " + c.subject.key.String()
		if c.subject.key.String() != strings.ToLower(c.subject.typed) {
			what += fmt.Sprintf(" (%s)", quote(c.subject.typed))
		}
	}
	return what + " in this IPC namespace (" + ipcNamespace() + ")"
}

// ipcNamespace is the namespace that the caller is in, as readlink(1) shows it: "ipc:[4026531839]".
func ipcNamespace() string {
	link, err := os.Readlink("/proc/self/ns/ipc")
	if err != nil {
		return "which can't be seen: " + bareErrno(err).Error()
	}
	return link
}

// deviceOf is the device number of the file system at path, as /proc/self/mountinfo has it: "0:53".
func deviceOf(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return "none"
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
}

// denied is EACCES and EPERM: whose the object is, and who asked.
func (c *ipcCall) denied(errno unix.Errno, noun string) string {
	me := fmt.Sprintf("podlab runs as %s", userName(os.Geteuid()))
	if c.unmade {
		return fmt.Sprintf("more than kernel.msgmnb = %s bytes takes CAP_SYS_RESOURCE; the new queue was removed again", limit("kernel.msgmnb", ""))
	}
	o, ok := c.listed(c.subject)
	if !ok {
		return me
	}
	its := fmt.Sprintf("the %s belongs to %s and has mode %s", noun, userName(o.UID), octal(o.Mode))
	if errno == unix.EPERM && c.kind.SystemV() {
		its += ", made by " + userName(o.CreatorUID)
	}
	return its + "; " + me
}

// listed finds an object in the listings, which show also what may not be used.
func (c *ipcCall) listed(want object) (ipc.Object, bool) {
	all, _ := ipc.List() // what can be listed is enough to look for it
	for _, o := range all {
		if o.Kind == c.kind && want.is(o) {
			return o, true
		}
	}
	return ipc.Object{}, false
}

// is tells whether o is the object that was named.
func (want object) is(o ipc.Object) bool {
	switch {
	case !o.Kind.SystemV():
		return o.Name == want.name
	case want.byID:
		return o.ID == want.id
	}
	return o.Key == want.key && want.key != ipc.Private
}

// userName is a user's name and number.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username + " (" + strconv.Itoa(uid) + ")"
	}
	return "uid " + strconv.Itoa(uid)
}

// wouldBlock is EAGAIN.
func (c *ipcCall) wouldBlock(noun string) string {
	switch c.kind {
	case ipc.KindSem, ipc.KindNamedSem:
		return "the value doesn't allow it now, and --no-wait doesn't wait until it does"
	}
	if strings.HasSuffix(c.path, " send") {
		return "the " + noun + " is full, and --no-wait doesn't wait for room"
	}
	return "the " + noun + " is empty, and --no-wait doesn't wait for a message"
}

// invalid is EINVAL, which has many meanings.
func (c *ipcCall) invalid(op, noun string) string {
	switch {
	case c.subject.byID:
		return fmt.Sprintf("no %s has the identifier %d in this IPC namespace (%s)", noun, c.subject.id, ipcNamespace())
	case op == "mq_open" && strings.HasSuffix(c.path, " create"):
		return fmt.Sprintf("without CAP_SYS_RESOURCE a queue has at most %s messages of at most %s bytes in this IPC namespace: fs.mqueue.msg_max, msgsize_max",
			limit("fs.mqueue.msg_max", ""), limit("fs.mqueue.msgsize_max", ""))
	case op == "shmget", op == "shm_open" && strings.HasSuffix(c.path, " create"):
		if o, ok := c.listed(c.subject); ok {
			return fmt.Sprintf("there is one already, of %d bytes, and it doesn't grow", o.Size)
		}
		return fmt.Sprintf("a segment has 1 to %s bytes in this IPC namespace: kernel.shmmax", limit("kernel.shmmax", ""))
	case op == "semget":
		if o, ok := c.listed(c.subject); ok {
			return fmt.Sprintf("there is one already, of %d semaphores, and it doesn't grow", o.Semaphores)
		}
		return fmt.Sprintf("a set has 1 to %s semaphores in this IPC namespace: kernel.sem, first number", limit("kernel.sem", "SEMMSL"))
	case op == "semctl":
		return "the set has no semaphore of that number (they count from 0), or was removed since it was found"
	case op == "msgsnd":
		return longestMessage()
	}
	return ""
}

func longestMessage() string {
	return fmt.Sprintf("a message has at most %s bytes in this IPC namespace: kernel.msgmax", limit("kernel.msgmax", ""))
}

// noMemory is ENOMEM: not a limit of the namespace, but no memory, or none that the kernel promises.
func noMemory(op string) string {
	if op != "shmget" {
		return "the kernel has no memory for it: this machine's, or the control group's (memory.max)"
	}
	// A segment's pages are promised when it is made, or it isn't made (shmget(2)); by default not more at once than the
	// machine has (Documentation/mm/overcommit-accounting.rst).
	how := "?"
	if data, err := os.ReadFile("/proc/sys/vm/overcommit_memory"); err == nil {
		how = strings.TrimSpace(string(data))
	}
	has := ""
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		has = fmt.Sprintf("; this machine has %d bytes of memory and swap", (s.Totalram+s.Totalswap)*uint64(s.Unit))
	}
	return "more than the kernel promises: vm.overcommit_memory is " + how + has
}

// full is ENOSPC: which limit that is.
func (c *ipcCall) full(op string) string {
	const here = " in this IPC namespace"
	switch {
	case op == "shmget":
		return fmt.Sprintf("%s segments and %s pages is all there may be%s: kernel.shmmni, kernel.shmall", limit("kernel.shmmni", ""), limit("kernel.shmall", ""), here)
	case op == "semget":
		return fmt.Sprintf("%s sets and %s semaphores is all there may be%s: kernel.sem, fourth and second number", limit("kernel.sem", "SEMMNI"), limit("kernel.sem", "SEMMNS"), here)
	case op == "msgget":
		return fmt.Sprintf("%s queues is all there may be%s: kernel.msgmni", limit("kernel.msgmni", ""), here)
	case op == "mq_open":
		return fmt.Sprintf("%s queues is all there may be%s without CAP_SYS_RESOURCE: fs.mqueue.queues_max", limit("fs.mqueue.queues_max", ""), here)
	case inDevShm(c.kind):
		var st unix.Statfs_t
		if unix.Statfs("/dev/shm", &st) == nil {
			return fmt.Sprintf("/dev/shm is a file system of %d bytes, of which %d are free", st.Blocks*uint64(st.Bsize), st.Bavail*uint64(st.Bsize))
		}
	}
	return ""
}

// queueBytes explains EMFILE of mq_open, which is seldom about files.
func queueBytes() string {
	var r syscall.Rlimit
	have := ""
	if syscall.Getrlimit(unix.RLIMIT_MSGQUEUE, &r) == nil {
		have = fmt.Sprintf(" (%d bytes here)", r.Cur)
	}
	return fmt.Sprintf("RLIMIT_MSGQUEUE%s counts the queues of %s in all IPC namespaces together: smaller queues need less, podlab ipc mq create --help",
		have, userName(os.Getuid()))
}

// limit is the value of a sysctl of this IPC namespace, and of one of its numbers where it has several.
func limit(sysctl, field string) string {
	all, _ := ipc.ReadLimits() // what could be read is enough
	for _, l := range all.Namespace {
		if l.Sysctl == sysctl && l.Field == field {
			return strconv.FormatUint(l.Value, 10)
		}
	}
	return "?"
}
