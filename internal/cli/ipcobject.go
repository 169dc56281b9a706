package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/podlab/podlab/ipc"
)

// object is what an argument names: a key or an identifier of System V's, or a name of POSIX's.
type object struct {
	typed string
	key   ipc.Key
	id    int
	byID  bool
	name  string // of POSIX's, with its slash
}

// object reads an OBJECT, and notes it for what an error means. Only create may be given IPC_PRIVATE, as 0x0.
func (c *ipcCall) object(typed string) (o object, err error) {
	defer func() { c.subject = o }()
	o.typed = typed
	if !c.kind.SystemV() {
		// A bare word can mean nothing else: mq_overview(7) and shm_overview(7) want a slash and a name.
		o.name = "/" + strings.TrimPrefix(typed, "/")
		return o, nil
	}
	if digits, ok := strings.CutPrefix(typed, "id:"); ok {
		n, err := strconv.ParseInt(digits, 10, 32)
		switch {
		case errors.Is(err, strconv.ErrRange) && n > 0:
			return o, usage(c.path, fmt.Errorf("identifier %s: want %d at most", typed, math.MaxInt32))
		case err != nil || n < 0:
			return o, usage(c.path, fmt.Errorf("identifier %s: want id: and a number", quote(typed)))
		}
		o.byID, o.id = true, int(n)
		return o, nil
	}
	if o.key, err = ipc.ParseKey(typed); err != nil {
		if isPrivate(typed) {
			if strings.HasSuffix(c.path, " create") {
				o.key = ipc.Private
				return o, nil
			}
			err = withHint("podlab ipc "+string(c.kind)+" ls shows identifiers: give id:N", "%w", err)
		}
		return o, usage(c.path, err)
	}
	return o, nil
}

// title is what the object is called in messages.
func (want object) title() string {
	if want.name != "" {
		return want.name
	}
	return want.typed
}

func isPrivate(typed string) bool {
	k := new(ipc.Key)
	return k.UnmarshalText([]byte(typed)) == nil && *k == ipc.Private
}

// named says which object it is, in the text and in the JSON of a result: "shm jobs", "mq /jobs".
func (c *ipcCall) named(o object, id int) string {
	c.add("kind", c.kind)
	if !c.kind.SystemV() {
		c.add("name", o.name)
		return string(c.kind) + " " + o.name
	}
	if !o.byID {
		c.add("key", o.key)
	}
	c.add("id", id)
	return string(c.kind) + " " + o.typed
}

// withKey is the same, with the key and the identifier in the text.
func (c *ipcCall) withKey(o object, id int) string {
	return fmt.Sprintf("%s: key %s, id:%d", c.named(o, id), o.key, id)
}

// openSysV is the identifier that an OBJECT of System V stands for, waited for if --wait says so.
func openSysV[ID ~int](c *ipcCall, typed string, get func(ipc.Key) (ID, error)) (o object, id ID, err error) {
	if o, err = c.object(typed); err != nil || o.byID {
		return o, ID(o.id), err
	}
	err = c.await(func() error {
		id, err = get(o.key)
		return err
	})
	return o, id, err
}

// createSysV makes the object of a key, or finds it.
func createSysV[ID ~int](c *ipcCall, get func(ipc.Key, ipc.Get) (ID, error)) (o object, id ID, created bool, err error) {
	if o, err = c.object(c.args[0]); err != nil {
		return o, 0, false, err
	}
	if o.byID {
		return o, 0, false, usage(c.path, fmt.Errorf("%s: the kernel chooses identifiers: give a key or a name", o.typed))
	}
	mode, err := c.mode()
	if err != nil {
		return o, 0, false, usage(c.path, err)
	}
	created, err = c.make(func(excl bool) error {
		id, err = get(o.key, ipc.Get{Create: true, Exclusive: excl, Perm: mode})
		return err
	})
	return o, id, created, err
}

// keepOpen lets go of something after the hold.
func (c *ipcCall) keepOpen(release func() error) { c.keep = append(c.keep, release) }

// payload is the text to write or send: an argument, or standard input where that is "-". Of an input that is longer than
// most bytes it has one byte more: enough to see that, for an input may be endless.
func (c *ipcCall) payload(arg string, most int64) ([]byte, error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	c.inputRead = true
	type result struct {
		p   []byte
		err error
	}
	got := make(chan result, 1)
	// read(2) can't be ended from outside; a signal ends podlab, and this with it.
	go func() {
		p, err := io.ReadAll(io.LimitReader(c.u.in, most+1))
		got <- result{p, err}
	}()
	select {
	case <-c.ctx.Done():
		return nil, &os.PathError{Op: "read", Path: "standard input", Err: stdcontext.Cause(c.ctx)}
	case r := <-got:
		if r.err != nil {
			return nil, usage(c.path, fmt.Errorf("standard input: %w", bareErrno(r.err)))
		}
		return r.p, nil
	}
}
