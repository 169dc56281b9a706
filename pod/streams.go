package pod

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stream is the container's end of standard input, output or error.
func (s *supervisor) stream(b *container, n int) (int, error) {
	if b.plan.TTY || n == 0 && (!b.plan.Stdin || s.opts.Stdin == nil || b.hasStdin) || n > 0 && s.opts.Output == nil {
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
	r := pollable(p[0], "output")
	w := s.opts.Output(b.plan.Name, n == 2)
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		_, _ = io.Copy(w, r) // a writer that fails is the caller's to notice
		_ = r.Close()
		if c, ok := w.(io.Closer); ok {
			_ = c.Close() // flushes a last line without an end
		}
	}()
	return p[1], nil
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
	w := io.Discard
	if s.opts.Output != nil {
		w = s.opts.Output(b.plan.Name, false)
	}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		_, _ = io.Copy(w, f) // EIO when the last process has closed the other side, pty(7)
		_ = f.Close()
		if c, ok := w.(io.Closer); ok {
			_ = c.Close() // flushes a last line without an end
		}
	}()
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
