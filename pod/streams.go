package pod

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// stream is the container's end of standard input, output or error.
func (s *supervisor) stream(b *container, n int) (int, error) {
	if b.plan.TTY || n == 0 && (!b.plan.Stdin || s.opts.Stdin == nil || b.hasStdin) || n > 0 && s.opts.Output == nil && b.log == nil {
		fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, fmt.Errorf("open /dev/null: %w", err)
		}
		return fd, nil
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("pipe2: %w", err)
	}
	if n == 0 {
		b.hasStdin = true
		w := pollable(p[1], "stdin")
		// Not waited for: a read of a terminal ends only with the program.
		go func() {
			_, _ = io.Copy(w, s.opts.Stdin) // EPIPE: the container doesn't read any more
			_ = w.Close()
		}()
		return p[0], nil
	}
	s.pump(s.outputs(b, n == 2), pollable(p[0], "output"))
	return p[1], nil
}

// outputs is who gets what a container writes.
type outputs []io.Writer

func (s *supervisor) outputs(b *container, stderr bool) (o outputs) {
	if b.log != nil {
		o = append(o, b.log.stream(stderr))
	}
	if s.opts.Output != nil {
		o = append(o, s.opts.Output(b.plan.Name, stderr))
	}
	return o
}

// chunkSize is how much a pipe holds, pipe(7).
const chunkSize = 64 << 10

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// pump passes on what comes out of a pipe or a terminal until its end: EIO is a
// terminal's when the last process has closed the other side, pty(7). While
// nothing comes, it has no buffer.
func (s *supervisor) pump(o outputs, f *os.File) {
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		if raw, err := f.SyscallConn(); err == nil {
			for o.next(raw) {
			}
		}
		_ = f.Close()
		for _, w := range o {
			if c, ok := w.(io.Closer); ok {
				_ = c.Close() // flushes a last line without an end
			}
		}
	}()
}

func (o outputs) next(raw syscall.RawConn) bool {
	var buf *[chunkSize]byte
	n := 0
	err := raw.Read(func(fd uintptr) bool {
		buf = chunks.Get().(*[chunkSize]byte)
		var err error
		for err = unix.EINTR; err == unix.EINTR; {
			n, err = unix.Read(int(fd), buf[:])
		}
		if err == unix.EAGAIN {
			chunks.Put(buf)
		}
		return err != unix.EAGAIN
	})
	if err != nil {
		return false
	}
	defer chunks.Put(buf)
	for _, w := range o {
		_, _ = w.Write(buf[:max(n, 0)]) // a writer that fails is the caller's to notice
	}
	return n > 0
}

// terminal connects a container's terminal with the caller's streams.
func (s *supervisor) terminal(b *container, master int) {
	f := pollable(master, "terminal")
	if size, err := unix.IoctlGetWinsize(fdOf(s.opts.Stdin), unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, size) // a wrong size is no reason to fail
	}
	if b.plan.Stdin && s.opts.Stdin != nil && !b.hasStdin {
		b.hasStdin = true
		go func() {
			_, _ = io.Copy(f, s.opts.Stdin) // ends with the program, as of a pipe
			_, _ = f.Write([]byte{4})       // Ctrl-D is how a terminal says end of file, termios(3)
		}()
	}
	s.pump(s.outputs(b, false), f)
}

// fdOf is f's descriptor without making it blocking, or -1.
func fdOf(f *os.File) int {
	fd := -1
	if f != nil {
		if raw, err := f.SyscallConn(); err == nil {
			_ = raw.Control(func(p uintptr) { fd = int(p) }) // a closed file has none
		}
	}
	return fd
}

// pollable is our end of a pipe: nonblocking, so that it costs no thread. The
// other end is another open file and stays as programs expect it.
func pollable(fd int, name string) *os.File {
	_ = unix.SetNonblock(fd, true) // a fresh pipe has no reason to refuse
	return os.NewFile(uintptr(fd), name)
}
