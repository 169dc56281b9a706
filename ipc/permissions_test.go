package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// objects is one of each System V kind.
type objects struct {
	key Key // of each
	shm Shm
	sem Sem
	msg Msg
}

func newObjects(t testing.TB) objects {
	t.Helper()
	o, err := makeObjects(newKey())
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, o.shm, o.shm.Remove)
	mine(t, KindSem, o.sem, o.sem.Remove)
	mine(t, KindMsg, o.msg, o.msg.Remove)
	return o
}

func makeObjects(k Key) (o objects, err error) {
	o.key = k
	g := Get{Create: true, Exclusive: true, Perm: 0o600}
	if o.shm, err = GetShm(k, 10, g); err != nil {
		return o, err
	}
	if o.sem, err = GetSem(k, 1, g); err != nil {
		return o, errors.Join(err, o.shm.Remove())
	}
	if o.msg, err = GetMsg(k, g); err != nil {
		return o, errors.Join(err, o.shm.Remove(), o.sem.Remove())
	}
	return o, o.sem.SetValue(0, 1)
}

func (o objects) setMode(mode fs.FileMode) error {
	return errors.Join(o.shm.SetPerm(os.Geteuid(), os.Getegid(), mode), o.sem.SetPerm(os.Geteuid(), os.Getegid(), mode), o.setMsgMode(mode))
}

func (o objects) setMsgMode(mode fs.FileMode) error {
	var d msqidDS // without asking first, which takes permission; the size is the queue's own
	d.perm.Uid, d.perm.Gid, d.perm.Mode, d.qbytes = uint32(os.Geteuid()), uint32(os.Getegid()), uint32(mode), 1000
	return o.msg.control(unix.IPC_SET, &d)
}

// attempts is what somebody may try. None changes what a later one meets, except by the last three.
func (o objects) attempts() []struct {
	name string
	do   func() error
} {
	return []struct {
		name string
		do   func() error
	}{
		{"shm get", func() error { _, err := GetShm(o.key, 0, Get{}); return err }},
		{"shm get r", func() error { _, err := GetShm(o.key, 0, Get{Perm: 0o400}); return err }},
		{"shm get rw", func() error { _, err := GetShm(o.key, 0, Get{Perm: 0o600}); return err }},
		{"shm attach r", func() error { return detached(o.shm.Attach(true)) }},
		{"shm attach rw", func() error { return detached(o.shm.Attach(false)) }},
		{"shm stat", func() error { _, err := o.shm.Stat(); return err }},
		{"sem get r", func() error { _, err := GetSem(o.key, 0, Get{Perm: 0o400}); return err }},
		{"sem value", func() error { _, err := o.sem.Values(); return err }},
		{"sem zero", func() error { return o.sem.Do(noEnd, SemOp{NoWait: true}) }},
		{"sem post", func() error { return o.sem.Do(noEnd, SemOp{Delta: 1}) }},
		{"sem set", func() error { return o.sem.SetValue(0, 1) }},
		{"msg get w", func() error { _, err := GetMsg(o.key, Get{Perm: 0o200}); return err }},
		{"msg receive", func() error { _, err := o.msg.TryReceive(0, ReceiveOptions{}); return err }},
		{"msg send", func() error { return o.msg.TrySend(Message{Type: 1}) }},
		{"msg stat", func() error { _, err := o.msg.Stat(); return err }},
		{"own", func() error { return o.shm.SetPerm(os.Geteuid(), os.Getegid(), 0o777) }},
		{"remove shm", func() error { return o.shm.Remove() }},
		{"remove sem", func() error { return o.sem.Remove() }},
		{"remove msg", func() error { return o.msg.Remove() }},
	}
}

func detached(s *Segment, err error) error {
	if err != nil {
		return err
	}
	return s.Detach()
}

// roleStranger tries everything with another's objects.
func roleStranger(args []string) error {
	var n [4]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[i]); err != nil {
			return err
		}
	}
	tryAll(objects{Key(n[0]), Shm(n[1]), Sem(n[2]), Msg(n[3])})
	return nil
}

