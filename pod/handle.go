package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// Handle is a running pod, run by some other podlab: what can be asked of its
// supervisor. It holds no connection and no lock; the pod may end at any time.
type Handle struct {
	Namespace, Name string
	dir             int
	path            string
}

// ErrGone says that the pod ended while something was asked of it.
var ErrGone = errors.New("the pod is gone")

// Open finds a pod. os.ErrNotExist: there is none.
func Open(r *Root, namespace, name string) (*Handle, error) {
	entry, err := entryName(namespace, name)
	if err != nil {
		return nil, err
	}
	dir, err := openBeneath(r.fd, entry, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, openError(r.Path+"/"+entry, err)
	}
	return &Handle{Namespace: namespace, Name: name, dir: dir, path: r.Path + "/" + entry}, nil
}

// Close lets go of the handle; the pod doesn't notice.
func (h *Handle) Close() error { return unix.Close(h.dir) }

// connectPatience is how long a supervisor may take to let somebody in: it does so
// at once, unless it is stopped.
const connectPatience = 5 * time.Second

// connect opens a connection for one request.
func (h *Handle) connect() (*os.File, *ns.Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket: %w", err)
	}
	// connect(2) waits while as many wait as listen(2) has allowed: for ever, if the
	// supervisor is stopped. SO_SNDTIMEO ends that too, socket(7), with EAGAIN.
	limit := unix.NsecToTimeval(connectPatience.Nanoseconds())
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit) // can't fail for a socket and such a time
	for err = unix.EINTR; err == unix.EINTR; {                                // with a time limit it isn't restarted, signal(7)
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(h.dir) + "/" + controlFile})
	}
	switch {
	case err == unix.EAGAIN:
		err = fmt.Errorf("%s: its supervisor doesn't answer", h.Name)
	case errors.Is(err, unix.ECONNREFUSED):
		err = fmt.Errorf("%s: a lost pod: nothing of it runs", h.Name)
	case errors.Is(err, unix.ENOENT):
		err = fmt.Errorf("%s: it is just being made, or ending", h.Name)
	case err != nil:
		err = &os.PathError{Op: "connect", Path: h.path + "/" + controlFile, Err: err}
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), controlFile)
	conn, err := ns.NewPollConn(f)
	return f, conn, err
}

// ask sends one request and waits for the first reply.
func (h *Handle) ask(ctx context.Context, r request) (*os.File, *ns.Conn, reply, error) {
	f, conn, err := h.connect()
	if err != nil {
		return nil, nil, reply{}, err
	}
	defer endWith(ctx, f.SetDeadline)()
	err = r.sendTo(conn)
	var re reply
	if err == nil {
		re, _, err = receive(conn)
	}
	if err == nil && re.What == "failed" {
		err = re.err()
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, re, h.gone(ctx, err)
	}
	return f, conn, re, nil
}

// endWith has the waits of a connection end when ctx does, until stop is called:
// then it waits again, whatever became of ctx.
func endWith(ctx context.Context, setDeadline func(time.Time) error) (stop func()) {
	fired := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = setDeadline(time.Unix(1, 0)) // long past; only a closed connection has an error, and nobody waits for it
	})
	return func() {
		if !unhook() {
			<-fired
			_ = setDeadline(time.Time{}) // as above
		}
	}
}

// gone makes sense of a hung-up connection.
func (h *Handle) gone(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE):
		return fmt.Errorf("%s: %w", h.Name, ErrGone)
	}
	return err
}

// State asks the supervisor how the pod is.
func (h *Handle) State(ctx context.Context) (State, error) {
	f, _, r, err := h.ask(ctx, request{Do: "state"})
	if err != nil {
		return State{}, err
	}
	_ = f.Close()
	if r.State == nil {
		return State{}, fmt.Errorf("%s: no state in the answer", h.Name)
	}
	return *r.State, nil
}

// Stop ends the pod as its manifest says, or with another grace (PodGrace is the
// manifest's), and returns when it is gone with all that it had.
func (h *Handle) Stop(ctx context.Context, grace time.Duration) error {
	f, conn, _, err := h.ask(ctx, request{Do: "stop", Grace: grace})
	if err != nil {
		return err
	}
	defer f.Close()
	return h.untilGone(ctx, f, conn)
}

