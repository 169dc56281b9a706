package ipc

import (
	"context"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a notification comes: the last byte of the cookie, linux/mqueue.h.
const (
	cookieLen     = 32
	notifyWokenUp = 1
	notifyRemoved = 2
)

// sigevent is struct sigevent(3type) of a 64-bit kernel, for SIGEV_THREAD.
type sigevent struct {
	value  unsafe.Pointer // the cookie
	signo  int32          // the socket
	notify int32
	_      [48]byte
}

const sigevThread = 2

// Notify waits until a message arrives in the queue while it is empty and nobody is blocked in mq_receive, mq_notify(3).
// EBUSY: another process waits for that already, for a queue has room for one. What the queue held before counts for
// nothing: who must not miss a message receives it.
//
// The kernel tells of it as it does for glibc's SIGEV_THREAD: it sends a cookie over a netlink socket. There is no
// signal, and no thread that waits.
func (q *Queue) Notify(ctx context.Context) error {
	return fault("mq_notify", q.name, q.notify(ctx))
}

func (q *Queue) notify(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "netlink")
	defer socket.Close()
	stop := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) }) // closed: nobody waits
	defer stop()
	cookie := make([]byte, cookieLen)
	for {
		if err := q.register(fd, cookie); err != nil {
			return err
		}
		if _, err := socket.Read(cookie); err != nil {
			_ = q.unregister() // a closed queue has no registration any more
			return context.Cause(ctx)
		}
		if cookie[cookieLen-1] == notifyWokenUp {
			return nil
		}
		// Removed: this process has closed a descriptor of the same queue, which ends the process's registration
		// (mq_close(3)). If that was ours, register says so. A message that came meanwhile counts.
		if a, err := q.Attr(); err == nil && a.Messages > 0 {
			return nil
		}
	}
}

func (q *Queue) register(socket int, cookie []byte) error {
	clear(cookie)
	ev := &sigevent{value: unsafe.Pointer(unsafe.SliceData(cookie)), signo: int32(socket), notify: sigevThread}
	return q.now(func(fd uintptr) error { return mqNotify(fd, ev) })
}

func (q *Queue) unregister() error {
	return q.now(func(fd uintptr) error { return mqNotify(fd, nil) })
}

func mqNotify(fd uintptr, ev *sigevent) error {
	if _, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, fd, uintptr(unsafe.Pointer(ev)), 0); errno != 0 {
		return errno
	}
	return nil
}
