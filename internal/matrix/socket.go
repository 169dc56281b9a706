package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long one end of a connection waits for the other: both are probes, on one machine.
const patience = 2 * time.Second

// heldListener answers everybody who connects: it reads a token and gives one.
type heldListener struct {
	place    string
	out      string
	listener net.Listener
	backs    chan string
	over     sync.WaitGroup
}

func listenUnix(place, out string) (held, error) {
	address, done, err := shortPath(place)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, plain("bind", place, err)
	}
	l.SetUnlinkOnClose(false) // the address is good only until done
	return listen(place, out, l)
}

func listenTCP(place, out string) (held, error) {
	l, err := net.Listen("tcp4", place)
	if err != nil {
		return nil, plain("bind", place, err)
	}
	return listen(l.Addr().String(), out, l)
}

func listen(place, out string, l net.Listener) (held, error) {
	if err := checkToken(out); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	h := &heldListener{place: place, out: out, listener: l, backs: make(chan string, 64)}
	h.over.Go(h.serve)
	return h, nil
}

// serve ends when the listener is closed.
func (h *heldListener) serve() {
	for {
		c, err := h.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			h.answer(c)
		}
	}
}

// answer is one exchange. What comes back is noted before anything goes out: a viewer that has its token knows that
// the owner has the viewer's. Of a stranger who says something else, or nothing, only the time is lost.
func (h *heldListener) answer(c net.Conn) {
	defer c.Close()
	if c.SetDeadline(time.Now().Add(patience)) != nil {
		return
	}
	var back [tokenLen]byte
	if _, err := io.ReadFull(c, back[:]); err != nil {
		return
	}
	select {
	case h.backs <- string(back[:]):
		_, _ = io.WriteString(c, h.out) // the viewer reports what it got
	default: // nobody has looked for long
	}
}

func (h *heldListener) where() string { return h.place }

func (h *heldListener) check() (back string, _ error) {
	for {
		select {
		case back = <-h.backs:
		default:
			return back, nil
		}
	}
}

func (h *heldListener) close() error {
	err := h.listener.Close()
	h.over.Wait()
	return err
}

func lookUnix(place, back string) (string, error) {
	address, done, err := shortPath(place)
	if err != nil {
		return "", err
	}
	defer done()
	return connect("unix", address, place, back)
}

func lookTCP(place, back string) (string, error) { return connect("tcp4", place, place, back) }

func connect(network, address, place, back string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return "", plain("connect", place, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", plain("connect", place, err)
	}
	if _, err := io.WriteString(c, back); err != nil {
		return "", plain("write", place, err)
	}
	var out [tokenLen]byte
	if _, err := io.ReadFull(c, out[:]); err != nil {
		return "", plain("read", place, err)
	}
	return string(out[:]), nil
}

// plain is err as the other kinds of object give theirs: the call, the object, the errno.
func plain(op, place string, err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return &os.PathError{Op: op, Path: place, Err: err}
}

// maxAddress is the room for a path in struct sockaddr_un, with its terminating zero (unix(7)).
const maxAddress = 108

// shortPath is an address for a socket whose path may be too long for one: through the descriptor of its directory.
// It is good until done.
func shortPath(place string) (address string, done func(), err error) {
	if len(place) < maxAddress {
		return place, func() {}, nil
	}
	fd, err := unix.Open(filepath.Dir(place), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: filepath.Dir(place), Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(place)), func() { _ = unix.Close(fd) }, nil // only a name was looked up through it
}
