package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// commonVerbs is what every kind can do.
func commonVerbs(kind ipc.Kind) []ipcVerb {
	arg, example := "/NAME", "/jobs"
	if kind.SystemV() {
		arg, example = "KEY", "jobs"
	}
	return []ipcVerb{
		{name: "stat", args: arg, summary: "print all that is known of it", flags: "wait timeout o", run: (*ipcCall).stat,
			about: "What the kernel's listings know, which show also what the caller may not use.\n\n  $ $KIND stat " + example},
		{name: "ls", aliases: []string{"list"}, summary: "list them", flags: "o:ls", list: true,
			about: "As podlab ipc ls, and only this kind.\n\n  $ $KIND ls"},
		{name: "rm", aliases: []string{"remove", "delete"}, args: arg + "…", summary: "remove them", flags: "o", run: (*ipcCall).remove,
			about: removeAbout(kind) + "\n\n  $ $KIND rm " + example},
		{name: "watch", args: "[" + arg + "]", summary: "print a line per change, until a signal comes", flags: watchFlags(kind), run: (*ipcCall).watch,
			about: watchAbout(kind) + "\n\n  $ $KIND watch\n  $ $KIND watch " + example + " --count 1 --timeout 10s"},
	}
}

func removeAbout(kind ipc.Kind) string {
	switch kind {
	case ipc.KindShm:
		return "The key is free at once. Who has the segment attached keeps it; the last detach frees it (shmctl(2))."
	case ipc.KindSem, ipc.KindMsg:
		return "At once: whoever waits on it gets EIDRM."
	}
	return "The name is free at once. Who has it open keeps it; it is gone with the last of them."
}

// remove removes all the objects that it can, and reports those that it can't.
func (c *ipcCall) remove() error {
	var errs []error
	var names []object
	for _, typed := range c.args {
		o, err := c.object(typed) // judged before anything is removed
		if err != nil {
			return err
		}
		names = append(names, o)
	}
	removed := []fields{}
	for _, o := range names {
		c.subject = o
		if err := c.removeOne(o); err != nil {
			errs = append(errs, c.explain(err))
			continue
		}
		c.say("removed %s %s", c.kind, o.title())
		removed = append(removed, fields{{"kind", c.kind}, {"object", o.title()}})
	}
	c.add("removed", removed)
	if len(errs) > 0 {
		// What was removed is said all the same.
		if err := c.print(c.c.String("output"), false); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *ipcCall) removeOne(o object) error {
	switch c.kind {
	case ipc.KindQueue:
		return ipc.RemoveQueue(o.name)
	case ipc.KindShared:
		return ipc.RemoveShared(o.name)
	case ipc.KindNamedSem:
		return ipc.RemoveSemaphore(o.name)
	}
	id, err := c.idOf(o)
	if err != nil {
		return err
	}
	switch c.kind {
	case ipc.KindShm:
		return ipc.Shm(id).Remove()
	case ipc.KindSem:
		return ipc.Sem(id).Remove()
	}
	return ipc.Msg(id).Remove()
}

// idOf asks the kernel for the identifier of a System V object.
func (c *ipcCall) idOf(o object) (int, error) {
	if o.byID {
		return o.id, nil
	}
	switch c.kind {
	case ipc.KindShm:
		id, err := ipc.GetShm(o.key, 0, ipc.Get{})
		return int(id), err
	case ipc.KindSem:
		id, err := ipc.GetSem(o.key, 0, ipc.Get{})
		return int(id), err
	}
	id, err := ipc.GetMsg(o.key, ipc.Get{})
	return int(id), err
}

// stat prints what the listings have of an object.
func (c *ipcCall) stat() error {
	want, err := c.object(c.args[0])
	if err != nil {
		return err
	}
	var o ipc.Object
	if err := c.await(func() error { o, err = c.find(want); return err }); err != nil {
		return err
	}
	c.result = o
	for _, col := range objectColumns(true) {
		if cell := col.cell(o); cell != "" {
			c.say("%-10s%s", strings.ToLower(col.head), cell)
		}
	}
	return nil
}

// find is an object as the listings have it. What isn't in them, the kernel is asked for, to hear why.
func (c *ipcCall) find(want object) (ipc.Object, error) {
	if c.kind.SystemV() && !want.byID {
		id, err := c.idOf(want)
		if err != nil {
			return ipc.Object{}, err
		}
		want.byID, want.id = true, id
	}
	if o, ok := c.listed(want); ok {
		return o, nil
	}
	switch c.kind {
	case ipc.KindQueue:
		return queueObject(want.name)
	case ipc.KindShared, ipc.KindNamedSem:
		return ipc.Object{}, &os.PathError{Op: "open", Path: want.name, Err: unix.ENOENT}
	}
	return ipc.Object{}, c.gone(want.id)
}

// queueObject asks a queue itself: where no mqueue file system is mounted there is no listing.
func queueObject(name string) (ipc.Object, error) {
	q, err := ipc.OpenQueue(name, ipc.Open{ReadOnly: true}, nil)
	if err != nil {
		return ipc.Object{}, err
	}
	defer func() { _ = q.Close() }() // read only
	o, _, err := askQueue(q, name)
	return o, err
}

// gone is what the kernel says of an identifier that no object has.
func (c *ipcCall) gone(id int) error {
	return &os.PathError{Op: string(c.kind) + "ctl", Path: fmt.Sprintf("id %d", id), Err: unix.EINVAL}
}
