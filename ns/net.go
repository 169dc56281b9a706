package ns

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// LinkUp sets the interface Name up: netdevice(7) SIOCSIFFLAGS, on any socket
// of the network namespace. A new network namespace has a loopback interface,
// down; the kernel gives it 127.0.0.1 and ::1 when it comes up.
type LinkUp struct{ Name string }

func (l LinkUp) Calls(t *Table) {
	ifreq := make([]byte, 40) // struct ifreq: the name, then a union
	copy(ifreq[:unix.IFNAMSIZ-1], l.Name)
	binary.NativeEndian.PutUint16(ifreq[unix.IFNAMSIZ:], unix.IFF_UP|unix.IFF_RUNNING)
	fd := t.newReg()
	t.call(unix.SYS_SOCKET, num(unix.AF_INET), num(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), num(0)).to(fd)
	t.call(unix.SYS_IOCTL, fd, num(unix.SIOCSIFFLAGS), t.block(ifreq))
	t.close(fd)
}

func (l LinkUp) Shell() string { return "ip link set " + Quote(l.Name) + " up" }
