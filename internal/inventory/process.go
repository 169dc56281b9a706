package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// process is a process of this machine.
type process struct {
	pid, parent int
	start       uint64 // ticks since the machine started: field 22 of /proc/PID/stat
	name        string
	namespaces  map[ns.Kind]uint64 // nil if it isn't ours to look at
	container   string

	fd  int   // of /proc/PID, once open; it never means another process
	why error // why it isn't open
}

const (
	second = time.Second
	ticks  = 100 // USER_HZ, in which the kernel tells user space of times: time(7)
)

// readProcesses reads who there is.
func readProcesses() map[int]*process {
	all := map[int]*process{}
	dir, err := os.Open("/proc")
	if err != nil {
		return all // without /proc nothing at all can be found out, as the caller has seen
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what came before an error counts
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		p, err := readProcess(pid)
		if err == nil {
			all[pid] = p
		}
	}
	return all
}

func readProcess(pid int) (*process, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	p, err := parseStat(data)
	if err != nil {
		return nil, err
	}
	p.fd = -1
	p.namespaces, _ = ns.Inspect(pid) // nil: another user's, or it has just ended
	return p, nil
}

// parseStat reads pid, name, parent and start from /proc/PID/stat. The name may hold anything, parentheses too: it goes
// to the last one.
func parseStat(data []byte) (*process, error) {
	from, to := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if from < 0 || to < from {
		return nil, errors.New("/proc/PID/stat: no name")
	}
	f := strings.Fields(string(data[to+1:]))
	if len(f) < 20 {
		return nil, fmt.Errorf("/proc/PID/stat: %d fields after the name, want more", len(f))
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data[:from])))
	parent, err2 := strconv.Atoi(f[1])
	start, err3 := strconv.ParseUint(f[19], 10, 64) // the first of them is field 3
	return &process{pid: pid, parent: parent, start: start, name: string(data[from+1 : to])}, errors.Join(err, err2, err3)
}

// startTime is when the process of a /proc/PID began.
func startTime(dir string) (uint64, error) {
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, err
	}
	p, err := parseStat(data)
	if err != nil {
		return 0, err
	}
	return p.start, nil
}

// began is that as a time of day.
func (p *process) began() time.Time {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // never fails for this clock, clock_gettime(2)
	return time.Now().Add(time.Duration(p.start)*second/ticks - time.Duration(now.Nano()))
}

// open opens the process's directory, so that what is read there is of this process or of none.
func (p *process) open() bool {
	dir := fmt.Sprintf("/proc/%d", p.pid)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.why = err
		return false
	}
	p.fd = fd
	if start, err := startTime(p.dir()); err != nil || start != p.start {
		p.close()
		p.why = unix.ESRCH
		return false
	}
	return true
}

// dir is a path to the open directory.
func (p *process) dir() string { return "/proc/self/fd/" + strconv.Itoa(p.fd) }

func (p *process) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd) // only named things
		p.fd = -1
	}
}

// assign says which container each process is in. Each container has a mount namespace of its own, unless that was left
// out; then its PID namespace is looked at, and at last whose descendant a process is.
func assign(all map[int]*process, boxes []box) {
	owner := map[ns.Kind]map[uint64]string{ns.Mnt: {}, ns.PID: {}}
	const several = "\x00"
	for _, b := range boxes {
		for k, names := range owner {
			id := b.first.namespaces[k]
			if _, taken := names[id]; taken {
				names[id] = several
			} else {
				names[id] = b.name
			}
		}
	}
	self, _ := ns.Inspect(0) // nil: then nothing is taken for ours
	for _, k := range []ns.Kind{ns.Mnt, ns.PID} {
		if _, ok := owner[k][self[k]]; ok {
			owner[k][self[k]] = several // ours, too: says nothing
		}
	}
	for _, p := range all {
		for _, k := range []ns.Kind{ns.Mnt, ns.PID} {
			if name := owner[k][p.namespaces[k]]; p.namespaces != nil && p.container == "" && name != several {
				p.container = name
			}
		}
	}
	for _, p := range all {
		if p.container == "" {
			p.container = inherited(all, boxes, p)
		}
	}
}

// inherited is the container of the nearest ancestor that is a container's first process.
func inherited(all map[int]*process, boxes []box, p *process) string {
	for range len(all) { // no more steps than there are processes, whatever they do meanwhile
		for _, b := range boxes {
			if b.first == p {
				return b.name
			}
		}
		next := all[p.parent]
		if next == nil || next == p {
			return ""
		}
		p = next
	}
	return ""
}

// idMap is a user namespace's uid_map: rows of inside, outside, length.
type idMap [][3]int

func readIDMap(path string) (idMap, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m idMap
	for line := range strings.Lines(string(data)) {
		var row [3]int
		if n, err := fmt.Sscan(line, &row[0], &row[1], &row[2]); n != 3 {
			return nil, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		m = append(m, row)
	}
	return m, nil
}

// overflowID is what an id without a number reads, user_namespaces(7).
const overflowID = 65534

func (m idMap) inside(outside int) int {
	for _, r := range m {
		if outside >= r[1] && outside-r[1] < r[2] {
			return outside - r[1] + r[0]
		}
	}
	return overflowID
}

func (m idMap) outside(inside int) int {
	for _, r := range m {
		if inside >= r[0] && inside-r[0] < r[2] {
			return inside - r[0] + r[1]
		}
	}
	return -1
}
