package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/podlab/podlab/pod"
)

func execCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "POD[/CONTAINER] [--] COMMAND [ARG…]",
		Description: "Runs a program in a container that runs: in its namespaces, as its user, with its environment. The exit code is\n" +
			"the program's; 126 and 127 mean that it can't be run or isn't there. It ends with podlab exec.\n\n" +
			"  $ podlab exec web -- ps -ef\n  $ podlab exec -it web/app sh\n  $ echo hello | podlab exec -i web -- cat",
		Flags: []cli.Flag{
			namespaceFlag(),
			&cli.StringFlag{Name: "container", Aliases: []string{"c"}, Usage: "the `CONTAINER`; else the pod's first"},
			&cli.BoolFlag{Name: "stdin", Aliases: []string{"i"}, Usage: "pass standard input on"},
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the program a terminal"},
			&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "set a variable, `NAME=VALUE`; may be repeated"},
		},
		Action: func(c *cli.Context) error {
			a := execArgs{root: c.String("root"), namespace: c.String("namespace"), container: c.String("container"),
				stdin: c.Bool("stdin"), tty: c.Bool("tty"), env: c.StringSlice("env")}
			if args := c.Args().Slice(); len(args) > 0 {
				a.pod, a.command = args[0], args[1:]
			}
			return execIn(u, a)
		},
	}
}

type execArgs struct {
	root, namespace, container string
	stdin, tty                 bool
	env                        []string
	pod                        string // POD or POD/CONTAINER
	command                    []string
}

// literal puts a `--` before the command of an exec that has none, so that the command's flags are its own:
// `exec -it web ls -l`.
func literal(flags []cli.Flag, args []string) []string {
	ix := indexFlags(flags)
	words := 0
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		if args[i] == "-" || !strings.HasPrefix(args[i], "-") {
			if words++; words == 2 {
				return append(append(append([]string{}, args[:i]...), "--"), args[i:]...)
			}
			continue
		}
		var a arranged
		used, err := a.flag(ix, args[i], args[i+1:])
		if err != nil {
			return args // arrange will say so
		}
		i += used
	}
	return args
}

func (a *execArgs) check() error {
	name, container, both := strings.Cut(a.pod, "/")
	switch {
	case a.pod == "":
		return withHint("podlab exec web -- ls", "which pod?")
	case both && a.container != "" && a.container != container:
		return fmt.Errorf("%s, and --container %s: which of them?", a.pod, a.container)
	case len(a.command) == 0:
		return withHint("podlab exec "+a.pod+" -- sh", "which command?")
	}
	for _, e := range a.env {
		if n, _, ok := strings.Cut(e, "="); !ok || n == "" {
			return fmt.Errorf("--env %s: want NAME=VALUE", quote(e))
		}
	}
	if a.pod = name; both {
		a.container = container
	}
	return nil
}

func execIn(u *ui, a execArgs) error {
	if err := a.check(); err != nil {
		return usage("exec", err)
	}
	h, err := openPod(a.root, a.namespace, a.pod)
	if err != nil {
		return context("exec", err)
	}
	defer func() { _ = h.Close() }() // only asked through
	o := pod.ExecOptions{Container: a.container, Command: a.command, Env: a.env, TTY: a.tty}
	var code int
	var sig unix.Signal
	if a.tty {
		code, sig, err = u.execTerminal(h, o, a.stdin)
	} else {
		code, sig, err = u.execPipes(h, o, a.stdin)
	}
	var refused *pod.ExecError
	switch {
	case errors.As(err, &refused):
		return &failure{code: refused.Code, err: context("exec", context(a.where(), err)), hint: hintOf(err)}
	case errors.Is(err, pod.ErrGone):
		return &failure{code: codeSignal + int(unix.SIGKILL), err: context("exec", err)} // as its processes have ended
	case err != nil:
		return context("exec", err)
	case sig != 0:
		u.note("exec: %s was killed by %s", a.command[0], unix.SignalName(sig))
	}
	return exit(code)
}

func (a *execArgs) where() string {
	if a.container == "" {
		return a.pod
	}
	return a.pod + "/" + a.container
}

// openPod finds a pod by its name or the beginning of one.
func openPod(root, namespace, name string) (*pod.Handle, error) {
	r, err := pod.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read from
	all, err := r.List()
	if err != nil {
		return nil, err
	}
	e, err := findPod(all, namespace, name)
	if err != nil {
		return nil, err
	}
	if !e.Alive {
		return nil, nothingRuns(e, "")
	}
	return pod.Open(r, e.Namespace, e.Name)
}

