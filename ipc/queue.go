package ipc

import (
	"context"
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Queue is an open POSIX message queue, mq_overview(7). Its descriptor is a file's: Go's poller waits for it, so
// that no thread is blocked while a goroutine waits. Its methods may be called from several goroutines at once.
type Queue struct {
	name string
	file *os.File
	conn rawConn
	size int64 // of the largest message; fixed when the queue was made
	// The poller lets one goroutine wait in each direction, and its deadline is the file's, not the waiter's. Whoever
	// waits holds the gate; the others wait for the gate, each with its own context.
	sending, receiving chan struct{}
	buf                []byte // belongs to who holds receiving
}

// rawConn is what os.File gives of itself.
type rawConn interface {
	Control(func(fd uintptr)) error
	Read(func(fd uintptr) bool) error
	Write(func(fd uintptr) bool) error
}

// QueueAttr is struct mq_attr. MaxMessages and MessageSize count when a queue is made; Messages is how many it holds.
type QueueAttr struct {
	MaxMessages int64 `json:"maxMessages"`
	MessageSize int64 `json:"messageSize"`
	Messages    int64 `json:"messages"`
}

// MaxPriority is the highest priority of a message; 0 is the lowest.
const MaxPriority = 32768 - 1 // MQ_PRIO_MAX of the kernel, less one

// mqAttr is struct mq_attr of a 64-bit kernel.
type mqAttr struct {
	flags, maxmsg, msgsize, curmsgs int64
	_                               [4]int64
}

// OpenQueue opens a message queue in the caller's IPC namespace, or makes one. a may be nil: then a new queue gets
// fs.mqueue.msg_default and msgsize_default of the namespace. A queue that is there already keeps its attributes.
func OpenQueue(name string, o Open, a *QueueAttr) (*Queue, error) {
	file, err := component(name, "")
	if err != nil {
		return nil, fault("mq_open", name, err)
	}
	flags := unix.O_RDWR
	if o.ReadOnly {
		flags = unix.O_RDONLY
	}
	flags |= unix.O_NONBLOCK | unix.O_CLOEXEC // the poller waits, not mq_timedreceive
	if o.Create {
		flags |= unix.O_CREAT
		if o.Exclusive {
			flags |= unix.O_EXCL
		}
	}
	fd, err := mqOpen(file, flags, uint32(o.Perm.Perm()), a)
	if err != nil {
		return nil, fault("mq_open", name, err)
	}
	attr, err := mqGetAttr(fd)
	if err != nil {
		_ = unix.Close(fd) // err is what counts
		return nil, fault("mq_getattr", name, err)
	}
	q := &Queue{name: name, file: os.NewFile(uintptr(fd), name), size: attr.MessageSize,
		sending: make(chan struct{}, 1), receiving: make(chan struct{}, 1)}
	if q.conn, err = q.file.SyscallConn(); err != nil {
		return nil, err // not for a file that has just been opened
	}
	return q, nil
}

// mqOpen is mq_open(2). The kernel wants the name without the slash, which is the C library's to take off.
func mqOpen(name string, flags int, mode uint32, a *QueueAttr) (fd int, err error) {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	var attr *mqAttr
	if a != nil {
		attr = &mqAttr{maxmsg: a.MaxMessages, msgsize: a.MessageSize}
	}
	r, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), uintptr(flags), uintptr(mode), uintptr(unsafe.Pointer(attr)), 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// mqGetAttr is mq_getattr(3). It takes the descriptor of a file of an mqueue file system as well.
func mqGetAttr(fd int) (QueueAttr, error) {
	var a mqAttr
	_, _, errno := unix.Syscall(unix.SYS_MQ_GETSETATTR, uintptr(fd), 0, uintptr(unsafe.Pointer(&a)))
	if errno != 0 {
		return QueueAttr{}, errno
	}
	return QueueAttr{MaxMessages: a.maxmsg, MessageSize: a.msgsize, Messages: a.curmsgs}, nil
}

// RemoveQueue takes the name away. The queue is gone with its last descriptor.
func RemoveQueue(name string) error {
	file, err := component(name, "")
	if err != nil {
		return fault("mq_unlink", name, err)
	}
	p, err := unix.BytePtrFromString(file)
	if err != nil {
		return fault("mq_unlink", name, err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0); errno != 0 {
		return fault("mq_unlink", name, errno)
	}
	return nil
}

// Send puts a message into the queue, and waits while the queue is full. It is received before all of lower
// priority and after those of the same that came earlier.
func (q *Queue) Send(ctx context.Context, data []byte, priority uint32) error {
	err := q.wait(ctx, q.sending, q.conn.Write, q.file.SetWriteDeadline, func(fd uintptr) error { return mqSend(fd, data, priority) })
	return fault("mq_send", q.name, err)
}

// TrySend is Send that doesn't wait: EAGAIN if the queue is full.
func (q *Queue) TrySend(data []byte, priority uint32) error {
	err := q.now(func(fd uintptr) error { return mqSend(fd, data, priority) })
	return fault("mq_send", q.name, err)
}

// Receive takes the oldest of the messages with the highest priority out of the queue, and waits while it is empty.
func (q *Queue) Receive(ctx context.Context) (data []byte, priority uint32, err error) {
	err = q.wait(ctx, q.receiving, q.conn.Read, q.file.SetReadDeadline, func(fd uintptr) error {
		if q.buf == nil {
			q.buf = make([]byte, q.size) // EMSGSIZE for a smaller one, whatever the message's size
		}
		n, prio, err := mqReceive(fd, q.buf)
		if err == nil {
			data, priority = append([]byte{}, q.buf[:n]...), prio
		}
		return err
	})
	return data, priority, fault("mq_receive", q.name, err)
}

// TryReceive is Receive that doesn't wait: EAGAIN if the queue is empty.
func (q *Queue) TryReceive() (data []byte, priority uint32, err error) {
	buf := make([]byte, q.size)
	err = q.now(func(fd uintptr) error {
		n, prio, err := mqReceive(fd, buf)
		if err == nil {
			data, priority = buf[:n:n], prio
		}
		return err
	})
	return data, priority, fault("mq_receive", q.name, err)
}

// now makes a call that doesn't block.
func (q *Queue) now(call func(fd uintptr) error) (err error) {
	if err2 := q.conn.Control(func(fd uintptr) { err = call(fd) }); err2 != nil {
		return os.ErrClosed
	}
	return err
}

// wait makes a call again and again, until it gives anything but EAGAIN or ctx ends. A call that has succeeded
// counts, whatever became of ctx meanwhile: no message is lost.
func (q *Queue) wait(ctx context.Context, gate chan struct{}, poll func(func(uintptr) bool) error,
	setDeadline func(time.Time) error, call func(fd uintptr) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case gate <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-gate }()
	if ctx.Done() != nil {
		fired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(fired)
			_ = setDeadline(time.Unix(1, 0)) // long past; only a closed file has an error, and nobody waits for it
		})
		defer func() {
			if !stop() {
				<-fired
				_ = setDeadline(time.Time{}) // as above
			}
		}()
	}
	pollErr := poll(func(fd uintptr) bool {
		err = call(fd)
		return err != unix.EAGAIN
	})
	switch {
	case pollErr == nil:
		return err
	case errors.Is(pollErr, os.ErrDeadlineExceeded):
		return context.Cause(ctx)
	}
	return os.ErrClosed
}

func mqSend(fd uintptr, data []byte, priority uint32) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), uintptr(priority), 0, 0)
		if errno == 0 {
			return nil
		} else if errno != unix.EINTR {
			return errno
		}
	}
}

func mqReceive(fd uintptr, buf []byte) (n int, priority uint32, err error) {
	for {
		r, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), uintptr(unsafe.Pointer(&priority)), 0, 0)
		if errno == 0 {
			return int(r), priority, nil
		} else if errno != unix.EINTR {
			return 0, 0, errno
		}
	}
}

// Attr returns the queue's attributes, and how many messages it holds now.
func (q *Queue) Attr() (a QueueAttr, err error) {
	err = q.now(func(fd uintptr) (err error) { a, err = mqGetAttr(int(fd)); return err })
	return a, fault("mq_getattr", q.name, err)
}

// File is the queue's descriptor, for who wants to poll or stat it. It is the queue's: Close closes both.
func (q *Queue) File() *os.File { return q.file }

// Close closes the descriptor; who waits with it is told os.ErrClosed. The queue stays.
func (q *Queue) Close() error {
	if q.file.Close() != nil {
		return fault("mq_close", q.name, os.ErrClosed)
	}
	return nil
}
