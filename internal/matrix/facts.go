package matrix

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Facts are the numbers of a viewpoint that decide what it can reach.
type Facts struct {
	PID      int      `json:"pid"` // as the viewpoint counts
	IPC      uint64   `json:"ipc"`
	Net      uint64   `json:"net"`
	Mount    uint64   `json:"mnt"`
	User     uint64   `json:"user"`
	Shm      File     `json:"shm"`              // the directory /dev/shm
	Loopback bool     `json:"loopback"`         // the interface lo is up
	Volume   *Located `json:"volume,omitempty"` // the owner's volume, if it has one
}

// File is a file's identity: no two files that exist at the same time have the same two numbers (inode(7)). The zero
// File is none.
type File struct {
	Device Device `json:"device"`
	Inode  uint64 `json:"inode"`
}

// Exists tells whether f is a file.
func (f File) Exists() bool { return f != File{} }

// String is both numbers: "0:57 inode 1".
func (f File) String() string {
	if !f.Exists() {
		return "none"
	}
	return fmt.Sprintf("%s inode %d", f.Device, f.Inode)
}

// Device is the number of a file system (st_dev of stat(2)). It is the kernel's, and no namespace's: it tells file
// systems apart across mount namespaces.
type Device uint64

// String is the number as mountinfo writes it: "0:57".
func (d Device) String() string {
	if d == 0 {
		return "none"
	}
	return fmt.Sprintf("%d:%d", unix.Major(uint64(d)), unix.Minor(uint64(d)))
}

// MarshalText is String.
func (d Device) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Device) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*d = 0
		return nil
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		return fmt.Errorf("device %q: want MAJOR:MINOR", text)
	}
	*d = Device(unix.Mkdev(major, minor))
	return nil
}

// Located is a file and the path that leads to it, or doesn't.
type Located struct {
	Path  string `json:"path"`
	File  File   `json:"file"`            // none: the path leads nowhere
	Errno string `json:"errno,omitempty"` // and why
}

// identify is the identity of what path names.
func identify(path string) (File, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return File{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return File{Device: Device(st.Dev), Inode: st.Ino}, nil
}

// readFacts reads the numbers of the calling process.
func readFacts() (Facts, error) {
	f := Facts{PID: os.Getpid()}
	for _, n := range []struct {
		name string
		to   *uint64
	}{{"ipc", &f.IPC}, {"net", &f.Net}, {"mnt", &f.Mount}, {"user", &f.User}} {
		// The inode that the link leads to is the namespace's number (namespaces(7)).
		file, err := identify("/proc/self/ns/" + n.name)
		if err != nil {
			return f, err
		}
		*n.to = file.Inode
	}
	f.Shm, _ = identify("/dev/shm") // none is a fact as well
	if lo, err := net.InterfaceByName("lo"); err == nil {
		f.Loopback = lo.Flags&net.FlagUp != 0
	}
	return f, nil
}
