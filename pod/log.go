package pod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// What a container writes lies in logs/CONTAINER/RUN.log of the pod's directory,
// in the format of the CRI, which the kubelet and crictl read: a record is a line
//
//	2016-10-06T00:17:09.669794202Z stdout F text
//
// of the time, the stream, F, or P if the text isn't the end of a line, and the
// text. RUN counts restarts from 0. Everything is reached from the descriptor of
// the pod's directory, and no link is followed.
const (
	logsDir     = "logs"
	logStamp    = "2006-01-02T15:04:05.000000000Z07:00" // RFC 3339, of one length
	logRotated  = "20060102-150405.000000000"           // after RUN.log. : the kubelet's, and finer, for we may rotate twice in a second
	maxLogLine  = 16 << 10                              // a longer line is cut into parts, as containerd does
	maxLogFile  = 10 << 20                              // then it is rotated: the kubelet's containerLogMaxSize
	maxLogFiles = 5                                     // of one run, with the one being written: containerLogMaxFiles
	maxLogRuns  = 2                                     // the latest and, for --previous, the one before, as the kubelet keeps them
)

// logFile is the log of one run of a container. The kubelet's rotated files but
// the latest are compressed; these are not.
type logFile struct {
	dir  int // logs/CONTAINER
	run  int
	fd   int // -1: not open
	size int64
	old  []string  // rotated files, oldest first
	last time.Time // of the latest rotation
	lost int64     // bytes since the last record
	told bool      // that something went wrong
}

// containerLog is handed around between a run's two streams: who has taken the
// file out of the channel is its owner.
type containerLog struct {
	turn  chan *logFile
	users atomic.Int32
	note  func(error) // told of the first error, by a stream's goroutine
}

// makeLogs makes the directories of all logs, and the first file of each: who
// follows a log finds it from the beginning.
func (d *Dir) makeLogs(containers []string) error {
	err := unix.Mkdirat(d.fd, logsDir, 0o700)
	for _, c := range containers {
		if err == nil {
			err = unix.Mkdirat(d.fd, logsDir+"/"+c, 0o700)
		}
		if err == nil {
			var l *containerLog
			if l, err = d.openLog(c, 0, nil); err == nil {
				l.release()
			}
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: filepath.Join(d.Path, logsDir, c), Err: bare(err)}
		}
	}
	if err != nil {
		return &os.PathError{Op: "mkdir", Path: filepath.Join(d.Path, logsDir), Err: err}
	}
	return nil
}