// untilGone waits until the supervisor hangs up.
func (h *Handle) untilGone(ctx context.Context, f *os.File, conn *ns.Conn) error {
	defer endWith(ctx, f.SetDeadline)()
	for {
		_, fds, err := receive(conn)
		for _, fd := range fds {
			_ = unix.Close(fd) // not asked for
		}
		if err != nil {
			if err = h.gone(ctx, err); errors.Is(err, ErrGone) {
				return nil
			}
			return err
		}
	}
}

func (r reply) err() error {
	err := &ExecError{Code: r.Code, Msg: r.Error}
	if r.Hint != "" {
		return &HintError{err, r.Hint}
	}
	return err
}

// ExecError is why the supervisor did not do what it was asked for. Code is what
// a shell would exit with: 126 not executable, 127 not found, 125 anything else.
type ExecError struct {
	Code int
	Msg  string
}

func (e *ExecError) Error() string { return e.Msg }

// Execution is a process that Exec has put into a container. It is killed when
// the Execution is closed, or its holder dies.
type Execution struct {
	Pid      int // on the host
	h        *Handle
	f        *os.File
	conn     *ns.Conn
	terminal *os.File
}

// Exec runs a program in a container and returns when it runs. The error is an
// *ExecError if it doesn't. Close what comes back.
func (h *Handle) Exec(ctx context.Context, o ExecOptions) (*Execution, error) {
	f, conn, err := h.connect()
	if err != nil {
		return nil, err
	}
	x := &Execution{h: h, f: f, conn: conn}
	defer endWith(ctx, f.SetDeadline)()
	if err := x.start(o); err != nil {
		_ = x.Close()
		return nil, h.gone(ctx, err)
	}
	return x, nil
}

func (x *Execution) start(o ExecOptions) error {
	var fds []int
	if !o.TTY {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer null.Close()
		for _, f := range []*os.File{o.Stdin, o.Stdout, o.Stderr} {
			if f == nil {
				f = null
			}
			fds = append(fds, int(f.Fd())) // and blocking, as programs expect it
		}
	}
	o.Stdin, o.Stdout, o.Stderr = nil, nil, nil
	if err := (request{Do: "exec", Exec: &o}).sendTo(x.conn, fds...); err != nil {
		return err
	}
	for {
		r, fds, err := receive(x.conn)
		switch {
		case err != nil:
			return err
		case r.What == "failed":
			return r.err()
		case r.What == "terminal" && len(fds) == 1:
			x.terminal = pollable(fds[0], "terminal")
		case r.What == "started":
			x.Pid = r.Pid
			return nil
		}
	}
}

// Wait waits for the program's end. The error is ErrGone, wrapped, if the pod
// ended first, and its processes with it. When ctx ends, so does the waiting, and
// nothing else.
func (x *Execution) Wait(ctx context.Context) (code int, signal unix.Signal, err error) {
	defer endWith(ctx, x.f.SetReadDeadline)()
	for {
		r, _, err := receive(x.conn)
		switch {
		case err != nil:
			return 0, 0, x.h.gone(ctx, err)
		case r.What == "exited":
			return r.Code, unix.Signal(r.Signal), nil
		case r.What == "failed":
			return 0, 0, r.err()
		}
	}
}

// Signal sends the program a signal.
func (x *Execution) Signal(sig unix.Signal) error {
	return request{Do: "signal", Signal: int(sig)}.sendTo(x.conn)
}

// Terminal is the master of the program's terminal, if it was given one: what it
// prints is read there, what is typed is written, and TIOCSWINSZ of ioctl_tty(2)
// sets its size.
func (x *Execution) Terminal() *os.File { return x.terminal }

// Close lets go of the program, and kills it if it still runs.
func (x *Execution) Close() error {
	if x.terminal != nil {
		_ = x.terminal.Close() // hangs it up
	}
	return x.f.Close()
}
