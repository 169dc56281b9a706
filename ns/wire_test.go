package ns

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRecvCutShort: of a message whose sender dies in the middle of it, nothing
// stays open.
func TestRecvCutShort(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := make([]byte, headerLen)
	first[1] = 1 // there is more
	if err := unix.Sendmsg(pair[0], first, unix.UnixRights(int(w.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(pair[0])
	_ = w.Close()
	c := NewConn(pair[1])
	defer c.Close()
	if m, err := c.Recv(); err != io.EOF || len(m.FDs) != 0 {
		t.Errorf("got %+v, %v, want %v and no descriptors", m, err, io.EOF)
	}
	// The pipe's other end is closed only if nobody has it.
	if n, err := unix.FcntlInt(r.Fd(), unix.F_SETFL, unix.O_NONBLOCK); err != nil {
		t.Fatal(n, err)
	}
	if n, err := unix.Read(int(r.Fd()), make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the descriptor that came along is still open: read(2) gives %d, %v, want the end", n, err)
	}
}
