package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
)

// Serve answers Take: it takes the inventory as far as this process sees it.
func Serve(in io.Reader, out io.Writer) error {
	var r request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return err
	}
	var a answer
	var err error
	switch {
	case r.Limits:
		a.Limits, err = readLimits(r.Stage.Pid)
	case r.Numbers:
		a.Numbers, err = ipc.ListNamespace()
		if errors.Is(err, ipc.ErrNoMQueue) || errors.Is(err, ipc.ErrForeignMQueue) {
			err = nil // queues have no such numbers
		}
	default:
		a.Inventory, err = look(r)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(a)
}

// looker is what look works on.
type looker struct {
	inv      Inventory
	boxes    []box
	ids      idMap
	procs    map[int]*process
	ipcID    uint64                 // the pod's IPC namespace
	joinedNS bool                   // the ids that we see are the pod's own already
	mapped   map[objectKey][]string // where in /proc/PID/map_files segments are mapped
	origins  origins
	cgroups  *cgroups
}

// box is a container that has a process.
type box struct {
	name  string
	first *process
	shm   *os.File // its /dev/shm; nil if there is none
	dev   uint64   // of that
}

// shmPath is a path to it, for us.
func (b *box) shmPath() string { return "/proc/self/fd/" + strconv.Itoa(int(b.shm.Fd())) }

func look(r request) (Inventory, error) {
	l := &looker{}
	own, its, err := joined(r.Stage.Pid)
	if err != nil {
		return l.inv, err
	}
	l.inv.IPC, l.ipcID, l.joinedNS = its[ns.IPC], its[ns.IPC], its[ns.User] == own[ns.User]
	l.ids, err = readIDMap(fmt.Sprintf("/proc/%d/uid_map", r.Stage.Pid))
	if err != nil {
		return l.inv, gone(err)
	}
	objects, err := ipc.ListNamespace()
	if err != nil {
		l.note("%v", err)
	}
	l.scan(r) // after it, so that who is not found has ended
	defer l.close()
	l.list(objects)
	l.findOrigins()
	l.attribute()
	l.pay()
	return l.inv, nil
}

// joined is the namespaces of this process and of the stage, which must have the same IPC namespace.
func joined(stage int) (own, its map[ns.Kind]uint64, err error) {
	if own, err = ns.Inspect(0); err != nil {
		return nil, nil, err
	}
	if its, err = ns.Inspect(stage); err != nil {
		return nil, nil, gone(err)
	}
	if its[ns.IPC] != own[ns.IPC] {
		return nil, nil, errors.New("this process hasn't joined the pod's IPC namespace")
	}
	return own, its, nil
}

func (l *looker) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(l.inv.Notes, n) {
		l.inv.Notes = append(l.inv.Notes, n)
	}
}

// scan reads what there is of processes, and finds those that are the containers'.
func (l *looker) scan(r request) {
	l.procs = readProcesses()
	for name, c := range r.Containers {
		p := l.procs[c.Pid]
		switch {
		case p == nil || c.Start != 0 && p.start != c.Start:
			continue // it has none now
		case !p.open():
			l.note("%s can't be looked at: %v", name, p.why)
			continue
		}
		l.boxes = append(l.boxes, box{name: name, first: p})
	}
	slices.SortFunc(l.boxes, func(a, b box) int { return strings.Compare(a.name, b.name) })
	assign(l.procs, l.boxes)
	if len(l.boxes) == 0 {
		l.note("no container has a process now, so their /dev/shm can't be looked at")
	}
}

// close lets go of the containers' processes.
func (l *looker) close() {
	for _, b := range l.boxes {
		b.first.close()
		if b.shm != nil {
			_ = b.shm.Close() // it only named things
		}
	}
}

