package ns

import "golang.org/x/sys/unix"

// Terminal makes a pseudoterminal of the container's own devpts its controlling
// terminal and its standard streams, and sends the other side of it, the
// master, over the report socket: pty(7), TIOCSCTTY of ioctl_tty(2). The caller's
// own terminal never gets into the container, so nobody there can push characters into
// its input (TIOCSTI). The process must lead a session that has no terminal.
type Terminal struct{}

func (Terminal) Calls(t *Table) {
	master, slave := t.newReg(), t.newReg()
	t.call(unix.SYS_OPENAT, num(atCWD), t.str("/dev/ptmx"), num(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC), num(0)).to(master)
	t.call(unix.SYS_IOCTL, master, num(unix.TIOCSPTLCK), t.block(make([]byte, 8))) // unlocked
	// By the master, not by name: the name could lead elsewhere.
	t.call(unix.SYS_IOCTL, master, num(unix.TIOCGPTPEER), num(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).to(slave)
	t.sendMaster(master)
	t.close(master)
	for fd := range 3 {
		t.call(unix.SYS_DUP3, slave, num(fd), num(0))
	}
	t.call(unix.SYS_IOCTL, num(0), num(unix.TIOCSCTTY), num(0))
	t.call(unix.SYS_CLOSE_RANGE, num(3), num(^uint32(0)), num(unix.CLOSE_RANGE_CLOEXEC))
}

func (Terminal) Shell() string {
	return "# open(2) /dev/ptmx, ioctl(2) TIOCGPTPEER and TIOCSCTTY: a terminal of the container's own"
}

// sendMaster sends a report message with a descriptor: sendmsg(2) with SCM_RIGHTS.
func (t *Table) sendMaster(master arg) {
	hdr, rights := t.message(t.words(reportTerminal<<32, 0, 0))
	t.call(callStore, rights, master)
	t.call(unix.SYS_SENDMSG, arg{'r', regReport}, hdr, num(unix.MSG_NOSIGNAL))
}
