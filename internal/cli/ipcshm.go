package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/podlab/podlab/ipc"
)

const shmAbout = "Segments of System V shared memory (shmget(2)). They belong to an IPC namespace and outlive the processes that\n" +
	"made them; a removed one lives on until the last process detaches.\n\n" +
	"  $ podlab ipc shm create jobs --size 64k\n  $ podlab ipc shm write jobs hello\n  $ podlab ipc shm read jobs\n  hello"

const posixShmAbout = "POSIX shared memory (shm_open(3)): files in /dev/shm. The mount decides who sees them, not the IPC namespace.\n\n" +
	"  $ podlab ipc posix-shm create /jobs --size 64k\n  $ podlab ipc posix-shm write /jobs hello\n  $ podlab ipc posix-shm read /jobs\n  hello"

func shmVerbs() []ipcVerb {
	return memoryVerbs("KEY", "jobs", (*ipcCall).createShm, (*ipcCall).writeShm, (*ipcCall).readShm)
}

func posixShmVerbs() []ipcVerb {
	return append(memoryVerbs("/NAME", "/jobs", (*ipcCall).createShared, (*ipcCall).writeShared, (*ipcCall).readShared),
		ipcVerb{name: "resize", args: "/NAME", summary: "change its size", flags: "size:resize wait timeout o", surplus: "size", run: (*ipcCall).resizeShared,
			about: "ftruncate(2). A process that has mapped more than is left, and touches it, is sent SIGBUS.\n\n  $ $KIND resize /jobs --size 1M"})
}

// memoryVerbs is what both kinds of shared memory can do.
func memoryVerbs(arg, example string, create, write, read func(*ipcCall) error) []ipcVerb {
	return []ipcVerb{
		{name: "create", args: arg, summary: "make it, or find it", flags: "size mode excl hold timeout o", surplus: "size", run: create,
			about: "All of it is zero. One that is there already is left as it is, unless --excl says that it must not be. With\n" +
				"--hold it stays attached: the count of attachments goes up.\n\n  $ $KIND create " + example + " --size 64k"},
		{name: "write", args: arg + " TEXT|-", summary: "write a text into it", flags: "offset raw wait hold timeout o", run: write,
			about: "The text, or standard input for -, and a zero byte after it if there is room, so that read knows where it ends;\n" +
				"no zero byte with --raw.\n\n  $ $KIND write " + example + " hello\n  $ printf 'a\\0b' | $KIND write " + example + " - --raw --offset 100"},
		{name: "read", args: arg, summary: "print the text in it", flags: "offset size:read raw wait hold timeout o", run: read,
			about: "From --offset to the first zero byte, and a newline. With --size that many bytes, zero or not, less zero bytes at\n" +
				"their end. With --raw just the bytes.\n\n  $ $KIND read " + example + "\n  $ $KIND read " + example + " --raw --size 16 | od -c"},
	}
}

// memory is shared memory of either kind.
type memory interface {
	io.ReaderAt
	io.WriterAt
}

// attached is a segment of System V's.
type attached struct{ *ipc.Segment }

func (a attached) ReadAt(p []byte, off int64) (int, error) { return copy(p, a.Data[off:]), nil }

func (a attached) WriteAt(p []byte, off int64) (int, error) { return copy(a.Data[off:], p), nil }

func (c *ipcCall) createShm() error {
	size, err := c.bytesOf("size", 0)
	if err != nil {
		return usage(c.path, err)
	}
	if int64(int(size)) != size {
		return usage(c.path, fmt.Errorf("--size: more than there are addresses"))
	}
	o, id, created, err := createSysV(c, func(k ipc.Key, g ipc.Get) (ipc.Shm, error) {
		if !g.Exclusive && !c.c.IsSet("size") {
			return ipc.GetShm(k, 0, g) // nobody asked for a size: the one that is there will do
		}
		return ipc.GetShm(k, int(size), g)
	})
	if err != nil {
		return err
	}
	at := c.withKey(o, int(id))
	mode, _ := c.mode() // read once before
	if st, err := id.Stat(); err == nil {
		size, mode = int64(st.Size), st.Perm.Mode
	} else if !created {
		return err
	}
	c.memoryMade(at, created, size, mode)
	if c.c.Bool("hold") {
		return c.attach(id, true)
	}
	return nil
}

