package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// hold waits until ctx ends, or standard input does. One that ends at once because nobody cares for it, /dev/null or none
// at all, as a shell's & and a container without stdin have it, doesn't count; nor does one that was read already.
func hold(u *ui, ctx stdcontext.Context, inputRead bool) error {
	// A read from the terminal in the background is EIO instead of a stopped process (setpgid(2), credentials(7)).
	signal.Ignore(syscall.SIGTTIN)
	defer signal.Reset(syscall.SIGTTIN)
	if inputRead || !endsByItself(u.in) {
		<-ctx.Done()
		return nil
	}
	// No goroutine reads: one that is blocked in read(2) couldn't be waited for.
	over, end, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	defer func() { _ = over.Close() }() // nothing was written
	closed := make(chan struct{})
	unhook := stdcontext.AfterFunc(ctx, func() {
		defer close(closed)
		_ = end.Close() // is the message
	})
	defer func() {
		if unhook() {
			_ = end.Close() // as above
		} else {
			<-closed
		}
	}()
	buf := make([]byte, 4096)
	fds := []unix.PollFd{{Fd: int32(over.Fd()), Events: unix.POLLIN}, {Fd: int32(u.in.Fd()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return fmt.Errorf("hold: poll: %w", err)
		}
		if fds[0].Revents != 0 {
			return nil
		}
		if fds[1].Revents == 0 {
			continue
		}
		switch n, err := unix.Read(int(fds[1].Fd), buf); {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.EIO):
			fds[1].Fd = -1 // the terminal is somebody else's now: poll(2) leaves this one out
		case n <= 0:
			return nil // what can't be read has ended as well
		}
	}
}

// endsByItself tells whether the end of f says anything.
func endsByItself(f *os.File) bool {
	var st unix.Stat_t
	if f == nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	null := unix.Mkdev(1, 3) // /dev/null everywhere: Documentation/admin-guide/devices.txt
	return st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != null
}
