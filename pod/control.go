package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// The control socket: a SOCK_SEQPACKET socket, 0600, in the pod's directory, on
// which the supervisor does what other podlabs ask for. A connection is one
// request, and what comes of it. Requests and replies are JSON, each in a message
// of the wire (ns.Conn), with descriptors beside it where there are any. The
// supervisor's end hangs up when the pod is gone, with its directory.

const (
	controlFile    = "ctl"
	controlVersion = 1
)

// request is what a client asks for.
type request struct {
	Version int
	Do      string        // exec, signal, stop, state, follow
	Exec    *ExecOptions  `json:",omitempty"` // descriptors: standard input, output, error, unless TTY
	Signal  int           `json:",omitempty"` // for the process of an exec
	Grace   time.Duration `json:",omitempty"` // of stop: PodGrace is the pod's own
}

// reply is what the supervisor answers.
type reply struct {
	Version int
	What    string // terminal (descriptor: the master), started, exited, failed, stopping, state, following, log (descriptor: the file)
	Pid     int    `json:",omitempty"` // on the host
	Code    int    `json:",omitempty"`
	Signal  int    `json:",omitempty"`
	Error   string `json:",omitempty"`
	Hint    string `json:",omitempty"`
	State   *State `json:",omitempty"`
	Log     string `json:",omitempty"` // CONTAINER/FILE
}

// control is the supervisor's side.
type control struct {
	listener *os.File
	asked    chan asked
	done     chan struct{} // closed: nobody hears what is asked any more
	work     sync.WaitGroup
	clients  map[*client]bool
}

// asked is what a connection's reader tells the supervisor: a request, or that
// the connection is new or over.
type asked struct {
	client    *client
	req       *request
	fds       []int
	new, gone bool
}

// client is one connection. The supervisor's goroutine owns it, its reader reads.
type client struct {
	f    *os.File
	conn *ns.Conn
	exec *execution // what it has asked for and waits for
	logs bool       // it follows them
	dead bool
}

// listen makes the socket. Bound through the directory's descriptor: a path of
// 108 bytes is all that unix(7) has room for. It gets its name when it listens: a
// socket that doesn't is how a lost pod looks.
func (d *Dir) listen() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), controlFile)
	const temp = controlFile + ".new"
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + temp})
	if err == nil {
		err = unix.Fchmodat(d.fd, temp, 0o600, 0) // the directory is 0700: nobody else was that quick
	}
	if err == nil {
		err = unix.Listen(fd, 16)
	}
	if err == nil {
		err = unix.Renameat(d.fd, temp, d.fd, controlFile)
	}
	if err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "bind", Path: d.Path + "/" + controlFile, Err: err}
	}
	return f, nil
}

// openControl lets others ask for things from now on.
func (s *supervisor) openControl() error {
	s.control = control{asked: make(chan asked), done: make(chan struct{}), clients: map[*client]bool{}}
	f, err := s.dir.listen()
	if err != nil {
		return err
	}
	s.control.listener = f
	s.control.work.Add(1)
	go s.control.accept()
	return nil
}