// memoryMade is what create says.
func (c *ipcCall) memoryMade(what string, created bool, size int64, mode fs.FileMode) {
	sep := ": "
	if c.kind.SystemV() {
		sep = ", " // after the key
	}
	c.add("created", created)
	c.add("size", size)
	c.add("mode", "0"+octal(mode))
	c.say("%s %s%s%d bytes, mode %s", madeOrFound(created), what, sep, size, octal(mode))
}

func octal(m fs.FileMode) string { return fmt.Sprintf("%03o", uint32(m.Perm())) }

// attach maps a segment for as long as the hold lasts.
func (c *ipcCall) attach(id ipc.Shm, readOnly bool) error {
	seg, err := id.Attach(readOnly)
	if err != nil {
		return err
	}
	c.keepOpen(seg.Detach)
	return nil
}

func (c *ipcCall) openShm(readOnly bool) (*ipc.Segment, error) {
	o, id, err := openSysV(c, c.args[0], func(k ipc.Key) (ipc.Shm, error) { return ipc.GetShm(k, 0, ipc.Get{}) })
	if err != nil {
		return nil, err
	}
	seg, err := id.Attach(readOnly)
	if err != nil {
		return nil, err
	}
	c.named(o, int(id))
	c.keepOpen(seg.Detach)
	return seg, nil
}

func (c *ipcCall) writeShm() error {
	seg, err := c.openShm(false)
	if err != nil {
		return err
	}
	size := int64(len(seg.Data))
	p, err := c.payloadFor(size)
	if err != nil {
		return err
	}
	return c.write(attached{seg}, size, p)
}

// payloadFor is what is to be written at --offset into memory of some size.
func (c *ipcCall) payloadFor(size int64) ([]byte, error) {
	off := c.c.Int64("offset")
	if off < 0 || off > size {
		return nil, usage(c.path, fmt.Errorf("--offset %d: %s has %d %s", off, c.subject.title(), size, plural(int(size), "byte")))
	}
	const most = 1 << 30 // a file in /dev/shm may be said to be far larger than memory
	room := min(size-off, most)
	p, err := c.payload(c.args[1], room)
	if err == nil && int64(len(p)) > room {
		what := fmt.Sprintf("%d %s", len(p), plural(len(p), "byte"))
		if c.inputRead {
			what = fmt.Sprintf("standard input: more than %d %s", room, plural(int(room), "byte"))
		}
		err = usage(c.path, fmt.Errorf("%s at %d: %s has %d", what, off, c.subject.title(), size))
	}
	return p, err
}

func (c *ipcCall) readShm() error {
	seg, err := c.openShm(true)
	if err != nil {
		return err
	}
	return c.read(attached{seg}, int64(len(seg.Data)))
}

// write puts p, of which payloadFor has seen that it fits, into memory of some size.
func (c *ipcCall) write(m memory, size int64, p []byte) error {
	off := c.c.Int64("offset")
	n := len(p)
	if !c.c.Bool("raw") && off+int64(n) < size {
		p = append(p, 0)
	}
	if _, err := m.WriteAt(p, off); err != nil {
		return err
	}
	c.add("offset", off)
	c.add("bytes", n)
	c.say("wrote %d %s at %d", n, plural(n, "byte"), off)
	return nil
}

// read prints what is in memory of some size.
func (c *ipcCall) read(m memory, size int64) error {
	off := c.c.Int64("offset")
	if off < 0 || off > size {
		return usage(c.path, fmt.Errorf("--offset %d: %s has %d %s", off, c.subject.title(), size, plural(int(size), "byte")))
	}
	want, err := c.bytesOf("size", size-off)
	if err != nil {
		return usage(c.path, err)
	}
	if want > size-off {
		return usage(c.path, fmt.Errorf("%d %s at %d: %s has %d", want, plural(int(want), "byte"), off, c.subject.title(), size))
	}
	c.add("offset", off)
	if c.c.Bool("raw") && c.c.String("output") == "text" {
		c.raw = io.NewSectionReader(m, off, want)
		return nil
	}
	p, err := readUpTo(m, off, want, !c.c.IsSet("size") && !c.c.Bool("raw"))
	if err != nil {
		return err
	}
	if c.c.IsSet("size") && !c.c.Bool("raw") {
		p = bytes.TrimRight(p, "\x00")
	}
	c.addData(p)
	return nil
}

