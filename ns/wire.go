package ns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The supervisor and the pod stage talk over a SOCK_SEQPACKET pair: messages
// keep their bounds, descriptors can go along, and end of file means that the
// other side is gone, however it went. A message longer than a packet goes in
// several.

// MessageKind says what a Message is about.
type MessageKind uint8

const (
	MsgStart   MessageKind = iota + 1 // supervisor: fork container ID with Arg as its Kinds and the table in Data; descriptors: report, stdin, stdout, stderr
	MsgAdopt                          // supervisor: container ID is a child already; Arg is its pid
	MsgExec                           // supervisor: as MsgStart, for a table that joins a container with Setns and goes on in a child (Refork), which MsgAdopt will name; one more descriptor: the container's pidfd
	MsgSignal                         // supervisor: send signal Arg to container ID
	MsgStarted                        // stage: container ID is forked; descriptor: its pidfd
	MsgExited                         // stage: container ID ended; Arg is its wait status
	MsgFailed                         // stage: container ID could not be forked; Arg is the errno
)

// A Message is one thing said between supervisor and pod stage.
type Message struct {
	Kind MessageKind
	ID   uint32 // of the container
	Arg  uint64
	Data []byte
	FDs  []int // the receiver owns them; they are close-on-exec
}

// Conn is one end of the socket.
type Conn struct {
	fd  int
	raw syscall.RawConn // of NewPollConn
	buf []byte
}

const (
	headerLen = 16
	packetLen = 64 << 10 // below the smallest send buffer that Linux gives
	maxData   = 64 << 20 // far above what execve(2) takes
	maxFDs    = 8
)

// NewConn speaks over fd, which it owns from now on. Waiting blocks a thread.
func NewConn(fd int) *Conn { return &Conn{fd: fd} }

// NewPollConn speaks over f, whose descriptor is nonblocking and which stays the
// caller's: waiting costs no thread, f's deadlines count, and closing f ends it.
func NewPollConn(f *os.File) (*Conn, error) {
	raw, err := f.SyscallConn()
	return &Conn{fd: -1, raw: raw}, err
}

// Close hangs up.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// HangUp tells the other side, and whoever waits in Recv, that there is no more:
// shutdown(2).
func (c *Conn) HangUp() { _ = unix.Shutdown(c.fd, unix.SHUT_RDWR) } // ENOTCONN: it has hung up

// Send sends m and the descriptors in it, which stay the caller's too.
func (c *Conn) Send(m Message) error {
	data := m.Data
	rights := []byte(nil)
	if len(m.FDs) > 0 {
		rights = unix.UnixRights(m.FDs...)
	}
	for {
		n := min(len(data), packetLen-headerLen)
		p := make([]byte, headerLen, headerLen+n)
		p[0] = byte(m.Kind)
		if n < len(data) {
			p[1] = 1 // there is more
		}
		binary.NativeEndian.PutUint32(p[4:], m.ID)
		binary.NativeEndian.PutUint64(p[8:], m.Arg)
		p = append(p, data[:n]...)
		if err := c.sendPacket(p, rights); err != nil {
			return fmt.Errorf("sendmsg: %w", err)
		}
		if data, rights = data[n:], nil; len(data) == 0 {
			return nil
		}
	}
}

func (c *Conn) sendPacket(p, rights []byte) error {
	for {
		err := c.sendmsg(p, rights)
		if err != unix.EINTR {
			return err
		}
	}
}

func (c *Conn) sendmsg(p, rights []byte) (err error) {
	if c.raw == nil {
		return unix.Sendmsg(c.fd, p, rights, nil, unix.MSG_NOSIGNAL)
	}
	if werr := c.raw.Write(func(fd uintptr) bool {
		err = unix.Sendmsg(int(fd), p, rights, nil, unix.MSG_NOSIGNAL)
		return err != unix.EAGAIN
	}); werr != nil {
		return werr
	}
	return err
}

func (c *Conn) recvmsg(p, oob []byte) (n, oobn, flags int, err error) {
	if c.raw == nil {
		n, oobn, flags, _, err = unix.Recvmsg(c.fd, p, oob, unix.MSG_CMSG_CLOEXEC)
		return n, oobn, flags, err
	}
	if rerr := c.raw.Read(func(fd uintptr) bool {
		n, oobn, flags, _, err = unix.Recvmsg(int(fd), p, oob, unix.MSG_CMSG_CLOEXEC)
		return err != unix.EAGAIN
	}); rerr != nil {
		return 0, 0, 0, rerr
	}
	return n, oobn, flags, err
}

