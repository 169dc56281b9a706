package cli

import (
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/podlab/podlab/pod/spec"
)

// rawTerminal hands the caller's terminal to the one container that asks for it (stdin and tty): every key goes there as it
// is, Ctrl-C too, and what it prints comes out as it is. The caller gets a function that puts the terminal back.
func (u *ui) rawTerminal(a *runArgs, pods []*spec.Pod) (restore func()) {
	if len(pods) != 1 || len(pods[0].Spec.Containers) != 1 || !isTerminal(u.in) || !u.outTTY || a.explain || a.stamp {
		return nil
	}
	if c := pods[0].Spec.Containers[0]; !c.Stdin || !c.TTY {
		return nil
	}
	old, err := term.MakeRaw(int(u.in.Fd()))
	if err != nil {
		return nil // a terminal that can't be raw still works line by line
	}
	// But for output: podlab's own messages end their lines with a plain newline.
	if t, err := unix.IoctlGetTermios(int(u.in.Fd()), unix.TCGETS); err == nil {
		t.Oflag |= unix.OPOST
		_ = unix.IoctlSetTermios(int(u.in.Fd()), unix.TCSETS, t) // staircases, at worst
	}
	a.output = "raw"
	return func() { _ = term.Restore(int(u.in.Fd()), old) } // nobody is left to be told
}
