package cli

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"
)

// maxLine is the longest line kept together. A longer one is passed on in pieces of this size, so that a container
// that writes a gigabyte without a line end doesn't cost podlab a gigabyte.
const maxLine = 64 << 10

// lines is where the containers' output meets: whole lines, each with its container's name, in one stream. Containers
// write at the same time, hence the lock: it is the only thing they share.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	max    int              // bytes of a line that are kept together
	clean  bool             // w is a terminal, and must not obey what containers write
	stamp  bool             // a time before each line
	now    func() time.Time // for stamp
	buf    []byte           // what the current Write puts out
	broken func(error)      // told once that w can't be written to; output is dropped from then on
	err    error
}

// stream is one output of one container.
type stream struct {
	l      *lines
	prefix []byte // `app | `
	more   []byte // `app + `: the rest of a line too long to keep together
	part   []byte // a line that has no end yet
	isMore bool   // part continues a line whose beginning is out already
	at     []byte // the time of the line, where it is not now
}

// prefixes is how the lines of one container begin.
type prefixes struct{ out, err, more []byte }

// prefixesFor aligns the containers' names and colours them, where c is not empty.
func prefixesFor(name string, width int, c color) prefixes {
	pad := name + string(bytes.Repeat([]byte(" "), max(0, width-len(name))))
	if c == "" {
		return prefixes{[]byte(pad + " | "), []byte(pad + " ! "), []byte(pad + " + ")}
	}
	on, off := "\x1b["+string(c)+"m", "\x1b[0m "
	return prefixes{
		[]byte(on + pad + " │" + off),
		[]byte(on + pad + " \x1b[" + string(red) + "m!" + off),
		[]byte(on + pad + " +" + off),
	}
}

func (l *lines) stream(first, more []byte) *stream {
	return &stream{l: l, prefix: first, more: more}
}

// Write passes on the whole lines in p, and keeps what follows the last of them. It never fails: when nobody reads
// any more, lines.broken ends the run, and the container must not be held up until it has.
func (s *stream) Write(p []byte) (int, error) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.add(p)
	s.l.flush()
	return len(p), nil
}

func (s *stream) add(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end >= 0 && len(s.part)+end <= s.l.max {
			s.line(p[:end])
			p = p[end+1:]
			continue
		}
		take := min(len(p), s.l.max-len(s.part))
		s.part, p = append(s.part, p[:take]...), p[take:]
		if len(p) > 0 {
			s.piece()
		}
	}
}

// Close passes on a last line without an end. The stream can be written to again: a container may be restarted.
func (s *stream) Close() error {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.end()
	s.l.flush()
	return nil
}

func (s *stream) end() {
	if len(s.part) > 0 {
		s.line(nil)
	}
	s.isMore = false
}

// line puts out the line whose beginning is in s.part and whose end is p.
func (s *stream) line(p []byte) {
	text := p
	if len(s.part) > 0 {
		s.part = append(s.part, p...)
		text = s.part
	}
	// The line may have been exactly as long as a piece: then nothing is left of it.
	if len(text) > 0 || !s.isMore {
		s.put(text)
	}
	s.part, s.isMore = s.part[:0], false
}

// piece puts out what is in s.part, as a piece of a longer line. A UTF-8 sequence isn't cut in two: its beginning
// stays for the next piece.
func (s *stream) piece() {
	cut := len(s.part)
	for i := 1; i < utf8.UTFMax && i < len(s.part); i++ {
		if b := s.part[len(s.part)-i:]; utf8.RuneStart(b[0]) {
			if !utf8.FullRune(b) {
				cut -= i
			}
			break
		}
	}
	s.put(s.part[:cut])
	s.part, s.isMore = append(s.part[:0], s.part[cut:]...), true
}

func (s *stream) put(text []byte) {
	l := s.l
	if l.err != nil {
		return
	}
	if s.isMore {
		l.buf = append(l.buf, s.more...)
	} else {
		l.buf = append(l.buf, s.prefix...)
	}
	switch {
	case l.stamp && s.at != nil:
		l.buf = append(append(l.buf, s.at...), ' ')
	case l.stamp:
		// The CRI log format's: RFC 3339 with nine digits, so that the text stays aligned.
		l.buf = l.now().UTC().AppendFormat(l.buf, "2006-01-02T15:04:05.000000000Z07:00 ")
	}
	if l.clean {
		text = bytes.TrimSuffix(text, []byte("\r"))
		l.buf = clean(l.buf, text)
	} else {
		l.buf = append(l.buf, text...)
	}
	l.buf = append(l.buf, '\n')
	if len(l.buf) > maxLine { // a megabyte of short lines is written in pieces, too
		l.flush()
	}
}

// flush writes what there is by one call.
func (l *lines) flush() {
	if len(l.buf) == 0 {
		return
	}
	_, err := l.w.Write(l.buf)
	if l.buf = l.buf[:0]; cap(l.buf) > 8*maxLine {
		l.buf = nil
	}
	if err != nil {
		l.fail(err)
	}
}

// fail notes that nobody reads any more.
func (l *lines) fail(err error) {
	if l.err == nil {
		l.err = err
		if l.broken != nil {
			l.broken(err)
		}
	}
}

// fault is fail for who writes past lines.
func (l *lines) fault(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(err)
}

// newLines is the containers' output to f.
func newLines(f *os.File, tty bool, stamp bool, broken func(error)) *lines {
	return &lines{w: f, max: maxLine, clean: tty, stamp: stamp, now: time.Now, broken: broken}
}