// readUpTo reads want bytes, or those before the first that is zero: what a C program, or podlab's own write, means by a
// text. Piece by piece, for a file in /dev/shm may be said to be far larger than memory.
func readUpTo(m io.ReaderAt, off, want int64, untilZero bool) ([]byte, error) {
	const piece, most = 64 << 10, 1 << 30
	var all []byte
	for int64(len(all)) < want {
		buf := make([]byte, min(piece, want-int64(len(all))))
		n, err := m.ReadAt(buf, off+int64(len(all)))
		if zero := bytes.IndexByte(buf[:n], 0); untilZero && zero >= 0 {
			return append(all, buf[:zero]...), nil
		}
		all = append(all, buf[:n]...)
		switch {
		case errors.Is(err, io.EOF), err == nil && n == 0: // cut short by somebody else meanwhile
			return all, nil
		case err != nil:
			return nil, err
		case len(all) > most:
			return nil, withHint("--raw prints any number", "more than %d bytes of text", most)
		}
	}
	return all, nil
}

func (c *ipcCall) createShared() error {
	o, err := c.object(c.args[0])
	if err != nil {
		return err
	}
	size, err := c.bytesOf("size", 0)
	if err != nil {
		return usage(c.path, err)
	}
	mode, err := c.mode()
	if err != nil {
		return usage(c.path, err)
	}
	var s *ipc.Shared
	created, err := c.make(func(excl bool) error {
		if excl {
			s, err = ipc.OpenShared(o.name, size, ipc.Open{Create: true, Exclusive: true, Perm: mode})
		} else {
			s, err = ipc.OpenShared(o.name, when(c.c.IsSet("size"), size), ipc.Open{})
		}
		return err
	})
	if err != nil {
		return err
	}
	c.keepOpen(s.Close)
	st, err := s.Stat()
	if err != nil {
		return err
	}
	c.memoryMade(c.named(o, 0), created, st.Size(), st.Mode())
	return c.mapShared(s, false)
}

// mapShared maps the memory while it is held, as its users do: an open descriptor alone would keep it, too.
func (c *ipcCall) mapShared(s *ipc.Shared, readOnly bool) error {
	if size, err := s.Size(); !c.c.Bool("hold") || err != nil || size == 0 {
		return err
	}
	seg, err := s.Map(readOnly)
	if err != nil {
		return err
	}
	c.keepOpen(seg.Detach)
	return nil
}

// openShared opens it, and with --wait waits until it has a size: shm_open(3) makes it without one.
func (c *ipcCall) openShared(readOnly bool) (s *ipc.Shared, size int64, err error) {
	o, err := c.object(c.args[0])
	if err != nil {
		return nil, 0, err
	}
	err = c.await(func() error {
		if s, err = ipc.OpenShared(o.name, 0, ipc.Open{ReadOnly: readOnly}); err != nil {
			return err
		}
		if size, err = s.Size(); err == nil && size == 0 && c.c.Bool("wait") {
			err = errEmpty(o.name)
		}
		if err != nil {
			_ = s.Close() // opened for nothing
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	c.named(o, 0)
	c.keepOpen(s.Close)
	return s, size, c.mapShared(s, readOnly)
}

func (c *ipcCall) writeShared() error {
	s, size, err := c.openShared(false)
	if err != nil {
		return err
	}
	p, err := c.payloadFor(size)
	if err != nil {
		return err
	}
	// A write behind the end would make the file larger: somebody may have cut it while the input was read.
	if now, err := s.Size(); err != nil {
		return err
	} else if c.c.Int64("offset")+int64(len(p)) > now {
		return usage(c.path, fmt.Errorf("%s was cut from %d to %d bytes meanwhile", c.subject.title(), size, now))
	} else {
		size = now
	}
	return c.write(s, size, p)
}

func (c *ipcCall) readShared() error {
	s, size, err := c.openShared(true)
	if err != nil {
		return err
	}
	return c.read(s, size)
}

func (c *ipcCall) resizeShared() error {
	if !c.c.IsSet("size") {
		return withHint(fmt.Sprintf("podlab %s %s --size 64k", c.path, c.args[0]), "%s: which --size?", c.path)
	}
	to, err := c.bytesOf("size", 0)
	if err != nil {
		return usage(c.path, err)
	}
	s, size, err := c.openShared(false)
	if err != nil {
		return err
	}
	if err := s.Resize(to); err != nil {
		return err
	}
	c.add("before", size)
	c.add("size", to)
	c.say("resized from %d to %d bytes", size, to)
	return nil
}
