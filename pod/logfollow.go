package pod

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// LogFollower watches the logs of a pod until the pod is gone, and tells their
// readers. It opens new files at once, for rotation deletes the oldest. The end
// of the pod deletes all, and may be quicker: so the supervisor hands them over.
type LogFollower struct {
	Readers []*LogReader
	events  *os.File // inotify
	control *os.File // hung up: the pod is gone
	hungUp  chan struct{}
	last    map[string][]namedPart // by container; until hungUp of the goroutine that hears the supervisor
	feeds   map[int32]*logFeed
	work    sync.WaitGroup
}

type namedPart struct {
	name string
	logPart
}

// logFeed is what a reader learns from the follower.
type logFeed struct {
	files   chan logPart  // new ones, for the reader to close
	changed chan struct{} // something was written, or closed
	gone    chan struct{} // closed: nothing more will be

	// The follower's own.
	name   string // of the container
	dir    int
	newest logPart // a copy: while it is open, no other file gets its inode number
	before []int   // likewise the ones before it, as many as there can be
}

// followPatience is how long a supervisor may take to answer. One that is stopped
// will do later: its logs can be read meanwhile.
const followPatience = time.Second

// FollowLogs reads what there is of the logs of containers, and what comes.
func (h *Handle) FollowLogs(containers []string) (*LogFollower, error) {
	control, conn, err := h.connect()
	if err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		_ = control.Close()
		return nil, &HintError{fmt.Errorf("inotify_init1: %w", err), "EMFILE: too many programs of this user watch files, see sysctl fs.inotify.max_user_instances"}
	}
	f := &LogFollower{control: control, events: os.NewFile(uintptr(fd), "inotify"), feeds: map[int32]*logFeed{},
		hungUp: make(chan struct{}), last: map[string][]namedPart{}}
	for _, c := range containers {
		if err := f.add(h, c); err != nil {
			_ = f.Close() // err is what counts
			return nil, err
		}
	}
	_ = control.SetDeadline(time.Now().Add(followPatience))
	err = request{Do: "follow"}.sendTo(conn)
	if err == nil {
		_, _, err = receive(conn)
	}
	_ = control.SetDeadline(time.Time{})
	err = h.gone(context.Background(), err)
	if err != nil && !errors.Is(err, ErrGone) && !errors.Is(err, os.ErrDeadlineExceeded) {
		_ = f.Close() // err is what counts
		return nil, err
	} // If the pod is gone, what is open is all there was.
	f.work.Add(2)
	go f.hear(conn)
	go f.watch()
	return f, nil
}

// hear takes what the supervisor hands over at the end.
func (f *LogFollower) hear(conn *ns.Conn) {
	defer f.work.Done()
	for {
		r, fds, err := receive(conn)
		if err != nil {
			break
		}
		container, name, _ := strings.Cut(r.Log, "/")
		for _, fd := range fds {
			run, _, _ := logFileName(name)
			f.last[container] = append(f.last[container], namedPart{name, logPart{fd: fd, run: run}})
		}
	}
	close(f.hungUp)
	_ = f.events.SetReadDeadline(time.Unix(1, 0))
}

// lastLogs hands all logs to those who follow them.
func (s *supervisor) lastLogs() {
	for cl := range s.control.clients {
		for _, b := range s.boxes {
			if !cl.logs {
				continue
			}
			dir, err := openBeneath(s.dir.fd, logsDir+"/"+b.plan.Name, unix.O_RDONLY|unix.O_DIRECTORY)
			if err != nil {
				continue // its log could not be made
			}
			names, _ := listParts(dir, 0, false) // none can be handed over then
			for _, n := range names {
				if p, err := openPart(dir, n); err == nil {
					cl.send(reply{What: "log", Log: b.plan.Name + "/" + n}, p.fd)
					_ = unix.Close(p.fd) // it has its own
				}
			}
			_ = unix.Close(dir) // only read from
		}
	}
}

// add watches a log, and then looks what is there: so nothing comes in between.
func (f *LogFollower) add(h *Handle, container string) error {
	dir, err := h.logDir(container)
	if err != nil {
		return err
	}
	feed := &logFeed{name: container, dir: dir, newest: logPart{fd: -1}, files: make(chan logPart, maxLogFiles), changed: make(chan struct{}, 1), gone: make(chan struct{})}
	err = f.watchDir(feed)
	var r *LogReader
	if err == nil {
		r, err = h.OpenLog(container, false)
	}
	if err != nil {
		_ = unix.Close(dir) // only read from
		return err
	}
	r.feed = feed
	f.Readers = append(f.Readers, r)
	for _, p := range r.files {
		if err := feed.know(p); err != nil {
			return err
		}
	}
	return nil
}

// know keeps a copy of a file, the newest from now on.
func (d *logFeed) know(p logPart) error {
	fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("fcntl F_DUPFD_CLOEXEC: %w", err)
	}
	if d.newest.fd >= 0 {
		d.before = append(d.before, d.newest.fd)
	}
	if len(d.before) > maxLogFiles {
		_ = unix.Close(d.before[0]) // only read from
		d.before = d.before[1:]
	}
	d.newest = p
	d.newest.fd = fd
	return nil
}

// knows: the reader has the file, or had.
func (d *logFeed) knows(fd int) bool {
	return sameFile(fd, d.newest.fd) || slices.ContainsFunc(d.before, func(b int) bool { return sameFile(fd, b) })
}

