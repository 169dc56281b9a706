package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"

	"github.com/podlab/podlab/ipc"
)

const msgAbout = "System V message queues (msgget(2)). A message has a type, and a receiver may ask for one.\n\n" +
	"  $ podlab ipc msg create jobs\n  $ podlab ipc msg send jobs hello --type 2\n  $ podlab ipc msg receive jobs --type 2\n  hello"

const mqAbout = "POSIX message queues (mq_overview(7)). A message has a priority, and the highest comes first. /dev/mqueue, where\n" +
	"it is mounted, is only a view of them: the IPC namespace decides who has which.\n\n" +
	"  $ podlab ipc mq create /jobs --max-messages 4 --message-size 64\n  $ podlab ipc mq send /jobs hello\n  $ podlab ipc mq receive /jobs\n  hello"

func msgVerbs() []ipcVerb {
	return []ipcVerb{
		{name: "create", args: "KEY", summary: "make a queue, or find it", flags: "max-bytes mode excl hold timeout o", run: (*ipcCall).createMsg,
			about: "One that is there already is left as it is. kernel.msgmnb is how many bytes of text a new one holds; --max-bytes\n" +
				"lowers that, and more takes CAP_SYS_RESOURCE.\n\n  $ $KIND create jobs\n  $ $KIND create jobs --max-bytes 64"},
		{name: "send", args: "KEY TEXT|-", summary: "send a text, waiting for room", flags: "type no-wait wait hold timeout o", run: (*ipcCall).sendMsg,
			about: "The text, or standard input for -.\n\n  $ $KIND send jobs hello\n  $ $KIND send jobs urgent --type 2 --no-wait"},
		{name: "receive", aliases: []string{"recv"}, args: "KEY", summary: "take a message and print it, waiting for one", flags: "type:receive raw no-wait wait hold timeout o",
			run: (*ipcCall).receiveMsg, about: "The first, or the first of a type.\n\n  $ $KIND receive jobs\n  $ $KIND receive jobs --type 2 --timeout 2s"},
	}
}

func mqVerbs() []ipcVerb {
	return []ipcVerb{
		{name: "create", args: "/NAME", summary: "make a queue, or find it", flags: "max-messages message-size mode excl hold timeout o", run: (*ipcCall).createMQ,
			about: "One that is there already is left as it is. All queues of a user together may take RLIMIT_MSGQUEUE bytes, in all\n" +
				"IPC namespaces together: small queues leave room for others.\n\n  $ $KIND create /jobs --max-messages 4 --message-size 64"},
		{name: "send", args: "/NAME TEXT|-", summary: "send a text, waiting for room", flags: "priority no-wait wait hold timeout o", run: (*ipcCall).sendMQ,
			about: "The text, or standard input for -.\n\n  $ $KIND send /jobs hello\n  $ $KIND send /jobs urgent --priority 9"},
		{name: "receive", aliases: []string{"recv"}, args: "/NAME", summary: "take a message and print it, waiting for one", flags: "raw no-wait wait hold timeout o",
			run: (*ipcCall).receiveMQ, about: "The oldest of the highest priority.\n\n  $ $KIND receive /jobs\n  $ $KIND receive /jobs -o json | jq .priority"},
		{name: "get", args: "/NAME", summary: "print how many messages it has and can hold", flags: "wait timeout o", run: (*ipcCall).getMQ,
			about: "mq_getattr(3).\n\n  $ $KIND get /jobs\n  1 of 4 messages of 64 bytes"},
	}
}

func (c *ipcCall) createMsg() error {
	o, id, created, err := createSysV(c, ipc.GetMsg)
	if err != nil {
		return err
	}
	if n := c.c.Int64("max-bytes"); created && c.c.IsSet("max-bytes") {
		if err := id.SetBytes(int(n)); err != nil {
			gone := id.Remove()
			c.unmade = gone == nil
			return errors.Join(err, gone)
		}
	}
	at := c.withKey(o, int(id))
	var mode fs.FileMode
	if st, err := id.Stat(); err == nil {
		mode = st.Perm.Mode
	} else if !created {
		return err
	} else if mode, err = c.mode(); err != nil {
		return usage(c.path, err)
	}
	c.add("created", created)
	c.add("mode", "0"+octal(mode))
	c.say("%s %s, mode %s", madeOrFound(created), at, octal(mode))
	return nil
}

func (c *ipcCall) openMsg() (ipc.Msg, error) {
	o, id, err := openSysV(c, c.args[0], func(k ipc.Key) (ipc.Msg, error) { return ipc.GetMsg(k, ipc.Get{}) })
	if err == nil {
		c.named(o, int(id))
	}
	return id, err
}

func (c *ipcCall) sendMsg() error {
	typ := c.c.Int64("type")
	if typ < 1 {
		return usage(c.path, fmt.Errorf("--type %d: a message's type is greater than 0 (msgop(2))", typ))
	}
	id, err := c.openMsg()
	if err != nil {
		return err
	}
	p, err := c.messageText()
	if err != nil {
		return err
	}
	m := ipc.Message{Type: typ, Data: p}
	if c.c.Bool("no-wait") {
		err = id.TrySend(m)
	} else {
		err = id.Send(c.ctx, m)
	}
	if err != nil {
		return err
	}
	c.add("bytes", len(p))
	c.add("type", typ)
	c.say("sent %d %s, type %d", len(p), plural(len(p), "byte"), typ)
	return nil
}