func bare(err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// openLog begins the log of a run, and removes those of long ago.
func (d *Dir) openLog(container string, run int, note func(error)) (*containerLog, error) {
	path := filepath.Join(d.Path, logsDir, container, logName(run))
	dir, err := openBeneath(d.fd, logsDir+"/"+container, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	l := &logFile{dir: dir, run: run, fd: -1}
	if run >= maxLogRuns {
		l.forget(run - maxLogRuns)
	}
	if err := l.open(); err != nil {
		_ = unix.Close(dir) // nothing was written through it
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	log := &containerLog{turn: make(chan *logFile, 1), note: note}
	log.users.Store(1)
	log.turn <- l
	return log, nil
}

func logName(run int) string { return strconv.Itoa(run) + ".log" }

// open opens the file that is written to. A container has no way to this
// directory, but whoever runs podlab has: a link or a FIFO there is not ours.
func (l *logFile) open() error {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(l.dir, logName(l.run), flags, 0o600)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = unix.Close(fd) // nothing was written to it
		return errors.New("not a regular file")
	}
	// Who follows the log sees by the lock whether there is more to come.
	_ = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) // nobody else locks a new file
	l.fd, l.size = fd, st.Size
	return nil
}

// shut closes the file. Unlocked before, and not by closing: whoever is told
// that it was closed looks at the lock.
func shut(fd int) {
	_ = unix.Flock(fd, unix.LOCK_UN) // as above
	_ = unix.Close(fd)               // the kernel has all that was written
}

// forget removes the files of an earlier run.
func (l *logFile) forget(run int) {
	names, _ := dirNames(l.dir) // what can't be read can't be forgotten
	for _, n := range names {
		if n == logName(run) || strings.HasPrefix(n, logName(run)+".") {
			_ = unix.Unlinkat(l.dir, n, 0) // one log too many is no reason not to write this one
		}
	}
}

// dirNames are the names in a directory that is open, sorted.
func dirNames(dir int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // with an offset of its own
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// write appends whole records. What can't be written is lost: a container must
// not be held up by a full disk. The next record that can be is preceded by one
// that says so.
func (l *logFile) write(records []byte) error {
	var failed error
	if l.size > 0 && l.size+int64(len(records)) > maxLogFile {
		failed = l.rotate()
	}
	gap := 0
	if l.lost > 0 {
		said := time.Now().UTC().AppendFormat(nil, logStamp)
		said = fmt.Appendf(said, " stderr F podlab: %d bytes of this log are lost here: they could not be written\n", l.lost)
		gap, records = len(said), append(said, records...)
	}
	done := 0
	for done < len(records) {
		n, err := unix.Write(l.fd, records[done:])
		if err != nil && err != unix.EINTR {
			failed = err
			break
		}
		done += max(n, 0)
	}
	if done < len(records) { // half a record must not stay
		whole := bytes.LastIndexByte(records[:done], '\n') + 1
		if whole <= gap {
			whole = 0
		}
		if unix.Ftruncate(l.fd, l.size+int64(whole)) == nil {
			done = whole
		}
	}
	if l.size += int64(done); done >= gap {
		l.lost = 0
		done -= gap
	}
	l.lost += int64(len(records) - gap - done)
	return failed
}

// rotate puts the file aside and begins another. If that is impossible the old
// one goes on.
func (l *logFile) rotate() error {
	for len(l.old) > maxLogFiles-2 {
		if err := unix.Unlinkat(l.dir, l.old[0], 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("rotate: %w", err)
		}
		l.old = l.old[1:]
	}
	now := time.Now().UTC()
	if !now.After(l.last) { // the clock was put back: the names are sorted
		now = l.last.Add(1)
	}
	name, aside := logName(l.run), logName(l.run)+"."+now.Format(logRotated)
	if err := unix.Renameat(l.dir, name, l.dir, aside); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	before := l.fd
	if err := l.open(); err != nil {
		_ = unix.Renameat(l.dir, aside, l.dir, name) // as it was, or else it is found as a rotated one
		return fmt.Errorf("rotate: %w", err)
	}
	shut(before)
	l.old, l.last = append(l.old, aside), now
	return nil
}

// stream is one of the two streams that share the log.
func (c *containerLog) stream(stderr bool) io.WriteCloser {
	c.users.Add(1)
	if stderr {
		return &logStream{log: c, name: " stderr "}
	}
	return &logStream{log: c, name: " stdout "}
}

// release closes the file when nobody uses it any more.
func (c *containerLog) release() {
	if c.users.Add(-1) == 0 {
		l := <-c.turn
		shut(l.fd)
		_ = unix.Close(l.dir)
	}
}

// logStream makes records of what one stream brings.
type logStream struct {
	log  *containerLog
	name string
	part []byte // of a line that has no end yet
}

// Write logs the whole lines in p, and keeps what follows the last of them. What
// was read at once has one time. It never fails.
func (s *logStream) Write(p []byte) (int, error) {
	s.log.write(func(out *records) { s.add(out, p) })
	return len(p), nil
}

// Close logs a last line without an end, as a part, which is how containerd does.
func (s *logStream) Close() error {
	if len(s.part) > 0 {
		s.log.write(func(out *records) { out.add(s.name, 'P', s.part, nil) })
	}
	s.part = nil
	s.log.release()
	return nil
}

func (s *logStream) add(out *records, p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		switch {
		case end >= 0 && len(s.part)+end <= maxLogLine:
			out.add(s.name, 'F', s.part, p[:end])
			s.part, p = s.part[:0], p[end+1:]
		case len(s.part)+len(p) <= maxLogLine:
			s.part, p = append(s.part, p...), nil
		default:
			take := maxLogLine - len(s.part)
			out.add(s.name, 'P', s.part, p[:take])
			s.part, p = s.part[:0], p[take:]
		}
	}
}

// records collects what is written at once.
type records struct {
	file  *logFile
	stamp []byte
	buf   []byte
	err   error
}

// recordBuffers are shared by all logs: a quiet container needs none.
var recordBuffers = sync.Pool{New: func() any { return &records{buf: make([]byte, 0, 2*chunkSize)} }}

// write takes the file, and lets do fill it.
func (c *containerLog) write(do func(*records)) {
	r := recordBuffers.Get().(*records)
	r.stamp = time.Now().UTC().AppendFormat(r.stamp[:0], logStamp)
	r.file = <-c.turn
	do(r)
	r.flush()
	err, tell := r.err, r.err != nil && !r.file.told
	r.file.told = r.file.told || tell
	c.turn <- r.file
	r.file, r.err = nil, nil
	recordBuffers.Put(r)
	if tell {
		c.note(err)
	}
}

// add appends a record, whose text is in two pieces.
func (r *records) add(stream string, tag byte, text, more []byte) {
	if len(r.buf)+len(text)+len(more)+64 > cap(r.buf) {
		r.flush()
	}
	r.buf = append(append(append(r.buf, r.stamp...), stream...), tag, ' ')
	r.buf = append(append(append(r.buf, text...), more...), '\n')
}

func (r *records) flush() {
	if len(r.buf) == 0 {
		return
	}
	if err := r.file.write(r.buf); err != nil {
		r.err = err
	}
	r.buf = r.buf[:0]
}

// makeLogs prepares all logs, before anybody can ask for them.
func (s *supervisor) makeLogs() {
	var names []string
	for _, b := range s.boxes {
		names = append(names, b.plan.Name)
	}
	if err := s.dir.makeLogs(names); err != nil {
		s.logFailed(stageBirth, err)
	}
}

// beginLog opens the log of a container that is about to start. Without one it
// starts all the same.
func (s *supervisor) beginLog(i int) {
	if !s.opts.Logs {
		return
	}
	b := s.boxes[i]
	var err error
	b.log, err = s.dir.openLog(b.plan.Name, s.lives[i].Restarts(), func(err error) { s.news <- news{box: i, log: err} })
	if err != nil {
		s.logFailed(i, err)
	}
}

// logFailed says once that something can't be logged: a full disk is everybody's.
func (s *supervisor) logFailed(i int, err error) {
	if s.unlogged != "" {
		return
	}
	s.unlogged, s.dirty = err.Error(), true
	e := Event{Kind: EventNote, Msg: "what it writes can't be logged, and is lost until it can: " + err.Error()}
	if i >= 0 {
		e.Container = s.boxes[i].plan.Name
	}
	s.emit(e)
}
