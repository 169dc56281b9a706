package cli

import (
	"fmt"

	"github.com/podlab/podlab/ipc"
)

const posixSemAbout = "POSIX named semaphores (sem_overview(7)), in glibc's layout: files /dev/shm/sem.NAME. The mount decides who sees\n" +
	"them, not the IPC namespace. Nothing is undone when a process dies.\n\n" +
	"  $ podlab ipc posix-sem create /lock\n  $ podlab ipc posix-sem wait /lock\n  took 1\n  $ podlab ipc posix-sem post /lock\n  posted 1"

func posixSemVerbs() []ipcVerb {
	return []ipcVerb{
		{name: "create", args: "/NAME", summary: "make it, or find it", flags: "value mode excl hold timeout o", surplus: "value", run: (*ipcCall).createPosixSem,
			about: "One that is there already keeps its value.\n\n  $ $KIND create /lock --value 1"},
		{name: "wait", args: "/NAME", summary: "take 1, waiting until that is possible", flags: "no-wait wait hold timeout o", run: (*ipcCall).waitPosixSem,
			about: "Also called P, down or decrement. It stays taken, whatever becomes of podlab, until somebody posts.\n\n" +
				"  $ $KIND wait /lock --timeout 2s\n  $ $KIND wait /lock --no-wait"},
		{name: "post", args: "/NAME", summary: "give 1", flags: "wait hold timeout o", run: (*ipcCall).postPosixSem,
			about: "Also called V, up or increment.\n\n  $ $KIND post /lock"},
		{name: "get", args: "/NAME", summary: "print the value", flags: "wait timeout o", run: (*ipcCall).getPosixSem,
			about: "-o json adds how many wait.\n\n  $ $KIND get /lock\n  1"},
	}
}

func (c *ipcCall) createPosixSem() error {
	o, err := c.object(c.args[0])
	if err != nil {
		return err
	}
	values, err := numbers("--value", c.c.String("value"))
	if err == nil && len(values) != 1 {
		err = fmt.Errorf("--value %s: a POSIX semaphore has one", c.c.String("value"))
	}
	if err != nil {
		return usage(c.path, err)
	}
	mode, err := c.mode()
	if err != nil {
		return usage(c.path, err)
	}
	var s *ipc.Semaphore
	created, err := c.make(func(excl bool) error {
		open := ipc.Open{}
		if excl {
			open = ipc.Open{Create: true, Exclusive: true, Perm: mode}
		}
		s, err = ipc.OpenSemaphore(o.name, uint(values[0]), open)
		return err
	})
	if err != nil {
		return err
	}
	c.keepOpen(s.Close)
	value, err := s.Value()
	if err != nil {
		return err
	}
	at := c.named(o, 0)
	c.add("created", created)
	c.add("value", value)
	if !created {
		c.say("found %s: value %d", at, value)
		return nil
	}
	c.add("mode", "0"+octal(mode))
	c.say("created %s: value %d, mode %s", at, value, octal(mode))
	return nil
}

func (c *ipcCall) openPosixSem() (s *ipc.Semaphore, err error) {
	o, err := c.object(c.args[0])
	if err != nil {
		return nil, err
	}
	err = c.await(func() error {
		s, err = ipc.OpenSemaphore(o.name, 0, ipc.Open{})
		return err
	})
	if err != nil {
		return nil, err
	}
	c.named(o, 0)
	c.keepOpen(s.Close)
	return s, nil
}

func (c *ipcCall) waitPosixSem() error {
	s, err := c.openPosixSem()
	if err != nil {
		return err
	}
	if c.c.Bool("no-wait") {
		err = s.TryWait()
	} else {
		err = s.Wait(c.ctx)
	}
	if err != nil {
		return err
	}
	c.add("delta", -1)
	c.say("took 1")
	return nil
}

func (c *ipcCall) postPosixSem() error {
	s, err := c.openPosixSem()
	if err != nil {
		return err
	}
	if err := s.Post(); err != nil {
		return err
	}
	c.add("delta", 1)
	c.say("posted 1")
	return nil
}

func (c *ipcCall) getPosixSem() error {
	s, err := c.openPosixSem()
	if err != nil {
		return err
	}
	value, err := s.Value()
	if err != nil {
		return err
	}
	waiters, err := s.Waiters()
	if err != nil {
		return err
	}
	c.add("value", value)
	c.add("waiting", waiters)
	c.say("%d", value)
	return nil
}
