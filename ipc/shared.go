package ipc

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// shmDir is where glibc and the kernel's users have POSIX shared memory: a tmpfs, shm_overview(7). A kernel knows
// nothing of it: whoever sees this mount shares it, whatever the IPC namespace.
const shmDir = "/dev/shm"

// Shared is an open POSIX shared memory object: a file in /dev/shm.
type Shared struct {
	name string
	file *os.File
}

// OpenShared opens a shared memory object, or makes one of size bytes, all zero. Nobody sees it before it has that
// size, as they can with shm_open(3) and ftruncate(2). One that is there already keeps its size; EINVAL if that is
// less than size, as for shmget(2). 0 takes any.
func OpenShared(name string, size int64, o Open) (*Shared, error) {
	file, err := component(name, "")
	if err != nil {
		return nil, fault("shm_open", name, err)
	}
	if size < 0 {
		return nil, fault("shm_open", name, unix.EINVAL)
	}
	fd, made, err := openOrMake(file, o, func(fd int) error { return unix.Ftruncate(fd, size) })
	if err != nil {
		return nil, fault("shm_open", name, err)
	}
	s := &Shared{name: name, file: os.NewFile(uintptr(fd), name)}
	if has, err := s.Size(); !made && (err != nil || has < size) {
		_ = s.file.Close() // opened for nothing
		if err == nil {
			err = fault("shm_open", name, unix.EINVAL)
		}
		return nil, err
	}
	return s, nil
}

// openOrMake opens a file of /dev/shm, or makes it. fill completes a new file, which has no name until it is
// complete: a crash leaves nothing behind, and nobody opens a half of it.
func openOrMake(file string, o Open, fill func(fd int) error) (fd int, made bool, err error) {
	for {
		if !o.Create || !o.Exclusive {
			// Without O_CREAT, for with it fs.protected_regular refuses what others own in a sticky directory (EACCES).
			if fd, err = openRegular(file, o.ReadOnly); err != unix.ENOENT || !o.Create {
				return fd, false, err
			}
		}
		fd, err = makeFile(file, o, fill)
		if err != unix.EEXIST || o.Exclusive {
			return fd, err == nil, err
		} // else somebody has just made it: open theirs
	}
}

// openRegular opens a file of /dev/shm that anybody may have put there. O_NONBLOCK: a FIFO would wait for a writer.
func openRegular(file string, readOnly bool) (int, error) {
	flags := unix.O_RDWR
	if readOnly {
		flags = unix.O_RDONLY
	}
	fd, err := unix.Open(shmDir+"/"+file, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = fmt.Errorf("%s, no regular file: %w", fileType(st.Mode), unix.EINVAL)
	}
	if err != nil {
		_ = unix.Close(fd) // not what we want
		return -1, err
	}
	return fd, nil
}

// fileType is what a mode says that a file is (inode(7)).
func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "something else"
}

// makeFile makes a file of /dev/shm that gets its name when it is complete.
func makeFile(file string, o Open, fill func(fd int) error) (int, error) {
	fd, err := unix.Open(shmDir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, uint32(o.Perm.Perm()))
	if err != nil {
		return -1, err
	}
	// AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH, /proc needs nothing: open(2), O_TMPFILE.
	if err = fill(fd); err == nil {
		err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, shmDir+"/"+file, unix.AT_SYMLINK_FOLLOW)
	}
	if err != nil {
		_ = unix.Close(fd) // the file goes with it
		return -1, err
	}
	return fd, nil
}

// RemoveShared takes the name away. The memory is gone with its last mapping and descriptor.
func RemoveShared(name string) error {
	file, err := component(name, "")
	if err == nil {
		err = unix.Unlink(shmDir + "/" + file)
	}
	return fault("shm_unlink", name, err)
}

// Size returns the size in bytes.
func (s *Shared) Size() (int64, error) {
	st, err := s.file.Stat()
	if err != nil {
		return 0, s.fault("fstat", err)
	}
	return st.Size(), nil
}

// Resize changes the size. Whoever has mapped more than that, and touches it, is sent SIGBUS.
func (s *Shared) Resize(size int64) error { return s.fault("ftruncate", s.file.Truncate(size)) }

// Map maps all of the object. A Go program dies of SIGBUS if it touches what another process has cut off the end
// meanwhile, or what the tmpfs has no memory for: where others can't be trusted, use ReadAt and WriteAt.
func (s *Shared) Map(readOnly bool) (*Segment, error) {
	size, err := s.Size()
	if err != nil {
		return nil, err
	}
	prot := unix.PROT_READ
	if !readOnly {
		prot |= unix.PROT_WRITE
	}
	if int64(int(size)) != size || size == 0 {
		return nil, s.fault("mmap", unix.EINVAL)
	}
	data, err := unix.Mmap(int(s.file.Fd()), 0, int(size), prot, unix.MAP_SHARED)
	if err != nil {
		return nil, s.fault("mmap", err)
	}
	return &Segment{Data: data, detach: func() error { return s.fault("munmap", unix.Munmap(data)) }}, nil
}

// ReadAt is io.ReaderAt.
func (s *Shared) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

// WriteAt is io.WriterAt. What is written behind the end makes the object larger, for it is a file.
func (s *Shared) WriteAt(p []byte, off int64) (int, error) { return s.file.WriteAt(p, off) }

// Stat is fstat(2): an fs.FileInfo, whose Sys is a *syscall.Stat_t.
func (s *Shared) Stat() (fs.FileInfo, error) { return s.file.Stat() }

// Close closes the descriptor. Mappings and the object stay.
func (s *Shared) Close() error { return s.fault("close", s.file.Close()) }

// fault names the object as its users do, whatever os.File says.
func (s *Shared) fault(op string, err error) error {
	if e, ok := err.(*os.PathError); ok {
		err = e.Err
	}
	return fault(op, s.name, err)
}