// list makes the items: of what the namespace holds, and of what lies in /dev/shm.
func (l *looker) list(objects []ipc.Object) {
	var everyone []string
	for _, b := range l.boxes {
		everyone = append(everyone, b.name)
	}
	for _, o := range objects {
		l.inv.Items = append(l.inv.Items, l.item(o, everyone))
	}
	for i := range l.boxes {
		l.findShm(&l.boxes[i])
	}
	for _, m := range l.inv.Mounts {
		i := slices.IndexFunc(l.boxes, func(b box) bool { return b.dev == m.Dev && slices.Contains(m.Containers, b.name) })
		files, err := ipc.ListAt(ipc.Places{Shm: l.boxes[i].shmPath()})
		if err != nil {
			l.note("/dev/shm of %s: %v", l.boxes[i].name, bare(err))
		}
		for _, o := range files {
			l.inv.Items = append(l.inv.Items, l.item(o, m.Containers))
		}
	}
}

// findShm finds out which file system a container has at /dev/shm.
func (l *looker) findShm(b *box) {
	f, err := openShm(b.first)
	if err != nil {
		l.note("/dev/shm of %s: %v", b.name, err)
		return
	}
	b.shm = f
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		l.note("/dev/shm of %s: %v", b.name, err)
		return
	}
	b.dev = st.Dev
	for i, m := range l.inv.Mounts {
		if m.Dev == st.Dev {
			l.inv.Mounts[i].Containers = append(m.Containers, b.name)
			return
		}
	}
	l.inv.Mounts = append(l.inv.Mounts, Mount{Dev: st.Dev, Containers: []string{b.name}})
}

// openShm opens a process's /dev/shm. A container can make a mount namespace in which that is a symbolic link, and the
// links below /proc/PID/root lead from our root on, not from there: only openat2(2) keeps them inside.
func openShm(p *process) (*os.File, error) {
	root, err := unix.Open(p.dir()+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, "dev/shm", &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/dev/shm"), nil
}

// bare is an error without the path, which is of our own making.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// item is an object with its owners as the pod counts them, whether we see the pod's ids or the host's.
func (l *looker) item(o ipc.Object, containers []string) Item {
	it := Item{Object: o, Containers: containers}
	if l.joinedNS {
		it.HostUID = l.ids.outside(o.UID)
		return it
	}
	it.HostUID = o.UID
	it.Object.UID, it.Object.CreatorUID = l.ids.inside(o.UID), l.ids.inside(o.CreatorUID)
	return it
}

// attribute says who made, used last, and has every object.
func (l *looker) attribute() {
	uses := l.findUses()
	for i := range l.inv.Items {
		it := &l.inv.Items[i]
		o := &it.Object
		it.Users = uses[keyOf(*o)].list(l.procs)
		if o.Kind == ipc.KindShm {
			it.Unseen = o.Attached
			for _, u := range it.Users {
				it.Unseen = max(0, it.Unseen-u.Mapped)
			}
		}
		it.Creator, it.CreatorWhy = l.creator(*o)
		pids := pidsOf(*o)[1:] // without the creator
		slices.Sort(pids)
		for _, pid := range slices.Compact(pids) {
			if pid != 0 {
				it.Last = append(it.Last, l.process(*o, pid))
			}
		}
	}
}

// creator is who made an object, as far as the kernel says.
func (l *looker) creator(o ipc.Object) (*Process, string) {
	switch {
	case o.Kind != ipc.KindShm:
		return nil, "the kernel keeps no creator of this kind"
	case o.CreatorPid == 0:
		return nil, "it has no number in this PID namespace"
	}
	p := l.process(o, o.CreatorPid)
	// A number is used again. The segment's time of change is that of its birth or later; so a process that began after
	// it is another one. One second more, for the time is in whole seconds.
	if q := l.procs[o.CreatorPid]; q != nil && q.began().After(o.ChangeTime.Add(second)) {
		p = l.ended(o, o.CreatorPid)
	}
	return &p, ""
}

// process is what we know of a process that has to do with an object.
func (l *looker) process(o ipc.Object, pid int) Process {
	p := l.procs[pid]
	if p == nil {
		return l.ended(o, pid)
	}
	if was := l.origins[originKey{o.Kind, o.ID, pid}]; was != "" && was != p.container {
		return l.ended(o, pid) // the number is another process's by now
	}
	return Process{PID: pid, Name: p.name, Container: p.container}
}

// ended is one that isn't there any more.
func (l *looker) ended(o ipc.Object, pid int) Process {
	return Process{PID: pid, Gone: true, Container: l.origins[originKey{o.Kind, o.ID, pid}]}
}
