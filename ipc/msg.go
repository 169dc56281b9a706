package ipc

import (
	"context"
	"io/fs"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Msg is the identifier of a System V message queue.
type Msg int

// Flags of msgrcv(2), which x/sys has no names for (linux/msg.h).
const (
	msgNoError = 0o10000
	msgExcept  = 0o20000
)

// GetMsg finds the queue of a key, or makes one.
func GetMsg(k Key, g Get) (Msg, error) {
	id, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(k), uintptr(g.flags()), 0)
	if errno != 0 {
		return -1, keyError("msgget", k, errno)
	}
	return Msg(id), nil
}

// Message is one entry of a queue.
type Message struct {
	Type int64 // > 0: what a receiver chooses by
	Data []byte
}

// msgbuf is a message as the kernel takes and gives it (struct msgbuf, msgop(2)): a long, and the text behind it. The
// kernel looks for the text at the address of the long plus 8, so that one allocation must hold both.
type msgbuf []int64

func newMsgbuf(size int) msgbuf { return make(msgbuf, 1+(size+7)/8) }

// text is the room for the text, a few bytes more than it was made for.
func (b msgbuf) text() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b[1:]))), 8*(len(b)-1))
}

// Send appends a message, waiting for room. EINVAL for a type below 1 and for more than msgmax bytes.
func (q Msg) Send(ctx context.Context, m Message) error { return q.send(ctx, m, 0) }

// TrySend appends a message, or says EAGAIN where there is no room.
func (q Msg) TrySend(m Message) error { return q.send(context.Background(), m, unix.IPC_NOWAIT) }

func (q Msg) send(ctx context.Context, m Message, flags int) error {
	buf := newMsgbuf(len(m.Data))
	buf[0] = m.Type
	copy(buf.text(), m.Data)
	return idError("msgsnd", q, waiting(ctx, unix.EAGAIN, func(noWait int) unix.Errno {
		_, _, errno := unix.Syscall6(unix.SYS_MSGSND, uintptr(q), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(m.Data)), uintptr(flags|noWait), 0, 0)
		return errno
	}))
}

// ReceiveOptions says what may be received.
type ReceiveOptions struct {
	Size    int  // the longest text that is wanted; 0: however long it is
	NoError bool // cut a longer text to Size; otherwise it is E2BIG, and the message stays (MSG_NOERROR)
	Except  bool // with a type > 0: the first message of any other type (MSG_EXCEPT)
}

// Receive takes a message from the queue, waiting for one. typ 0 is the first of all; typ > 0 the first of that type;
// typ < 0 the first of the lowest type that is at most -typ (msgop(2)).
func (q Msg) Receive(ctx context.Context, typ int64, o ReceiveOptions) (Message, error) {
	return q.receive(ctx, typ, o, 0)
}

// TryReceive takes a message that is there, or says ENOMSG.
func (q Msg) TryReceive(typ int64, o ReceiveOptions) (Message, error) {
	return q.receive(context.Background(), typ, o, unix.IPC_NOWAIT)
}

// usualMax is the kernel's default of msgmax: most messages on most machines fit.
const usualMax = 8192

// usual has buffers of usualMax, so that a receiver in a loop doesn't make 8 KiB of garbage for each small message.
var usual = sync.Pool{New: func() any { b := newMsgbuf(usualMax); return &b }}

func (q Msg) receive(ctx context.Context, typ int64, o ReceiveOptions, flags int) (Message, error) {
	if o.NoError && o.Size > 0 {
		flags |= msgNoError
	}
	if o.Except {
		flags |= msgExcept
	}
	size := o.Size
	if size <= 0 {
		size = usualMax
	}
	pooled := usual.Get().(*msgbuf)
	defer usual.Put(pooled)
	for buf := *pooled; ; size *= 2 {
		if size > usualMax {
			buf = newMsgbuf(size)
		}
		var n uintptr
		err := waiting(ctx, unix.ENOMSG, func(noWait int) (errno unix.Errno) {
			n, _, errno = unix.Syscall6(unix.SYS_MSGRCV, uintptr(q), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(size), uintptr(typ), uintptr(flags|noWait), 0)
			return errno
		})
		switch {
		case err == nil:
			return Message{Type: buf[0], Data: append([]byte{}, buf.text()[:n]...)}, nil
		case err != unix.E2BIG || o.Size > 0:
			return Message{}, idError("msgrcv", q, err)
		}
		// E2BIG leaves the message where it is. msgmax at this moment says nothing about its length: it may
		// have been lowered since.
	}
}

// MsgStat is what the kernel knows of a queue (struct msqid_ds, msgctl(2)).
type MsgStat struct {
	Perm                              Permissions
	Messages                          int
	Bytes, MaxBytes                   int // of all texts; MaxBytes is msgmnb when the queue is made
	LastSendPid, LastReceivePid       int // 0 for a process outside the caller's PID namespace
	SendTime, ReceiveTime, ChangeTime time.Time
}

// msqidDS is struct msqid64_ds of 64-bit machines (asm-generic/msgbuf.h).
type msqidDS struct {
	perm                 unix.SysvIpcPerm
	stime, rtime, ctime  int64
	cbytes, qnum, qbytes uint64
	lspid, lrpid         int32
	_                    [2]uint64
}

func (q Msg) control(cmd int, d *msqidDS) error {
	_, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(q), uintptr(cmd), uintptr(unsafe.Pointer(d)))
	return idError("msgctl", q, failure(errno))
}

// Stat asks the kernel. It takes read permission.
func (q Msg) Stat() (MsgStat, error) {
	var d msqidDS
	if err := q.control(unix.IPC_STAT, &d); err != nil {
		return MsgStat{}, err
	}
	return MsgStat{
		Perm: permissions(&d.perm), Messages: int(d.qnum), Bytes: int(d.cbytes), MaxBytes: int(d.qbytes),
		LastSendPid: int(d.lspid), LastReceivePid: int(d.lrpid),
		SendTime: seconds(d.stime), ReceiveTime: seconds(d.rtime), ChangeTime: seconds(d.ctime),
	}, nil
}

// SetPerm changes owner and mode; an id of -1 stays as it is. Only the owner, the creator and CAP_SYS_ADMIN may. It
// takes read permission, because IPC_SET sets the size as well, and EPERM may be about that: see SetBytes.
func (q Msg) SetPerm(uid, gid int, mode fs.FileMode) error {
	var d msqidDS
	if err := q.control(unix.IPC_STAT, &d); err != nil {
		return err
	}
	if err := change(&d.perm, uid, gid, mode, func() error { return nil }); err != nil {
		return err
	}
	return q.control(unix.IPC_SET, &d)
}

// SetBytes changes how many bytes of text the queue holds, and wakes who waits for room. Above msgmnb it takes
// CAP_SYS_RESOURCE (msgctl(2)).
func (q Msg) SetBytes(n int) error {
	var d msqidDS
	if err := q.control(unix.IPC_STAT, &d); err != nil {
		return err
	}
	d.qbytes = uint64(n)
	return q.control(unix.IPC_SET, &d)
}

// Remove takes the queue and its messages away at once. Whoever waits on it wakes with EIDRM.
func (q Msg) Remove() error { return q.control(unix.IPC_RMID, nil) }