// Recv waits for the next message. io.EOF means that the other side is gone.
func (c *Conn) Recv() (Message, error) {
	if c.buf == nil {
		c.buf = make([]byte, packetLen)
	}
	var m Message
	for {
		oob := make([]byte, unix.CmsgSpace(4*maxFDs))
		n, oobn, flags, err := c.recvmsg(c.buf, oob)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ECONNRESET || err == nil && n == 0:
			closeAll(m.FDs) // of a message that was cut short
			return Message{}, io.EOF
		case err != nil:
			closeAll(m.FDs) // likewise
			return Message{}, fmt.Errorf("recvmsg: %w", err)
		}
		m.FDs = append(m.FDs, rightsOf(oob[:oobn])...)
		if n < headerLen || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(m.Data) > maxData {
			closeAll(m.FDs)
			return Message{}, errors.New("recvmsg: a packet that podlab did not send")
		}
		m.Kind = MessageKind(c.buf[0])
		m.ID = binary.NativeEndian.Uint32(c.buf[4:])
		m.Arg = binary.NativeEndian.Uint64(c.buf[8:])
		m.Data = append(m.Data, c.buf[headerLen:n]...)
		if c.buf[1] == 0 {
			return m, nil
		}
	}
}

func rightsOf(oob []byte) (fds []int) {
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, c := range cmsgs {
		if f, err := unix.ParseUnixRights(&c); err == nil {
			fds = append(fds, f...)
		}
	}
	return fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // nobody else has it
	}
}

const callLen = 7*8 + 4 + 3 + 2 + 3*4 + 3

// Encode is the table for another process.
func (t *Table) Encode() []byte {
	if t.ready {
		panic("ns: a table that ran can't be sent: it holds addresses of this process")
	}
	e := binary.NativeEndian
	b := make([]byte, 0, 12+len(t.calls)*callLen+4*len(t.ptrs)+len(t.mem))
	b = e.AppendUint32(b, uint32(len(t.calls)))
	b = e.AppendUint32(b, uint32(len(t.ptrs)))
	b = e.AppendUint32(b, uint32(len(t.mem)))
	for i := range t.calls {
		c := &t.calls[i]
		b = e.AppendUint64(b, c.nr)
		for _, a := range c.args {
			b = e.AppendUint64(b, a)
		}
		b = e.AppendUint32(b, c.step)
		b = append(b, c.mem, c.reg, c.skip, 0)
		b = e.AppendUint32(b, uint32(c.out))
		for _, errno := range c.ok {
			b = e.AppendUint32(b, errno)
		}
	}
	for _, p := range t.ptrs {
		b = e.AppendUint32(b, p)
	}
	return append(b, t.mem...)
}

// DecodeTable is the inverse of Encode. The steps don't travel: the receiver
// makes calls and need not know why.
func DecodeTable(b []byte) (*Table, error) {
	e := binary.NativeEndian
	if len(b) < 12 {
		return nil, errors.New("table: too short")
	}
	calls, ptrs, mem := int(e.Uint32(b)), int(e.Uint32(b[4:])), int(e.Uint32(b[8:]))
	if b = b[12:]; calls > len(b)/callLen || ptrs > len(b)/4 || len(b) != calls*callLen+4*ptrs+mem {
		return nil, errors.New("table: lengths don't add up")
	}
	t := &Table{calls: make([]call, calls), own: calls, ptrs: make([]uint32, ptrs), mem: make([]byte, mem)}
	copy(t.mem, b[calls*callLen+4*ptrs:])
	for i := range t.calls {
		c, p := &t.calls[i], b[i*callLen:]
		c.nr, c.step = e.Uint64(p), e.Uint32(p[56:])
		c.mem, c.reg, c.skip, c.out = p[60], p[61], p[62], uint16(e.Uint32(p[64:]))
		for j := range c.args {
			if c.args[j] = e.Uint64(p[8+8*j:]); c.mem>>j&1 != 0 && c.args[j] >= uint64(mem) {
				return nil, fmt.Errorf("table: call %d points outside", i)
			}
		}
		for j := range c.ok {
			c.ok[j] = e.Uint32(p[68+4*j:])
		}
	}
	for i := range t.ptrs {
		if t.ptrs[i] = e.Uint32(b[calls*callLen+4*i:]); int(t.ptrs[i]) > mem-8 || t.ptrs[i]%8 != 0 {
			return nil, fmt.Errorf("table: pointer %d lies outside", i)
		}
	}
	return t, nil
}

// ExitStatus is how a process ended, from its wait status: the code it exited
// with, or 128 and the signal as shells count.
func ExitStatus(status uint64) (code int, signal syscall.Signal) {
	ws := syscall.WaitStatus(status)
	if ws.Signaled() {
		return 128 + int(ws.Signal()), ws.Signal()
	}
	return ws.ExitStatus(), 0
}