// messageText is the text of a message for a queue of System V's. An argument that is too long the kernel refuses; of a
// standard input that is, there is only the beginning.
func (c *ipcCall) messageText() ([]byte, error) {
	most, err := strconv.ParseInt(limit("kernel.msgmax", ""), 10, 64)
	if err != nil {
		most = math.MaxInt32 // the largest that the sysctl can be
	}
	p, err := c.payload(c.args[1], most)
	if err == nil && c.inputRead && int64(len(p)) > most {
		err = &failure{code: codeKernel, err: usage(c.path, fmt.Errorf("standard input: more than %d bytes", most)), hint: longestMessage()}
	}
	return p, err
}

func (c *ipcCall) receiveMsg() error {
	id, err := c.openMsg()
	if err != nil {
		return err
	}
	var m ipc.Message
	if c.c.Bool("no-wait") {
		m, err = id.TryReceive(c.c.Int64("type"), ipc.ReceiveOptions{})
	} else {
		m, err = id.Receive(c.ctx, c.c.Int64("type"), ipc.ReceiveOptions{})
	}
	if err != nil {
		return err
	}
	c.add("type", m.Type)
	c.addData(m.Data)
	return nil
}

func (c *ipcCall) createMQ() error {
	o, err := c.object(c.args[0])
	if err != nil {
		return err
	}
	mode, err := c.mode()
	if err != nil {
		return usage(c.path, err)
	}
	attr, err := c.queueAttr()
	if err != nil {
		return usage(c.path, err)
	}
	var q *ipc.Queue
	created, err := c.make(func(excl bool) error {
		open := ipc.Open{}
		if excl {
			open = ipc.Open{Create: true, Exclusive: true, Perm: mode}
		}
		q, err = ipc.OpenQueue(o.name, open, attr)
		return err
	})
	if err != nil {
		return err
	}
	c.keepOpen(q.Close)
	a, err := q.Attr()
	if err != nil {
		return err
	}
	if st, err := q.File().Stat(); err == nil {
		mode = st.Mode()
	}
	at := c.named(o, 0)
	c.add("created", created)
	c.add("maxMessages", a.MaxMessages)
	c.add("messageSize", a.MessageSize)
	c.add("mode", "0"+octal(mode))
	c.say("%s %s: %d messages of %d bytes, mode %s", madeOrFound(created), at, a.MaxMessages, a.MessageSize, octal(mode))
	return nil
}

// queueAttr is what a new queue is to hold, or nil where nobody says so: the kernel has defaults for each namespace. They
// go for both numbers or none (mq_open(3)).
func (c *ipcCall) queueAttr() (a *ipc.QueueAttr, err error) {
	a = &ipc.QueueAttr{}
	given := 0
	var missing error
	for _, f := range []struct {
		flag, sysctl string
		to           *int64
	}{{"max-messages", "fs.mqueue.msg_default", &a.MaxMessages}, {"message-size", "fs.mqueue.msgsize_default", &a.MessageSize}} {
		n := c.c.Int64(f.flag)
		if c.c.IsSet(f.flag) {
			given++
		} else if n, err = strconv.ParseInt(limit(f.sysctl, ""), 10, 64); err != nil {
			missing = fmt.Errorf("%s can't be read: give --%s as well", f.sysctl, f.flag)
			continue
		}
		if n < 1 {
			return nil, fmt.Errorf("--%s %d: want 1 or more", f.flag, n)
		}
		*f.to = n
	}
	if given == 1 && missing != nil {
		return nil, missing
	}
	return when(given > 0, a), nil
}

func (c *ipcCall) openMQ(readOnly bool) (q *ipc.Queue, err error) {
	o, err := c.object(c.args[0])
	if err != nil {
		return nil, err
	}
	err = c.await(func() error {
		q, err = ipc.OpenQueue(o.name, ipc.Open{ReadOnly: readOnly}, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.named(o, 0)
	c.keepOpen(q.Close)
	return q, nil
}

func (c *ipcCall) sendMQ() error {
	prio := c.c.Int64("priority")
	if prio < 0 || prio > ipc.MaxPriority {
		return usage(c.path, fmt.Errorf("--priority %d: want 0 to %d", prio, ipc.MaxPriority))
	}
	q, err := c.openMQ(false)
	if err != nil {
		return err
	}
	a, err := q.Attr()
	if err != nil {
		return err
	}
	// The queue's message size never changes: one byte more than that, and the kernel refuses it (EMSGSIZE).
	p, err := c.payload(c.args[1], a.MessageSize)
	if err != nil {
		return err
	}
	if c.c.Bool("no-wait") {
		err = q.TrySend(p, uint32(prio))
	} else {
		err = q.Send(c.ctx, p, uint32(prio))
	}
	if err != nil {
		return err
	}
	c.add("bytes", len(p))
	c.add("priority", prio)
	c.say("sent %d %s, priority %d", len(p), plural(len(p), "byte"), prio)
	return nil
}

func (c *ipcCall) receiveMQ() error {
	q, err := c.openMQ(true)
	if err != nil {
		return err
	}
	var p []byte
	var prio uint32
	if c.c.Bool("no-wait") {
		p, prio, err = q.TryReceive()
	} else {
		p, prio, err = q.Receive(c.ctx)
	}
	if err != nil {
		return err
	}
	c.add("priority", prio)
	c.addData(p)
	return nil
}

func (c *ipcCall) getMQ() error {
	q, err := c.openMQ(true)
	if err != nil {
		return err
	}
	a, err := q.Attr()
	if err != nil {
		return err
	}
	c.add("messages", a.Messages)
	c.add("maxMessages", a.MaxMessages)
	c.add("messageSize", a.MessageSize)
	c.say("%d of %d messages of %d bytes", a.Messages, a.MaxMessages, a.MessageSize)
	return nil
}