// accept takes connections until the listener is closed.
func (c *control) accept() {
	defer c.work.Done()
	raw, err := c.listener.SyscallConn()
	if err != nil {
		return
	}
	for {
		fd := -1
		if rerr := raw.Read(func(l uintptr) bool {
			fd, _, err = unix.Accept4(int(l), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return err != unix.EAGAIN
		}); rerr != nil {
			return // closed
		}
		if err != nil {
			continue // ECONNABORTED, or short of descriptors for a moment
		}
		f := os.NewFile(uintptr(fd), "client")
		conn, err := ns.NewPollConn(f)
		if err != nil || !ours(fd) {
			_ = f.Close()
			continue
		}
		cl := &client{f: f, conn: conn}
		c.tell(asked{client: cl, new: true})
		c.work.Add(1)
		go c.read(cl)
	}
}

// ours: who connected is who runs the pod, or root. The directory's mode says the
// same; this holds where somebody was handed the directory.
func ours(fd int) bool {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	return err == nil && (int(cred.Uid) == os.Geteuid() || cred.Uid == 0)
}

// read passes on what a client asks for, until it hangs up.
func (c *control) read(cl *client) {
	defer c.work.Done()
	for {
		m, err := cl.conn.Recv()
		if err != nil {
			c.tell(asked{client: cl, gone: true})
			return
		}
		a := asked{client: cl, req: new(request), fds: m.FDs}
		if err := json.Unmarshal(m.Data, a.req); err != nil {
			a.req.Do = ""
		}
		c.tell(a)
	}
}

func (c *control) tell(a asked) {
	select {
	case c.asked <- a:
	case <-c.done:
		a.discard()
		if a.new {
			_ = a.client.f.Close()
		}
	}
}

func (a asked) discard() {
	for _, fd := range a.fds {
		_ = unix.Close(fd) // nobody else has it
	}
}

// close hangs up on all clients, which tells them that the pod is gone.
func (c *control) close() {
	if c.listener == nil {
		return
	}
	close(c.done)
	_ = c.listener.Close()
	for cl := range c.clients {
		_ = cl.f.Close()
	}
	c.work.Wait()
}

// hearAsked is what a client wants, or that it is gone.
func (s *supervisor) hearAsked(a asked) {
	switch {
	case a.new:
		s.control.clients[a.client] = true
	case a.gone:
		if x := a.client.exec; x != nil {
			x.client = nil
			x.kill()
		}
		delete(s.control.clients, a.client)
		_ = a.client.f.Close()
		a.client.dead = true
	case a.client.dead:
		// Asked early, and not waited for.
	default:
		err := s.obey(a)
		if errors.Is(err, errBeingBorn) {
			s.early = append(s.early, a)
			return
		}
		if err != nil {
			a.client.refuse(err)
		}
	}
	a.discard() // who was to have them has copies
}

// hearEarly tries again what was asked of a container that was only being born.
func (s *supervisor) hearEarly() {
	early := s.early
	s.early = nil
	for _, a := range early {
		s.hearAsked(a)
	}
}

// obey does what a request says.
func (s *supervisor) obey(a asked) error {
	r := a.req
	switch {
	case r.Version != controlVersion:
		return fmt.Errorf("%s: its supervisor, pid %d, speaks version %d of podlab's control protocol, and was asked in version %d", s.name, os.Getpid(), controlVersion, r.Version)
	case r.Do == "stop":
		a.client.send(reply{What: "stopping"})
		s.emit(Event{Kind: EventStop, Took: s.tree.Policy.Grace})
		s.all(LifeEvent{Kind: LifeStop, Grace: r.Grace})
	case r.Do == "state":
		st := s.state()
		a.client.send(reply{What: "state", State: &st})
	case r.Do == "follow":
		a.client.logs = true
		a.client.send(reply{What: "following"})
	case r.Do == "signal" && a.client.exec != nil:
		a.client.exec.signal(unix.Signal(r.Signal))
	case r.Do == "signal":
		// It has ended in the meantime, which the client has been told.
	case r.Do == "exec" && r.Exec != nil && len(r.Exec.Command) > 0 && a.client.exec == nil:
		fds := a.fds
		if r.Exec.TTY {
			null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("open /dev/null: %w", err)
			}
			defer unix.Close(null)
			fds = []int{null, null, null}
		}
		if len(fds) != 3 {
			return errors.New("exec: want three descriptors")
		}
		return s.startExec(a.client, *r.Exec, fds)
	default:
		return fmt.Errorf("%s: asked for something that this podlab doesn't know", s.name)
	}
	return nil
}

// clientPatience is how long a client may take to read what it has asked for:
// its socket has room for all of it, so it is one that doesn't read at all.
const clientPatience = 100 * time.Millisecond

// send tells the client something, if it is still there.
func (cl *client) send(r reply, fds ...int) {
	if cl == nil || cl.dead {
		return
	}
	r.Version = controlVersion
	data, err := json.Marshal(r)
	if err == nil {
		_ = cl.f.SetWriteDeadline(time.Now().Add(clientPatience)) // a socket has deadlines
		err = cl.conn.Send(ns.Message{Data: data, FDs: fds})
	}
	if err != nil {
		cl.dead = true // its reader will say that it's gone
	}
}

// refuse answers a request that can't be done.
func (cl *client) refuse(err error) { cl.send(reply{What: "failed", Code: 125, Error: err.Error()}) }

// roundTrip is a client's side: it sends a request.
func (r request) sendTo(conn *ns.Conn, fds ...int) error {
	r.Version = controlVersion
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return conn.Send(ns.Message{Data: data, FDs: fds})
}

// receive is a client's side: it waits for a reply. io.EOF: the pod is gone.
func receive(conn *ns.Conn) (reply, []int, error) {
	var r reply
	m, err := conn.Recv()
	if errors.Is(err, os.ErrClosed) {
		err = io.EOF
	}
	if err != nil {
		return r, nil, err
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return r, m.FDs, fmt.Errorf("control socket: %w", err)
	}
	return r, m.FDs, nil
}
