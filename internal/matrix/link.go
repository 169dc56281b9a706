package matrix

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Link leads to a probe that runs elsewhere.
type Link struct {
	in   *os.File // the probe's standard input
	out  *os.File // its standard output
	read *bufio.Reader
	wait func(context.Context) error
	err  error // why the probe doesn't answer any more
}

// NewLink takes over the ends of a probe's pipes: in is written to, out is read. wait returns when the probe has ended, and ends it if ctx
// does before.
func NewLink(in, out *os.File, wait func(ctx context.Context) error) *Link {
	return &Link{in: in, out: out, read: bufio.NewReaderSize(out, maxAnswer), wait: wait}
}

// maxAnswer is the longest line that is taken for an answer, and the most that is kept of what a probe complains of, in
// bytes; a real one has a few hundred. In a container others can write where the probe writes, by /proc/PID/fd.
const maxAnswer = 64 << 10

// grace is what a probe gets to answer a request, and to clean up after the last one. It needs milliseconds.
const grace = 10 * time.Second

// Close tells the probe to end, and waits until it has removed what it made.
func (l *Link) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = l.in.Close() // a pipe; its end is all that is told
	err := l.wait(ctx)
	return errors.Join(err, l.out.Close())
}

// ask has one request answered. A probe that once failed to answer is given up: a late answer would be taken for that
// to another question.
func (l *Link) ask(ctx context.Context, r request) (a answer, err error) {
	if l.err == nil {
		l.err = l.exchange(ctx, r, &a)
	}
	if l.err != nil {
		return answer{}, &lostError{l.err}
	}
	return a, nil
}

func (l *Link) exchange(ctx context.Context, r request, a *answer) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := l.out.SetReadDeadline(time.Now().Add(grace)); err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, func() { _ = l.out.SetReadDeadline(time.Unix(1, 0)) }) // it was possible just now
	defer unhook()
	if _, err := l.in.Write(append(line, '\n')); err != nil {
		return err
	}
	line, err = l.read.ReadSlice('\n')
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		return errors.New("its answer has no end")
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(line, a)
}

// lostError: the probe didn't answer.
type lostError struct{ err error }

func (e *lostError) Error() string { return "the probe doesn't answer: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// Spawn starts cmd, which is to run Serve, as a child of this process, in whichever namespaces cmd says.
func Spawn(cmd *exec.Cmd) (*Link, error) {
	p, err := Pipes()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	if err := cmd.Start(); err != nil {
		p.Abandon()
		return nil, err
	}
	return p.Link(func(ctx context.Context) error {
		unhook := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // it may have ended at last
		defer unhook()
		return cmd.Wait()
	}), nil
}

// Plumbing is the files of a probe that is about to be started: hand it the standard files, then ask for the Link.
type Plumbing struct {
	Stdin, Stdout, Stderr *os.File // the probe's ends
	in, out               *os.File // ours
}

// Pipes makes the files. What a probe writes to its standard error is kept in memory, for the case that it fails.
func Pipes() (*Plumbing, error) {
	var p Plumbing
	var err error
	if p.Stdin, p.in, err = os.Pipe(); err != nil {
		return nil, err
	}
	if p.out, p.Stdout, err = os.Pipe(); err != nil {
		p.Abandon()
		return nil, err
	}
	if p.Stderr, err = scratch(); err != nil {
		p.Abandon()
		return nil, err
	}
	return &p, nil
}

// scratch is a file in memory that can't grow beyond maxAnswer: what is written after that is EPERM, memfd_create(2).
func scratch() (*os.File, error) {
	fd, err := unix.MemfdCreate("probe", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "probe's standard error")
	if err = f.Truncate(maxAnswer); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	}
	if err != nil {
		_ = f.Close()
		return nil, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	return f, nil
}

// Link is the way to the probe that has the files now. The probe's ends are closed here: a pipe ends when its last
// writer is gone.
func (p *Plumbing) Link(wait func(context.Context) error) *Link {
	_, _ = p.Stdin.Close(), p.Stdout.Close() // pipes
	return NewLink(p.in, p.out, func(ctx context.Context) error {
		err := wait(ctx)
		if said := p.said(); err != nil && said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		_ = p.Stderr.Close() // memory
		return err
	})
}

// said is what the probe wrote to its standard error, or the beginning of it.
func (p *Plumbing) said() string {
	b := make([]byte, 2000)
	n, _ := p.Stderr.ReadAt(b, 0) // io.EOF, mostly
	text, _, _ := strings.Cut(string(b[:n]), "\x00")
	return text
}

// Abandon closes everything: there is no probe.
func (p *Plumbing) Abandon() {
	for _, f := range []*os.File{p.Stdin, p.Stdout, p.Stderr, p.in, p.out} {
		if f != nil {
			_ = f.Close() // nothing was written
		}
	}
}
