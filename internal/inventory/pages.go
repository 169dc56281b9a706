package inventory

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// pages tells which control group pays for a page. The kernel says so only by page frame: a mapping of the object, its
// frames from /proc/self/pagemap, and their groups from /proc/kpagecgroup (the kernel's admin-guide/mm/pagemap.rst).
type pages struct {
	pagemap, groups *os.File
	left            int // bytes that may still be looked through
}

// most is how much is looked through in all. A file may be as large as it likes and have nothing in it, and the kernel
// goes through its holes page by page: 2 to 3 seconds for this.
const most = 256 << 30

var errTooLarge = errors.New("it is too large to look through")

// errFrames is what a process without CAP_SYS_ADMIN in the first user namespace runs into: the frames read 0.
var errFrames = errors.New("which page frames an object has is told only to a process with CAP_SYS_ADMIN in the first user namespace")

func openPages() (*pages, error) {
	groups, err := os.Open("/proc/kpagecgroup")
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("this kernel has no /proc/kpagecgroup (CONFIG_MEMCG, CONFIG_PROC_PAGE_MONITOR)")
	case errors.Is(err, os.ErrPermission):
		return nil, errors.New("/proc/kpagecgroup is for root of this machine alone")
	case err != nil:
		return nil, err
	}
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		_ = groups.Close() // err is what counts
		return nil, err
	}
	return &pages{pagemap, groups, most}, nil
}

func (p *pages) close() {
	_ = p.pagemap.Close() // both were only read
	_ = p.groups.Close()
}

// Of an entry of /proc/PID/pagemap.
const (
	pagePresent = 1 << 63
	pageFrame   = 1<<55 - 1
)

// window is how many pages are looked at at once: 128 KiB of entries.
const window = 16384

// payers counts the bytes of mem that are in memory, by the inode number of the group that pays for them. mem is a
// mapping that nobody has touched. No page is brought into memory: mincore(2) says which are there, and only these
// are mapped. MADV_POPULATE_READ does it, for it has an error where touching has SIGBUS: of a file that is cut meanwhile.
func (p *pages) payers(mem []byte) (map[uint64]int64, error) {
	if len(mem) > p.left {
		return nil, errTooLarge
	}
	p.left -= len(mem)
	size := os.Getpagesize()
	total := map[uint64]int64{}
	for first := 0; first < len(mem); first += window * size {
		part := mem[first:min(len(mem), first+window*size)]
		resident := make([]byte, (len(part)+size-1)/size)
		if err := mincore(part, resident); err != nil {
			return nil, fmt.Errorf("mincore: %w", err)
		}
		for from, to := 0, 0; from < len(resident); from = to {
			there := resident[from] & 1
			for to = from; to < len(resident) && resident[to]&1 == there; to++ {
			}
			if there == 0 {
				continue
			}
			if err := p.count(part[from*size:min(len(part), to*size)], total); err != nil {
				return nil, err
			}
		}
	}
	return total, nil
}

// count adds up a run of pages that are in memory.
func (p *pages) count(run []byte, total map[uint64]int64) error {
	err := unix.Madvise(run, unix.MADV_POPULATE_READ)
	if err == unix.EFAULT {
		return nil // cut off, meanwhile
	}
	if err != nil {
		return fmt.Errorf("madvise MADV_POPULATE_READ: %w", err) // EINVAL before Linux 5.14
	}
	size := os.Getpagesize()
	entries := make([]byte, (len(run)+size-1)/size*8)
	at := int64(uintptr(unsafe.Pointer(&run[0]))) / int64(size) * 8
	if _, err := p.pagemap.ReadAt(entries, at); err != nil {
		return err
	}
	for ; len(entries) > 0; entries = entries[8:] {
		e := binary.NativeEndian.Uint64(entries)
		if e&pagePresent == 0 {
			continue // swapped out, meanwhile
		}
		if e&pageFrame == 0 {
			return errFrames
		}
		var group [8]byte
		if _, err := p.groups.ReadAt(group[:], int64(e&pageFrame)*8); err != nil {
			return err
		}
		total[binary.NativeEndian.Uint64(group[:])] += int64(size)
	}
	return nil
}

func mincore(mem, resident []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&resident[0])))
	if errno != 0 {
		return errno
	}
	return nil
}

