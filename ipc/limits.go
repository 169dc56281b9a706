package ipc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limit is a sysctl that each IPC namespace has for itself (ipc_namespaces(7)). A new namespace has the kernel's
// defaults, not the values of the one it was made in.
type Limit struct {
	Sysctl  string `json:"sysctl"`          // "kernel.shmmax"
	Field   string `json:"field,omitempty"` // kernel.sem has four: "SEMMSL"
	Value   uint64 `json:"value"`
	Default uint64 `json:"default"` // of a new namespace
	What    string `json:"what"`
}

// Path is the sysctl's file. On any mount of proc, it is that of the IPC namespace of who opens it.
func (l Limit) Path() string { return "/proc/sys/" + strings.ReplaceAll(l.Sysctl, ".", "/") }

// Limits are what an IPC namespace allows, and what it doesn't contain.
type Limits struct {
	Namespace []Limit `json:"namespace"`
	// RLIMIT_MSGQUEUE: bytes in all POSIX message queues of a real user id, in whatever namespaces: getrlimit(2).
	// Unlimited is the largest number.
	MsgQueueBytes    uint64 `json:"msgQueueBytes"`    // the soft limit, which counts
	MsgQueueBytesMax uint64 `json:"msgQueueBytesMax"` // the hard one
}

// noLimit is the default of shmmax and shmall: "no limit", less what would overflow when rounded (linux/shm.h).
const noLimit = 1<<64 - 1 - 1<<24

// The defaults are those of include/uapi/linux/{shm,sem,msg}.h and include/linux/ipc_namespace.h.
var limits = []Limit{
	{Sysctl: "kernel.shmmax", Default: noLimit, What: "bytes in a System V segment"},
	{Sysctl: "kernel.shmall", Default: noLimit, What: "pages in all System V segments"},
	{Sysctl: "kernel.shmmni", Default: 4096, What: "System V segments"},
	{Sysctl: "kernel.shm_rmid_forced", Default: 0, What: "1: a segment goes with its last user"},
	{Sysctl: "kernel.sem", Field: "SEMMSL", Default: 32000, What: "semaphores in a set"},
	{Sysctl: "kernel.sem", Field: "SEMMNS", Default: 1024000000, What: "semaphores in all sets"},
	{Sysctl: "kernel.sem", Field: "SEMOPM", Default: 500, What: "operations in a semop"},
	{Sysctl: "kernel.sem", Field: "SEMMNI", Default: 32000, What: "sets of semaphores"},
	{Sysctl: "kernel.msgmax", Default: 8192, What: "bytes in a System V message"},
	{Sysctl: "kernel.msgmnb", Default: 16384, What: "bytes in a System V queue"},
	{Sysctl: "kernel.msgmni", Default: 32000, What: "System V queues"},
	{Sysctl: "fs.mqueue.queues_max", Default: 256, What: "POSIX queues"},
	{Sysctl: "fs.mqueue.msg_max", Default: 10, What: "messages in a POSIX queue, at most"},
	{Sysctl: "fs.mqueue.msgsize_max", Default: 8192, What: "bytes in a POSIX message, at most"},
	{Sysctl: "fs.mqueue.msg_default", Default: 10, What: "messages in a POSIX queue, if not asked for"},
	{Sysctl: "fs.mqueue.msgsize_default", Default: 8192, What: "bytes in a POSIX message, if not asked for"},
}

// ReadLimits reads the limits of the caller's IPC namespace. The error is about those that couldn't be read.
func ReadLimits() (Limits, error) {
	var all Limits
	var errs []error
	nth := map[string]int{} // how many numbers of a file we have had
	for _, l := range limits {
		data, err := os.ReadFile(l.Path())
		if err == nil {
			l.Value, err = nthNumber(string(data), nth[l.Sysctl])
		}
		nth[l.Sysctl]++
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.Sysctl, err))
			continue
		}
		all.Namespace = append(all.Namespace, l)
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &r); err != nil {
		errs = append(errs, fmt.Errorf("RLIMIT_MSGQUEUE: %w", err))
	}
	all.MsgQueueBytes, all.MsgQueueBytesMax = r.Cur, r.Max
	return all, errors.Join(errs...)
}

func nthNumber(text string, n int) (uint64, error) {
	fields := strings.Fields(text)
	if n >= len(fields) {
		return 0, fmt.Errorf("%d numbers, want more than %d", len(fields), n)
	}
	return strconv.ParseUint(fields[n], 10, 64)
}
