package ipc

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func timespec(t unix.Timespec) time.Time { return time.Unix(t.Unix()) }

// listShared lists a directory such as /dev/shm.
func listShared(path string) ([]Object, error) {
	dir, _, err := directory(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	files, err := regularFiles(dir, KindShared)
	var memory, sems []Object
	for _, o := range files {
		rest, isSem := strings.CutPrefix(o.Name, "/"+semPrefix)
		if isSem && rest != "" && o.Size == semSize {
			o.Kind, o.Resident = KindNamedSem, 0
			o.readSemaphore(dir)
			o.Name = "/" + rest
			sems = append(sems, o)
		} else {
			memory = append(memory, o)
		}
	}
	return append(memory, sems...), err
}

// readSemaphore reads, and doesn't map: whoever owns the file may shorten it at any moment.
func (o *Object) readSemaphore(dir *os.File) {
	f, err := openSame(dir, o.Name[1:], o)
	if err != nil {
		o.Unreadable = true
		return
	}
	defer f.Close()
	b := make([]byte, semSize)
	n, _ := f.ReadAt(b, 0) // too few bytes are no semaphore
	value, waiting, err := parseSemaphore(b[:n])
	if err != nil {
		o.Unreadable = true
		return
	}
	o.Values, o.Waiting = []int{value}, waiting
}

// directory opens a directory, and says which file system it is on.
func directory(path string) (f *os.File, magic int64, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		_ = unix.Close(fd) // err is what counts
		return nil, 0, &os.PathError{Op: "fstatfs", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), int64(st.Type), nil
}

// regularFiles lists the regular files right in a directory, with what stat says of each.
func regularFiles(dir *os.File, k Kind) ([]Object, error) {
	names, err := dir.Readdirnames(-1)
	var all []Object
	for _, name := range slices.Sorted(slices.Values(names)) {
		var st unix.Stat_t
		if unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue // removed since, or nothing that shm_open(3) would make
		}
		all = append(all, Object{
			Kind: k, Name: "/" + name, Mode: fs.FileMode(st.Mode).Perm(),
			UID: int(st.Uid), GID: int(st.Gid), CreatorUID: int(st.Uid), CreatorGID: int(st.Gid),
			Size: st.Size, Resident: st.Blocks * 512, // stat(2): blocks are of 512 bytes
			ChangeTime: timespec(st.Ctim), AccessTime: timespec(st.Atim), ModifyTime: timespec(st.Mtim),
			Inode: st.Ino, Dev: st.Dev,
		})
	}
	return all, err
}

// openSame opens a file to read it, if it is still the one that o was made of. Nothing waits, whatever is there now.
func openSame(dir *os.File, file string, o *Object) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), file, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != o.Inode || st.Dev != o.Dev {
		_ = unix.Close(fd) // another file
		return nil, unix.ESTALE
	}
	return os.NewFile(uintptr(fd), file), nil
}
