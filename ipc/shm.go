package ipc

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Shm is the identifier of a System V shared memory segment.
type Shm int

// GetShm finds the segment of a key, or makes one of size bytes, all zero. An existing one may be asked for with any
// size up to its own, 0 included; EINVAL otherwise (shmget(2)).
func GetShm(k Key, size int, g Get) (Shm, error) {
	id, err := unix.SysvShmGet(int(k), size, g.flags())
	if err != nil {
		return -1, keyError("shmget", k, err)
	}
	return Shm(id), nil
}

// Segment is shared memory in this process's address space.
type Segment struct {
	// Data is the memory itself. Others change it at any time: use sync/atomic or a semaphore. Writing to a
	// segment attached read-only ends the program with SIGSEGV.
	Data []byte

	detach func() error // nil once it is detached
}

// Detach takes the memory out of the address space. Data is nil then, and copies of it must not be used any more.
// Once is enough: a second Detach does nothing.
func (s *Segment) Detach() error {
	if s.detach == nil {
		return nil
	}
	err := s.detach()
	if err == nil {
		s.Data, s.detach = nil, nil
	}
	return err
}

// Attach maps the segment. A process that ends is detached by the kernel.
func (s Shm) Attach(readOnly bool) (*Segment, error) {
	flags := 0
	if readOnly {
		flags = unix.SHM_RDONLY
	}
	mem, err := unix.SysvShmAttach(int(s), 0, flags)
	if err != nil {
		return nil, idError("shmat", s, err)
	}
	return &Segment{Data: mem, detach: func() error { return idError("shmdt", s, unix.SysvShmDetach(mem)) }}, nil
}

// ShmStat is what the kernel knows of a segment (struct shmid_ds, shmctl(2)).
type ShmStat struct {
	Perm                               Permissions
	Size                               int
	Attached                           int // mappings, not processes
	CreatorPid, LastPid                int // as the caller's PID namespace sees them: 0 for a process that isn't in it
	AttachTime, DetachTime, ChangeTime time.Time
	Dest                               bool // removed, and gone with the last detach (SHM_DEST)
	Locked                             bool // can't be swapped out (SHM_LOCKED)
}

// Bits of a segment's mode above the permissions (linux/shm.h).
const (
	shmDest   = 0o1000
	shmLocked = 0o2000
)

// Stat asks the kernel. It takes read permission.
func (s Shm) Stat() (ShmStat, error) {
	var d unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(int(s), unix.IPC_STAT, &d); err != nil {
		return ShmStat{}, idError("shmctl", s, err)
	}
	return ShmStat{
		Perm: permissions(&d.Perm), Size: int(d.Segsz), Attached: int(d.Nattch),
		CreatorPid: int(d.Cpid), LastPid: int(d.Lpid),
		AttachTime: seconds(d.Atime), DetachTime: seconds(d.Dtime), ChangeTime: seconds(d.Ctime),
		Dest: d.Perm.Mode&shmDest != 0, Locked: d.Perm.Mode&shmLocked != 0,
	}, nil
}

// SetPerm changes owner and mode; an id of -1 stays as it is. Only the owner, the creator and CAP_SYS_ADMIN may.
func (s Shm) SetPerm(uid, gid int, mode fs.FileMode) error {
	var d unix.SysvShmDesc
	err := change(&d.Perm, uid, gid, mode, func() error {
		_, err := unix.SysvShmCtl(int(s), unix.IPC_STAT, &d)
		return err
	})
	if err == nil {
		_, err = unix.SysvShmCtl(int(s), unix.IPC_SET, &d)
	}
	return idError("shmctl", s, err)
}

// Remove takes the key from the segment at once, so that it can't be found any more. Who has it attached keeps it,
// and who knows the identifier may still attach it; with the last detach it is gone (shmctl(2)).
func (s Shm) Remove() error {
	_, err := unix.SysvShmCtl(int(s), unix.IPC_RMID, nil)
	return idError("shmctl", s, err)
}
