package pod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LogRecord is a record of a container's log. Its bytes are the reader's, and
// good until it is asked for the next.
type LogRecord struct {
	Time   []byte // RFC 3339, as it stands; nil: the line is no record, and Text all of it
	Stderr bool
	Part   bool // the line goes on in the next record of the stream
	Run    int  // which start of the container wrote it: 0 is the first
	Text   []byte
}

// parseRecord takes a line apart.
func parseRecord(line []byte) LogRecord {
	stamp, rest, ok := bytes.Cut(line, []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tags, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok3 { // an empty text may have lost its space to an editor
		tags, text = rest, nil
	}
	stderr := string(stream) == "stderr"
	tag, _, _ := bytes.Cut(tags, []byte(":")) // the format has room for more tags
	if !ok || !ok2 || len(stamp) == 0 || !stderr && string(stream) != "stdout" || string(tag) != "F" && string(tag) != "P" {
		return LogRecord{Text: line}
	}
	return LogRecord{Time: stamp, Stderr: stderr, Part: tag[0] == 'P', Text: text}
}

// Before tells whether the record is older than t.
func (r LogRecord) Before(t time.Time) bool {
	at, err := time.Parse(time.RFC3339Nano, string(r.Time))
	return err == nil && at.Before(t)
}

// ErrNoLogs says that a pod keeps no logs.
var ErrNoLogs = errors.New("it keeps no logs")

// Logs are the containers that have a log, sorted. ErrNoLogs, wrapped: the pod
// was not run with Options.Logs.
func (h *Handle) Logs() ([]string, error) {
	dir, err := openBeneath(h.dir, logsDir, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("%s: %w", h.Name, ErrNoLogs)
	}
	if err != nil {
		return nil, openError(h.path+"/"+logsDir, err)
	}
	defer unix.Close(dir)
	return dirNames(dir)
}

// logDir opens the directory of a container's log.
func (h *Handle) logDir(container string) (int, error) {
	dir, err := openBeneath(h.dir, logsDir+"/"+container, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, openError(h.path+"/"+logsDir+"/"+container, err)
	}
	return dir, nil
}

// LogReader reads the log of a container, from the oldest file of its latest run
// that is still there. It is for one goroutine.
type LogReader struct {
	Container  string
	Gap        bool // rotation was faster: something is missing before the next record. For the caller to reset
	files      []logPart
	buf        []byte
	start, end int      // of what is read and not yet given out
	feed       *logFeed // nil: what there is now is all
	keep       bool     // files stay open when they are read: it will begin again
}

// logPart is a file of a log, open.
type logPart struct {
	fd, run int
	at      int64
	seq     int // of those that came while it was followed, from 1: one that is missing was dropped
}

// OpenLog reads what there is of a container's log, of its latest run or of the
// one before. os.ErrNotExist: there was no such run.
func (h *Handle) OpenLog(container string, previous bool) (*LogReader, error) {
	dir, err := h.logDir(container)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	r := &LogReader{Container: container}
	parts, err := openParts(dir, previous)
	if err == nil && len(parts) == 0 {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, openError(h.path+"/"+logsDir+"/"+container, err)
	}
	r.files = parts
	return r, nil
}

// Close lets go of the files.
func (r *LogReader) Close() error {
	closeParts(r.files)
	r.files = nil
	return nil
}

const readSize = 64 << 10 // room for several records of ours, which are shorter than maxLogLine and their heads

// Next is the next record. io.EOF: there is no more, for now.
func (r *LogReader) Next() (LogRecord, error) {
	for {
		if i := bytes.IndexByte(r.buf[r.start:r.end], '\n'); i >= 0 {
			line := r.buf[r.start : r.start+i]
			r.start += i + 1
			rec := parseRecord(line)
			rec.Run = r.files[0].run
			return rec, nil
		}
		if r.end-r.start == readSize { // nothing that podlab wrote
			line := r.buf[r.start:r.end]
			r.start = r.end
			return LogRecord{Text: line, Part: true, Run: r.files[0].run}, nil
		}
		if len(r.files) == 0 {
			return LogRecord{}, io.EOF
		}
		n, err := r.fill()
		if err != nil {
			return LogRecord{}, err
		}
		if n > 0 {
			continue
		}
		if len(r.files) == 1 || !r.finished() {
			return LogRecord{}, io.EOF
		}
		// The end of a file that nobody writes to any more.
		if n, err = r.fill(); err != nil {
			return LogRecord{}, err
		}
		if n == 0 {
			r.turn()
		}
	}
}

// fill reads more of the first file.
func (r *LogReader) fill() (int, error) {
	if r.buf == nil {
		r.buf = make([]byte, readSize)
	}
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.start, r.end = 0, r.end-r.start
	}
	p := &r.files[0]
	for {
		n, err := unix.Pread(p.fd, r.buf[r.end:], p.at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, &os.PathError{Op: "read", Path: logsDir + "/" + r.Container, Err: err}
		}
		p.at += int64(n)
		r.end += n
		return n, nil
	}
}

// finished: the first file's writer is done with it. After a rotation it is. The
// last words of a run may come when the next has begun.
func (r *LogReader) finished() bool {
	return r.files[0].run == r.files[1].run || r.Over()
}