// roleOwner tries everything with objects of its own, whose mode is 0.
func roleOwner(args []string) error {
	k, err := ParseKey(args[0])
	if err != nil {
		return err
	}
	o, err := makeObjects(k)
	if err == nil {
		err = o.setMode(0)
	}
	if err != nil {
		return err
	}
	tryAll(o)
	return nil
}

func tryAll(o objects) {
	for _, a := range o.attempts() {
		err := a.do()
		name := ErrnoName(err)
		if err == nil {
			name = "ok"
		}
		fmt.Println(name)
	}
}

// The modes of the three kinds, for somebody else (classes work as for files). Read is attach, stat, value, wait for
// zero, receive; write is the rest; removing and owning are the owner's.
func TestPermissions(t *testing.T) {
	needRoot(t)
	const no, never = "EACCES", "EPERM"
	names := objects{}.attempts()
	for _, c := range []struct {
		mode fs.FileMode
		want []string
	}{
		//      shm get         attach      stat  sem get value zero post set   msg get receive send stat   own, remove
		{0o600, []string{"ok", no, no, no, no, no, no, no, no, no, no, no, no, no, no, never, never, never, never}},
		{0o644, []string{"ok", "ok", no, "ok", no, "ok", "ok", "ok", "EAGAIN", no, no, no, "ENOMSG", no, "ok", never, never, never, never}},
		{0o622, []string{"ok", no, no, no, no, no, no, no, no, "ok", "ok", "ok", no, "ok", no, never, never, never, never}},
		{0o666, []string{"ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "EAGAIN", "ok", "ok", "ok", "ENOMSG", "ok", "ok", never, never, never, never}},
	} {
		o := newObjects(t)
		if err := o.setMode(c.mode); err != nil {
			t.Fatal(err)
		}
		p := start(t, otherUID(), "stranger", fmt.Sprint(int32(o.key)), fmt.Sprint(int(o.shm)), fmt.Sprint(int(o.sem)), fmt.Sprint(int(o.msg)))
		for i, want := range c.want {
			if got := p.line(); got != want {
				t.Errorf("mode %o: %s: got %s, want %s", c.mode, names[i].name, got, want)
			}
		}
	}
}

// An owner whom the mode gives nothing is refused like others, but may change the mode, and remove.
func TestPermissionsOfOwner(t *testing.T) {
	uid := -1
	if os.Geteuid() == 0 {
		uid = otherUID() // root has CAP_IPC_OWNER
	}
	const no = "EACCES"
	p := start(t, uid, "owner", newKey().String())
	for i, want := range []string{"ok", no, no, no, no, no, no, no, no, no, no, no, no, no, no, "ok", "ok", "ok", "ok"} {
		if got := p.line(); got != want {
			t.Errorf("%s: got %s, want %s", objects{}.attempts()[i].name, got, want)
		}
	}
}

// A segment that is given away is the new owner's, and still its creator's.
func TestPermissionsGivenAway(t *testing.T) {
	needRoot(t)
	o, uid := newObjects(t), otherUID()
	if err := errors.Join(o.shm.SetPerm(uid, -1, 0o600), o.sem.SetPerm(uid, uid, 0o600), o.msg.SetPerm(uid, uid, 0o600)); err != nil {
		t.Fatal(err)
	}
	st, err := o.shm.Stat()
	if want := (Permissions{Key: o.key, UID: uid, Mode: 0o600}); err != nil || st.Perm != want {
		t.Errorf("got %+v and %v, want %+v", st.Perm, err, want)
	}
	p := start(t, uid, "stranger", fmt.Sprint(int32(o.key)), fmt.Sprint(int(o.shm)), fmt.Sprint(int(o.sem)), fmt.Sprint(int(o.msg)))
	for _, a := range o.attempts() {
		if got := p.line(); got != "ok" && got != "EAGAIN" && got != "ENOMSG" {
			t.Errorf("%s: got %s, want ok", a.name, got)
		}
	}
}