// execPipes runs a program with pipes for its standard streams: what this process has, a terminal perhaps, stays out
// of the container.
func (u *ui) execPipes(h *pod.Handle, o pod.ExecOptions, stdin bool) (int, unix.Signal, error) {
	var ends []*os.File // the program's
	defer func() {
		for _, f := range ends {
			_ = f.Close() // after the start, the program has its own
		}
	}()
	if stdin {
		r, w, err := os.Pipe()
		if err != nil {
			return 0, 0, err
		}
		o.Stdin, ends = r, append(ends, r)
		go func() { // not waited for: a read of a terminal ends only with podlab
			_, _ = io.Copy(w, u.in) // EPIPE: the program doesn't read any more
			_ = w.Close()
		}()
	}
	var copies sync.WaitGroup
	var outs []*os.File
	for _, c := range []struct {
		to  *os.File
		end **os.File
	}{{u.out, &o.Stdout}, {u.err, &o.Stderr}} {
		if c.to == u.err && sameFile(u.out, u.err) {
			o.Stderr = o.Stdout // one pipe keeps the order of what is written to both
			break
		}
		r, w, err := os.Pipe()
		if err != nil {
			return 0, 0, err
		}
		*c.end, ends, outs = w, append(ends, w), append(outs, r)
		copies.Go(func() { pour(c.to, r) })
	}
	signals := catch()
	defer signals.stop()
	x, err := startIn(h, o)
	for _, f := range ends {
		_ = f.Close()
	}
	ends = nil
	enough := func() {
		for _, r := range outs {
			_ = r.SetReadDeadline(time.Unix(1, 0)) // of a pipe of our own
		}
		copies.Wait()
	}
	if err != nil {
		enough() // a supervisor that doesn't answer still has the other ends
		return 0, 0, err
	}
	defer func() { _ = x.Close() }() // it has ended, or shall
	signals.pass(x)
	code, sig, err := x.Wait(stdcontext.Background())
	enough() // what it has left running isn't waited for
	return code, sig, err
}

// sameFile: both end at one terminal, pipe or file.
func sameFile(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// pour copies what comes out of a pipe until its end, or until its deadline and what is in it then.
func pour(to io.Writer, r *os.File) {
	defer r.Close()
	_, err := io.Copy(to, r) // whoever reads has gone: then the program gets EPIPE too
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(int(fd), buf) // nonblocking: EAGAIN is the end
			if err != nil && err != unix.EINTR || n == 0 {
				return
			}
			_, _ = to.Write(buf[:max(n, 0)]) // as above
		}
	})
}

// startIn runs the program. The supervisor answers at once, or is stopped.
func startIn(h *pod.Handle, o pod.ExecOptions) (*pod.Execution, error) {
	ctx, cancel := stdcontext.WithTimeoutCause(stdcontext.Background(), 10*time.Second, errors.New("the pod's supervisor doesn't answer"))
	defer cancel()
	return h.Exec(ctx, o)
}

// signals are this process's, to be handed on to the program: also those that come before it runs.
type signals struct {
	caught chan os.Signal
	done   chan struct{}
	work   sync.WaitGroup
}

func catch() *signals {
	s := &signals{caught: make(chan os.Signal, 8), done: make(chan struct{})}
	signal.Notify(s.caught, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	return s
}

func (s *signals) pass(x *pod.Execution) {
	s.work.Go(func() {
		for {
			select {
			case sig := <-s.caught:
				_ = x.Signal(sig.(syscall.Signal)) // it may have ended
			case <-s.done:
				return
			}
		}
	})
}

func (s *signals) stop() {
	signal.Stop(s.caught)
	close(s.done)
	s.work.Wait()
}

// execTerminal runs a program on a terminal of the container's own, which this process's terminal shows.
func (u *ui) execTerminal(h *pod.Handle, o pod.ExecOptions, stdin bool) (int, unix.Signal, error) {
	signals := catch()
	defer signals.stop()
	x, err := startIn(h, o)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = x.Close() }() // it has ended, or shall
	signals.pass(x)
	t := x.Terminal()
	if t == nil {
		return 0, 0, errors.New("no terminal came with the program")
	}
	if stdin && isTerminal(u.in) {
		// Every key goes there as it is, Ctrl-C too: the other terminal makes signals of them.
		if old, err := term.MakeRaw(int(u.in.Fd())); err == nil {
			defer func() { _ = term.Restore(int(u.in.Fd()), old) }() // nobody is left to be told
		}
	}
	defer u.followSize(t)()
	if stdin {
		go func() { // not waited for: a read of a terminal ends only with podlab
			_, _ = io.Copy(t, u.in)
			_, _ = t.Write([]byte{4}) // Ctrl-D is how a terminal says end of file, termios(3)
		}()
	}
	var copied sync.WaitGroup
	copied.Go(func() { _, _ = io.Copy(u.out, t) }) // EIO when the last process has closed the other side, pty(7)
	code, sig, err := x.Wait(stdcontext.Background())
	copied.Wait()
	return code, sig, err
}

// followSize gives the terminal the size of this process's, now and whenever that changes.
func (u *ui) followSize(t *os.File) (stop func()) {
	resize := func() {
		if size, err := unix.IoctlGetWinsize(int(u.out.Fd()), unix.TIOCGWINSZ); err == nil {
			if raw, err := t.SyscallConn(); err == nil {
				_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) }) // a wrong size is no reason to fail
			}
		}
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	resize()
	done := make(chan struct{})
	var w sync.WaitGroup
	w.Go(func() {
		for {
			select {
			case <-changed:
				resize()
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(changed)
		close(done)
		w.Wait()
	}
}