func (f *LogFollower) watchDir(feed *logFeed) error {
	raw, err := f.events.SyscallConn()
	if err != nil {
		return err
	}
	var wd int
	if cerr := raw.Control(func(fd uintptr) {
		// Through the descriptor: a name could by now be another's.
		wd, err = unix.InotifyAddWatch(int(fd), "/proc/self/fd/"+strconv.Itoa(feed.dir), unix.IN_CREATE|unix.IN_MODIFY|unix.IN_CLOSE_WRITE|unix.IN_ONLYDIR)
	}); cerr != nil {
		return cerr
	}
	if err != nil {
		return &HintError{fmt.Errorf("inotify_add_watch: %w", err), "ENOSPC: this user watches too many files, see sysctl fs.inotify.max_user_watches"}
	}
	f.feeds[int32(wd)] = feed
	return nil
}

// watch passes on what inotify tells.
func (f *LogFollower) watch() {
	defer f.work.Done()
	buf := make([]byte, 16<<10)
	for {
		n, err := f.events.Read(buf)
		if err != nil {
			break // the pod is gone, or Close was called
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
			b = b[unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])):]
			if mask&unix.IN_Q_OVERFLOW != 0 {
				for _, feed := range f.feeds {
					feed.tell(true)
				}
			} else if feed := f.feeds[wd]; feed != nil {
				feed.tell(mask&unix.IN_CREATE != 0)
			}
		}
	}
	<-f.hungUp
	for _, feed := range f.feeds {
		feed.tell(true) // a killed podlab hands nothing over, but leaves its files
		last := f.last[feed.name]
		delete(f.last, feed.name)
		feed.take(slices.DeleteFunc(last, func(p namedPart) bool {
			old := p.run < feed.newest.run
			if old {
				_ = unix.Close(p.fd) // it is read, or not wanted
			}
			return old
		}))
		close(feed.gone)
	}
}

// tell wakes the reader.
func (d *logFeed) tell(created bool) {
	if created {
		for !d.look() {
		}
	}
	select {
	case d.changed <- struct{}{}:
	default: // it has been told
	}
}

// look opens what is newer than the newest file so far. It is false if files were
// rotated meanwhile.
func (d *logFeed) look() bool {
	names, err := listParts(d.dir, d.newest.run, false)
	if err != nil {
		return true // nothing can be found any more
	}
	var parts []namedPart
	for _, n := range names {
		if p, err := openPart(d.dir, n); err == nil { // or it is nothing of podlab's
			parts = append(parts, namedPart{n, p})
		}
	}
	// If something was rotated meanwhile, RUN.log may be the file after the one
	// that it was in the list.
	if again, err := listParts(d.dir, d.newest.run, false); err == nil && !slices.Equal(names, again) {
		for _, p := range parts {
			_ = unix.Close(p.fd) // only read from
		}
		return false
	}
	d.take(parts)
	return true
}

// take hands over what isn't known yet. At the end of the pod the newest may be
// deleted before older ones are.
func (d *logFeed) take(parts []namedPart) {
	slices.SortFunc(parts, func(a, b namedPart) int { return olderLog(a.name, b.name) })
	for i, p := range parts {
		if d.knows(p.fd) {
			_ = unix.Close(p.fd) // only read from
			continue
		}
		p.seq = d.newest.seq + 1
		if i == 0 { // what we had was deleted; who knows what else was
			p.seq++
		}
		d.push(p.logPart)
	}
}

// push hands over a file. A reader that is so far behind loses the oldest, as it
// would to rotation: what it holds takes space.
func (d *logFeed) push(p logPart) {
	if err := d.know(p); err != nil {
		_ = unix.Close(p.fd) // only read from
		return               // at the next event
	}
	for {
		select {
		case d.files <- p:
			return
		default:
		}
		select {
		case old := <-d.files:
			_ = unix.Close(old.fd) // only read from
		default: // the reader has just taken one
		}
	}
}

// Wait waits until there may be more to read. It is false when there won't be: the
// pod is gone, and everything was read, or ctx has ended.
func (r *LogReader) Wait(ctx context.Context) bool {
	if r.feed == nil {
		return false
	}
	select {
	case p := <-r.feed.files:
		r.files = append(r.files, p)
	case <-r.feed.changed:
	case <-r.feed.gone:
		for {
			select {
			case p := <-r.feed.files:
				r.files = append(r.files, p)
				continue
			default:
			}
			break
		}
		r.feed = nil // once more, to the end
	case <-ctx.Done():
		return false
	}
	return true
}

// Close ends the watching. The readers must not be in use.
func (f *LogFollower) Close() error {
	_ = f.control.Close() // ends the one goroutine, and that the other
	f.work.Wait()
	_ = f.events.Close() // only read from
	for _, feed := range f.feeds {
		_ = unix.Close(feed.dir) // only read from
		closeParts([]logPart{feed.newest})
		for _, fd := range feed.before {
			_ = unix.Close(fd) // likewise
		}
		for len(feed.files) > 0 {
			closeParts([]logPart{<-feed.files})
		}
	}
	for _, last := range f.last {
		for _, p := range last {
			_ = unix.Close(p.fd) // nobody wants it
		}
	}
	for _, r := range f.Readers {
		_ = r.Close()
	}
	return nil
}
