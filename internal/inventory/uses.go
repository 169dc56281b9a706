package inventory

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
)

// objectKey is how mappings and descriptors name an object: a file by device and inode; a segment by its identifier,
// which is the inode number in the kernel's own file system for them, proc_pid_maps(5); the first one's is 0.
type objectKey struct {
	dev, inode uint64
	segment    bool
}

func keyOf(o ipc.Object) objectKey {
	if o.Kind == ipc.KindShm {
		return objectKey{inode: uint64(uint32(o.ID)), segment: true}
	}
	return objectKey{dev: o.Dev, inode: o.Inode}
}

// uses is who has an object.
type uses map[int]*User // by pid

func (u uses) list(procs map[int]*process) []User {
	var all []User
	for _, one := range u {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b User) int { return a.PID - b.PID })
	return all
}

// findUses looks at the mappings and descriptors of every process that may have some: those in the IPC namespace, and
// those of the containers.
func (l *looker) findUses() map[objectKey]uses {
	found := map[objectKey]uses{}
	wanted := map[objectKey]bool{}
	for _, it := range l.inv.Items {
		if it.Object.Kind.SystemV() && it.Object.Kind != ipc.KindShm {
			continue // nobody has them: they are used by their number
		}
		wanted[keyOf(it.Object)] = true
	}
	devs := segmentDevs()
	l.mapped = map[objectKey][]string{}
	for _, p := range l.procs {
		inside := p.namespaces[ns.IPC] == l.ipcID
		if p.pid == os.Getpid() || !inside && p.container == "" {
			continue
		}
		add := func(k objectKey, count func(*User)) {
			if !wanted[k] || k.segment && !inside {
				return // identifiers are of a namespace
			}
			if found[k] == nil {
				found[k] = uses{}
			}
			if found[k][p.pid] == nil {
				found[k][p.pid] = &User{Process: Process{PID: p.pid, Name: p.name, Container: p.container}}
			}
			count(found[k][p.pid])
		}
		if err := eachMapping(p.pid, func(m mapping) {
			k := m.key(devs)
			add(k, func(u *User) { u.Mapped++ })
			if k.segment && inside {
				l.mapped[k] = append(l.mapped[k], fmt.Sprintf("/proc/%d/map_files/%s", p.pid, m.bounds))
			}
		}); err != nil && !os.IsNotExist(err) {
			l.note("mappings of process %d (%s): %v", p.pid, p.name, bare(err))
		}
		eachDescriptor(p.pid, func(k objectKey) { add(k, func(u *User) { u.Open++ }) })
	}
	return found
}

// mapping is a line of /proc/PID/maps.
type mapping struct {
	bounds     string // "7f9d93c82000-7f9d93cc2000"
	dev, inode uint64
	path       string // "" for what is no file's; [stack] and the like aren't either
}

// parseMapping reads "7f9d93c82000-7f9d93cc2000 rw-s 00000000 00:01 360457    /SYSV6a6f6273 (deleted)".
func parseMapping(line string) (mapping, bool) {
	f := strings.Fields(line)
	if len(f) < 5 {
		return mapping{}, false
	}
	major, minor, ok := strings.Cut(f[3], ":")
	ma, err := strconv.ParseUint(major, 16, 32)
	mi, err2 := strconv.ParseUint(minor, 16, 32)
	inode, err3 := strconv.ParseUint(f[4], 10, 64)
	if !ok || err != nil || err2 != nil || err3 != nil {
		return mapping{}, false
	}
	m := mapping{bounds: f[0], dev: unix.Mkdev(uint32(ma), uint32(mi)), inode: inode}
	if i := strings.IndexByte(line, '/'); i >= 0 {
		m.path = line[i:]
	}
	return m, true
}

// key is the object that is mapped. A file that somebody called /SYSV… is none of the kernel's segments: those lie on a
// file system that nobody can put files into.
func (m mapping) key(segmentDevs []uint64) objectKey {
	if strings.HasPrefix(m.path, "/SYSV") && slices.Contains(segmentDevs, m.dev) {
		return objectKey{inode: m.inode, segment: true}
	}
	return objectKey{dev: m.dev, inode: m.inode}
}

func eachMapping(pid int, found func(mapping)) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if m, ok := parseMapping(lines.Text()); ok && m.path != "" {
			found(m)
		}
	}
	return nil // ESRCH while reading gives what came before: it is ending
}

// segmentDevs is the devices that segments are on, of normal and of huge pages: the same as those of a memfd.
func segmentDevs() (devs []uint64) {
	for _, flags := range []int{unix.MFD_CLOEXEC, unix.MFD_CLOEXEC | unix.MFD_HUGETLB} {
		fd, err := unix.MemfdCreate("podlab", flags)
		if err != nil {
			continue // a kernel without huge pages has no segments of them
		}
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			devs = append(devs, st.Dev)
		}
		_ = unix.Close(fd) // never written to
	}
	return devs
}

// eachDescriptor looks at what a process has open, without opening it: stat(2) follows the links of /proc/PID/fd.
func eachDescriptor(pid int, found func(objectKey)) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return // as for its mappings, which were told of
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what came before an error counts
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(int(dir.Fd()), name, &st, 0) == nil {
			found(objectKey{dev: st.Dev, inode: st.Ino})
		}
	}
}