// Over tells whether the run that is being read has ended, and all was logged.
func (r *LogReader) Over() bool {
	if len(r.files) == 0 {
		return true
	}
	over := unix.Flock(r.files[0].fd, unix.LOCK_SH|unix.LOCK_NB) != unix.EWOULDBLOCK
	if over {
		_ = unix.Flock(r.files[0].fd, unix.LOCK_UN) // it was only asked
	}
	return over
}

// turn goes on to the next file. What a killed podlab left of a record goes.
func (r *LogReader) turn() {
	r.start, r.end = 0, 0
	if !r.keep {
		_ = unix.Close(r.files[0].fd) // only read from
	}
	r.Gap = r.Gap || r.files[1].seq > r.files[0].seq+1
	r.files = r.files[1:]
}

// Tail skips all but the last lines, of those that are not older than since. It
// is asked before Next, and of what there is at that time.
func (r *LogReader) Tail(lines int, since time.Time) error {
	begin := slices.Clone(r.files)
	count, more := 0, [2]bool{}
	r.keep = true
	err := r.each(func(rec LogRecord) bool {
		if since.IsZero() || !rec.Before(since) {
			more[rec.stream()] = rec.Part
			if !rec.Part {
				count++
			}
		}
		return true
	})
	r.files, r.keep = begin, false // once more from the beginning
	r.start, r.end = 0, 0
	for _, m := range more {
		if m { // the last line has no end yet
			count++
		}
	}
	if skip := count - lines; err == nil && skip > 0 {
		err = r.each(func(rec LogRecord) bool {
			if !rec.Part && (since.IsZero() || !rec.Before(since)) {
				skip--
			}
			return skip > 0
		})
	}
	return err
}

func (r LogRecord) stream() int {
	if r.Stderr {
		return 1
	}
	return 0
}

// each goes through the records until its end, or until do has enough.
func (r *LogReader) each(do func(LogRecord) bool) error {
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil || !do(rec) {
			return err
		}
	}
}

// logFileName is what a file's name tells: of which run it is, and what tells
// rotated ones in their order. "" is the one that is written to.
func logFileName(name string) (run int, rotated string, ok bool) {
	number, rest, ok := strings.Cut(name, ".log")
	run, err := strconv.Atoi(number)
	if !ok || err != nil || run < 0 || rest != "" && (rest[0] != '.' || len(rest) == 1) {
		return 0, "", false
	}
	return run, strings.TrimPrefix(rest, "."), true
}

// listParts are the names of the files of the latest run, or of all from a run on,
// oldest first.
func listParts(dir, from int, previous bool) (names []string, err error) {
	all, err := dirNames(dir)
	if err != nil {
		return nil, err
	}
	latest, before := -1, -1
	for _, n := range all {
		if run, _, ok := logFileName(n); ok && run > latest {
			latest, before = run, latest
		} else if ok && run < latest {
			before = max(before, run)
		}
	}
	to := latest
	switch {
	case previous:
		from, to = before, before
	case from < 0:
		from = latest
	}
	for _, n := range all {
		if run, _, ok := logFileName(n); ok && run >= from && run <= to {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, olderLog)
	return names, nil
}

func olderLog(a, b string) int {
	runA, rotA, _ := logFileName(a)
	runB, rotB, _ := logFileName(b)
	switch {
	case runA != runB:
		return runA - runB
	case rotA == "" || rotB == "": // the one that is written to is the newest
		return len(rotB) - len(rotA)
	}
	return strings.Compare(rotA, rotB)
}

// openParts opens the files of a run. They may be rotated meanwhile, so that one
// is found under two names, or not any more.
func openParts(dir int, previous bool) ([]logPart, error) {
	for {
		names, err := listParts(dir, -1, previous)
		if err != nil || len(names) == 0 {
			return nil, err
		}
		// First what is written to: what was rotated since is found afterwards.
		newest, err := openPart(dir, names[len(names)-1])
		if errors.Is(err, unix.ENOENT) {
			continue // rotated this moment
		}
		if err != nil {
			return nil, err
		}
		older, found, err := openUntil(dir, previous, newest)
		if found {
			return append(older, newest), nil
		}
		closeParts(append(older, newest))
		if err != nil {
			return nil, err
		}
	}
}

// openUntil opens what is older than newest, of its run.
func openUntil(dir int, previous bool, newest logPart) (parts []logPart, found bool, err error) {
	names, err := listParts(dir, newest.run, previous)
	for _, n := range names {
		p, err := openPart(dir, n)
		if errors.Is(err, unix.ENOENT) {
			continue // it was the oldest of too many
		}
		if err != nil {
			return parts, false, err
		}
		if sameFile(p.fd, newest.fd) {
			_ = unix.Close(p.fd) // we have it
			return parts, true, nil
		}
		parts = append(parts, p)
	}
	return parts, false, err
}

func closeParts(parts []logPart) {
	for _, p := range parts {
		_ = unix.Close(p.fd) // only read from
	}
}

func openPart(dir int, name string) (logPart, error) {
	run, _, _ := logFileName(name)
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY) // a FIFO would wait for a writer
	if err != nil {
		return logPart{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		_ = unix.Close(fd) // only read from
		return logPart{}, errors.New("not a regular file")
	}
	return logPart{fd: fd, run: run}, nil
}

func sameFile(a, b int) bool {
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}
