package ns

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a newborn process says on its report socket: 24 bytes a message, the
// kind and an index in the first word. End of file says that execve happened,
// because the socket is close-on-exec.
const (
	reportMark     = 1 // a step is done: index of the step, seconds, nanoseconds
	reportFailed   = 2 // a call failed: index of the call, errno
	reportTerminal = 3 // the master of the container's terminal comes along
	reportForked   = 4 // a child was forked: its number, its pid; its pidfd comes along
)

// A Report is one message of a process being born.
type Report struct {
	Failed   bool
	Terminal int           // descriptor of a terminal's master, or -1
	Forked   int           // pid of a child that this one has forked, Index its number; or 0
	Pidfd    int           // of that child
	Index    int           // of the step that is done, or of the call that failed
	Errno    syscall.Errno // if Failed
	At       time.Duration // CLOCK_MONOTONIC, unless Failed
}

// ReadReport reads the next report. io.EOF means that the program runs.
func ReadReport(f *os.File) (Report, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return Report{}, err
	}
	var b [24]byte
	var fds []int
	for n := 0; n < len(b); {
		oob := make([]byte, unix.CmsgSpace(4))
		m, oobn := 0, 0
		if rerr := raw.Read(func(fd uintptr) bool {
			m, oobn, _, _, err = unix.Recvmsg(int(fd), b[n:], oob, unix.MSG_CMSG_CLOEXEC)
			return err != unix.EAGAIN
		}); rerr != nil {
			return Report{}, rerr
		}
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECONNRESET && n == 0: // it was killed before it read what we sent
			return Report{}, io.EOF
		case err != nil:
			return Report{}, fmt.Errorf("recvmsg: %w", err)
		case m == 0 && n == 0:
			return Report{}, io.EOF
		case m == 0:
			return Report{}, io.ErrUnexpectedEOF
		}
		fds, n = append(fds, rightsOf(oob[:oobn])...), n+m
	}
	rep := parseReport(b)
	switch {
	case len(fds) == 1 && rep.Forked != 0:
		rep.Pidfd = fds[0]
	case len(fds) == 1:
		rep.Terminal = fds[0]
	default:
		closeAll(fds)
	}
	return rep, nil
}

func parseReport(b [24]byte) Report {
	w := func(i int) uint64 { return binary.NativeEndian.Uint64(b[8*i:]) }
	rep := Report{Index: int(uint32(w(0))), Terminal: -1, Pidfd: -1}
	switch w(0) >> 32 {
	case reportFailed:
		rep.Failed, rep.Errno = true, syscall.Errno(w(1))
	case reportForked:
		rep.Forked = int(w(1))
	case reportMark:
		rep.At = time.Duration(w(1))*time.Second + time.Duration(w(2))
	}
	return rep
}

// Clock is the clock that reports are stamped with.
func Clock() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // never fails for this clock, clock_gettime(2)
	return time.Duration(ts.Nano())
}

// reportBegin is the index of the mark before the first step.
const reportBegin = 1<<32 - 1

// mark reports that step i is done.
func (t *Table) mark(i int) {
	msg := t.words(reportMark<<32|uint64(uint32(i)), 0, 0)
	t.call(unix.SYS_CLOCK_GETTIME, num(unix.CLOCK_MONOTONIC), arg{'m', msg.v + 8})
	t.call(unix.SYS_WRITE, arg{'r', regReport}, msg, num(24))
}