// pay says who pays for each object that is memory.
func (l *looker) pay() {
	p, err := openPages()
	if err == nil {
		defer p.close()
	}
	for i := range l.inv.Items {
		it := &l.inv.Items[i]
		switch it.Object.Kind {
		case ipc.KindShm, ipc.KindShared, ipc.KindNamedSem:
		default:
			continue // the kernel's own memory: whose, can't be told
		}
		if err != nil {
			it.PayersWhy = err.Error()
			continue
		}
		mem, unmap, err := l.mapObject(it)
		if err != nil {
			it.PayersWhy = err.Error()
			continue
		}
		if mem == nil {
			continue // of no size
		}
		total, err := p.payers(mem)
		if err != nil {
			it.PayersWhy = err.Error()
		}
		if err := unmap(); err != nil {
			l.note("%s %s: %v", it.Object.Kind, it.Object.Title(), err)
		}
		it.Payers = l.payersOf(total)
	}
}

func (l *looker) payersOf(total map[uint64]int64) (all []Payer) {
	if l.cgroups == nil && len(total) > 0 {
		l.cgroups = findCgroups(l.procs)
	}
	for inode, bytes := range total {
		path, containers := l.cgroups.find(inode)
		all = append(all, Payer{Cgroup: path, Inode: inode, Bytes: bytes, Containers: containers})
	}
	slices.SortFunc(all, func(a, b Payer) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Inode, b.Inode))
	})
	return all
}

// mapObject maps an object to look at, and gives what takes the mapping away.
func (l *looker) mapObject(it *Item) (mem []byte, unmap func() error, err error) {
	var f *os.File
	if it.Object.Kind == ipc.KindShm {
		if f = l.segmentFile(it.Object); f == nil {
			return l.attach(it.Object)
		}
	} else if f, err = l.shmFile(it); err != nil {
		return nil, nil, err
	}
	defer f.Close() // the mapping is enough
	st, err := f.Stat()
	if err != nil || st.Size() == 0 || int64(int(st.Size())) != st.Size() {
		return nil, nil, err
	}
	mem, err = unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, func() error { return unix.Munmap(mem) }, nil
}

// segmentFile opens a segment as the file that it is in the kernel, through somebody's mapping of it (proc_pid_map_files(5)):
// that counts as no attachment, and changes nothing that its users can see.
func (l *looker) segmentFile(o ipc.Object) *os.File {
	for _, path := range l.mapped[keyOf(o)] {
		f, err := os.Open(path)
		if err != nil {
			continue // unmapped since, or its process is gone
		}
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == uint64(uint32(o.ID)) && slices.Contains(segmentDevs(), st.Dev) {
			return f
		}
		_ = f.Close() // another mapping, by now
	}
	return nil
}

// attach attaches a segment that nobody has attached.
func (l *looker) attach(o ipc.Object) ([]byte, func() error, error) {
	limits, err := ipc.ReadLimits()
	if err != nil {
		return nil, nil, err
	}
	for _, s := range limits.Namespace {
		// With it a segment goes with its last detach, which would be ours.
		if s.Sysctl == "kernel.shm_rmid_forced" && s.Value != 0 {
			return nil, nil, errors.New("nobody has it attached, and to look would destroy it: kernel.shm_rmid_forced is set")
		}
	}
	seg, err := ipc.Shm(o.ID).Attach(true)
	if err != nil {
		return nil, nil, err
	}
	return seg.Data, seg.Detach, nil
}

// shmFile opens a file of some container's /dev/shm, if it is still the same one.
func (l *looker) shmFile(it *Item) (*os.File, error) {
	i := slices.IndexFunc(l.boxes, func(b box) bool { return b.shm != nil && b.dev == it.Object.Dev })
	if i < 0 {
		return nil, unix.ENOENT
	}
	name := it.Object.Name[1:]
	if it.Object.Kind == ipc.KindNamedSem {
		name = "sem." + name
	}
	fd, err := unix.Openat(int(l.boxes[i].shm.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Dev != it.Object.Dev || st.Ino != it.Object.Inode {
		_ = unix.Close(fd) // another file, by now
		return nil, unix.ENOENT
	}
	return os.NewFile(uintptr(fd), name), nil
}
