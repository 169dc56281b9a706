package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a notification comes: the last byte of the cookie, linux/mqueue.h.
const (
	cookieLen     = 32
	notifyWokenUp = 1 // else 2, removed
)

// sigevent is struct sigevent(3type) of a 64-bit kernel, for SIGEV_THREAD.
type sigevent struct {
	value  unsafe.Pointer // the cookie
	signo  int32          // the socket
	notify int32
	_      [48]byte
}

const sigevThread = 2

// Notify waits until a message arrives in the queue while it is empty and nobody is blocked in mq_receive. What the
// queue holds already counts for nothing: who must not miss a message receives it, or looks after Subscribe.
func (q *Queue) Notify(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault("mq_notify", q.name, context.Cause(ctx))
	}
	n, err := q.Subscribe()
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Wait(ctx)
}

// Notification is this process's registration to be told when a message arrives in an empty queue, mq_notify(3). The
// kernel tells of it as it does for glibc's SIGEV_THREAD: it sends a cookie over a netlink socket. There is no signal,
// and no thread that waits.
type Notification struct {
	q      *Queue
	socket *os.File
	fd     int32
	used   atomic.Bool // there is nothing left to be ended
}

// Subscribe registers. EBUSY: this or another process is registered already, for a queue has room for one.
func (q *Queue) Subscribe() (*Notification, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fault("mq_notify", q.name, fmt.Errorf("netlink socket: %w", err))
	}
	n := &Notification{q: q, socket: os.NewFile(uintptr(fd), "netlink"), fd: int32(fd)}
	if err := n.register(); err != nil {
		_ = n.socket.Close() // opened for nothing
		return nil, fault("mq_notify", q.name, err)
	}
	return n, nil
}

func (n *Notification) register() error {
	cookie := make([]byte, cookieLen) // the kernel takes a copy
	ev := &sigevent{value: unsafe.Pointer(unsafe.SliceData(cookie)), signo: n.fd, notify: sigevThread}
	return n.q.now(func(fd uintptr) error { return mqNotify(fd, ev) })
}

// Wait waits for the message that the registration is for, which is used up then. One goroutine may wait.
func (n *Notification) Wait(ctx context.Context) error {
	return fault("mq_notify", n.q.name, n.wait(ctx))
}

func (n *Notification) wait(ctx context.Context) error {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = n.socket.SetReadDeadline(time.Unix(1, 0)) // long past; only a closed socket has an error, and nobody waits for it
	})
	defer func() {
		if !stop() {
			<-fired
			_ = n.socket.SetReadDeadline(time.Time{}) // as above
		}
	}()
	cookie := make([]byte, cookieLen)
	for {
		if _, err := n.socket.Read(cookie); errors.Is(err, os.ErrDeadlineExceeded) {
			return context.Cause(ctx)
		} else if err != nil {
			return os.ErrClosed
		}
		if cookie[cookieLen-1] == notifyWokenUp {
			n.used.Store(true)
			return nil
		}
		// Removed: this process has closed a descriptor of the same queue, which ends the process's registration
		// (mq_close(3)). If that was ours, register says so. A message that came meanwhile counts.
		if err := n.register(); err != nil {
			return err
		}
		if a, err := n.q.Attr(); err == nil && a.Messages > 0 {
			n.unregister()
			return nil
		}
	}
}

// Close ends the registration, if it isn't used up.
func (n *Notification) Close() error {
	n.unregister()
	return fault("mq_notify", n.q.name, n.socket.Close())
}

// unregister ends the process's registration, if that is still this one.
func (n *Notification) unregister() {
	if !n.used.Swap(true) {
		_ = n.q.now(func(fd uintptr) error { return mqNotify(fd, nil) }) // a closed queue has none
	}
}

func mqNotify(fd uintptr, ev *sigevent) error {
	if _, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, fd, uintptr(unsafe.Pointer(ev)), 0); errno != 0 {
		return errno
	}
	return nil
}
