package ipc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestQueuePriorities(t *testing.T) {
	type message struct {
		text     string
		priority uint32
	}
	var sent []message
	for i := range 10 {
		sent = append(sent, message{strconv.Itoa(i), []uint32{0, 7, MaxPriority, 7, 1}[rand.IntN(5)]})
	}
	q, _ := newQueue(t, &QueueAttr{MaxMessages: 10, MessageSize: 8})
	for _, m := range sent {
		if err := q.Send(within(t), []byte(m.text), m.priority); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Clone(sent) // highest first, the oldest of the same first
	slices.SortStableFunc(want, func(a, b message) int { return cmp.Compare(b.priority, a.priority) })
	for i, w := range want {
		data, priority, err := q.Receive(within(t))
		if err != nil || (message{string(data), priority}) != w {
			t.Errorf("sent %v: message %d is %q with priority %d, %v, want %v", sent, i, data, priority, err, w)
		}
	}
}

func TestQueueErrors(t *testing.T) {
	small := &QueueAttr{MaxMessages: 2, MessageSize: 4}
	q, name := newQueue(t, small)
	_, err := OpenQueue(name, Open{Create: true, Exclusive: true}, small)
	wantErr(t, err, unix.EEXIST, "mq_open", name)
	_, err = OpenQueue("/none-such", Open{}, nil)
	wantErr(t, err, unix.ENOENT, "mq_open", "/none-such")
	wantErr(t, RemoveQueue("/none-such"), unix.ENOENT, "mq_unlink", "/none-such")
	_, err = OpenQueue("none", Open{}, nil)
	wantErr(t, err, unix.EINVAL, "mq_open", "none")
	wantErr(t, RemoveQueue("none"), unix.EINVAL, "mq_unlink", "none")
	for _, a := range []QueueAttr{{MaxMessages: 1}, {MessageSize: 1}, {MaxMessages: -1, MessageSize: 1}, {MaxMessages: 1 << 40, MessageSize: 1 << 40}} {
		_, err := OpenQueue(objectName(), Open{Create: true}, &a)
		wantErr(t, err, unix.EINVAL, "mq_open", "")
	}

	_, _, err = q.TryReceive()
	wantErr(t, err, unix.EAGAIN, "mq_receive", name)
	wantErr(t, q.TrySend([]byte("12345"), 0), unix.EMSGSIZE, "mq_send", name)
	wantErr(t, q.Send(within(t), []byte("12345"), 0), unix.EMSGSIZE, "mq_send", name)
	wantErr(t, q.TrySend(nil, MaxPriority+1), unix.EINVAL, "mq_send", name)
	wantErr(t, q.TrySend([]byte("1234"), MaxPriority), nil, "", "")
	wantErr(t, q.TrySend(nil, 0), nil, "", "") // a message may be empty
	wantErr(t, q.TrySend(nil, 0), unix.EAGAIN, "mq_send", name)
	wantErr(t, q.Send(soon(t), nil, 0), context.DeadlineExceeded, "mq_send", name)
	if a, err := q.Attr(); err != nil || a != (QueueAttr{2, 4, 2}) {
		t.Errorf("got %v, %v, want two messages in a full queue", a, err)
	}

	reader, err := OpenQueue(name, Open{ReadOnly: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, reader.Close)
	wantErr(t, reader.TrySend(nil, 0), unix.EBADF, "mq_send", name)
	if data, priority, err := reader.TryReceive(); string(data) != "1234" || priority != MaxPriority || err != nil {
		t.Errorf("got %q, %d, %v", data, priority, err)
	}
	if data, priority, err := reader.Receive(within(t)); len(data) != 0 || data == nil || priority != 0 || err != nil {
		t.Errorf("got %v, %d, %v, want an empty message", data, priority, err)
	}
	_, _, err = reader.Receive(soon(t))
	wantErr(t, err, context.DeadlineExceeded, "mq_receive", name)
}

// A queue keeps its attributes, whatever the next one asks for; without any it has the namespace's defaults.
func TestQueueAttributes(t *testing.T) {
	_, name := newQueue(t, &QueueAttr{MaxMessages: 3, MessageSize: 5})
	again, err := OpenQueue(name, Open{Create: true}, &QueueAttr{MaxMessages: 1, MessageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, again.Close)
	if a, err := again.Attr(); err != nil || a != (QueueAttr{3, 5, 0}) {
		t.Errorf("got %v, %v, want the first one's attributes", a, err)
	}
	l, err := ReadLimits()
	if err != nil {
		t.Fatal(err)
	}
	var want QueueAttr
	for _, l := range l.Namespace {
		switch l.Sysctl {
		case "fs.mqueue.msg_default":
			want.MaxMessages = int64(l.Value)
		case "fs.mqueue.msgsize_default":
			want.MessageSize = int64(l.Value)
		}
	}
	q, _ := newQueue(t, nil)
	if a, err := q.Attr(); err != nil || a != want {
		t.Errorf("got %v, %v, want the namespace's defaults, %v", a, err, want)
	}
}

func TestQueueContexts(t *testing.T) {
	q, name := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 8})
	cause := errors.New("the bell rang")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	wantErr(t, q.Send(ended, nil, 0), cause, "mq_send", name) // though there is room
	_, _, err := q.Receive(ended)
	wantErr(t, err, cause, "mq_receive", name)

	// Two wait. One gives up, be it the one that the poller waits for or the one behind it: the other goes on.
	for range 20 {
		patient := make(chan error, 1)
		go func() {
			_, _, err := q.Receive(within(t))
			patient <- err
		}()
		_, _, err := q.Receive(soon(t))
		wantErr(t, err, context.DeadlineExceeded, "mq_receive", name)
		wantErr(t, q.Send(within(t), nil, 0), nil, "", "")
		if err := <-patient; err != nil {
			t.Fatal(err)
		}
	}

	// A deadline that was missed is not the next one's.
	wantErr(t, q.TrySend([]byte("left"), 0), nil, "", "")
	if data, _, err := q.Receive(context.Background()); string(data) != "left" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestQueueClose(t *testing.T) {
	q, name := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 8})
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() {
			_, _, err := q.Receive(within(t))
			errs <- err
		}()
	}
	wantErr(t, q.Close(), nil, "", "")
	for range cap(errs) {
		wantErr(t, <-errs, os.ErrClosed, "mq_receive", name)
	}
	wantErr(t, q.Close(), os.ErrClosed, "mq_close", name)
	wantErr(t, q.TrySend(nil, 0), os.ErrClosed, "mq_send", name)
	wantErr(t, q.Send(within(t), nil, 0), os.ErrClosed, "mq_send", name)
	wantErr(t, q.Notify(within(t)), os.ErrClosed, "mq_notify", name)
	_, err := q.Attr()
	wantErr(t, err, os.ErrClosed, "mq_getattr", name)
}

// Who asks for the descriptor doesn't make it block: a blocked thread is what the poller is there against.
func TestQueueFileStaysNonblocking(t *testing.T) {
	q, _ := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 8})
	flags, err := unix.FcntlInt(q.File().Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("got flags %#x, %v, want O_NONBLOCK", flags, err)
	}
	fdFlags, err := unix.FcntlInt(q.File().Fd(), unix.F_GETFD, 0)
	if err != nil || fdFlags&unix.FD_CLOEXEC == 0 {
		t.Errorf("got descriptor flags %#x, %v, want FD_CLOEXEC", fdFlags, err)
	}
}

// Many send, many receive, many give up: each message comes once.
func TestQueueRace(t *testing.T) {
	storm(t)
	_, name := newQueue(t, &QueueAttr{MaxMessages: 3, MessageSize: 8})
	const senders, each = 8, 200
	open := func() *Queue {
		q, err := OpenQueue(name, Open{}, nil)
		if err != nil {
			t.Error(err)
		}
		closeLater(t, q.Close)
		return q
	}
	shared := open()
	var sending, receiving sync.WaitGroup
	got := make([]int, senders*each)
	var mu sync.Mutex
	received, all := 0, make(chan struct{})
	for n := range senders {
		q := shared
		if n%2 == 0 {
			q = open() // a descriptor of its own
		}
		sending.Go(func() {
			for i := range each {
				m := []byte(strconv.Itoa(n*each + i))
				for {
					ctx, cancel := context.WithTimeout(within(t), time.Duration(rand.IntN(500))*time.Microsecond)
					err := q.Send(ctx, m, uint32(rand.IntN(3)))
					cancel()
					if err == nil {
						break
					} else if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
						return
					}
				}
			}
		})
		receiving.Go(func() {
			for {
				ctx, cancel := context.WithTimeout(within(t), time.Duration(rand.IntN(500))*time.Microsecond)
				data, _, err := q.Receive(ctx)
				cancel()
				if errors.Is(err, context.DeadlineExceeded) {
					select {
					case <-all:
						return
					case <-t.Context().Done():
						return
					default:
						continue
					}
				}
				i, err2 := strconv.Atoi(string(data))
				if err != nil || err2 != nil {
					t.Error(err, err2)
					return
				}
				mu.Lock()
				got[i]++
				if received++; received == len(got) {
					close(all)
				}
				mu.Unlock()
			}
		})
	}
	sending.Wait()
	receiving.Wait()
	for i, n := range got {
		if n != 1 {
			t.Errorf("message %d came %d times", i, n)
		}
	}
}

// Two processes, each of which waits for the other, in a storm of signals.
func TestQueueTwoProcesses(t *testing.T) {
	storm(t)
	there, nameThere := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 8})
	back, nameBack := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 8})
	p := start(t, -1, "queue-echo", nameThere, nameBack)
	p.says("ready")
	for i := range 2000 {
		want := strconv.Itoa(i)
		if err := there.Send(within(t), []byte(want), uint32(i)); err != nil {
			t.Fatal(err)
		}
		data, priority, err := back.Receive(within(t))
		if string(data) != want || priority != uint32(i) || err != nil {
			t.Fatalf("got %q with priority %d, %v, want %s", data, priority, err, want)
		}
	}
}

func queueEchoRole(args []string) error {
	from, err := OpenQueue(args[0], Open{}, nil)
	if err != nil {
		return err
	}
	to, err := OpenQueue(args[1], Open{}, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		data, priority, err := from.Receive(context.Background())
		if err != nil {
			return err
		}
		if err := to.Send(context.Background(), data, priority); err != nil {
			return err
		}
	}
}

// queueOpenRole says what opening a queue gives, to write and then to read only.
func queueOpenRole(args []string) error {
	for _, readOnly := range []bool{false, true} {
		q, err := OpenQueue(args[0], Open{ReadOnly: readOnly}, nil)
		if err == nil {
			err = q.Close()
		}
		fmt.Println(readOnly, ErrnoName(err))
	}
	return nil
}

func TestQueueOfAnotherUser(t *testing.T) {
	needRoot(t)
	for perm, want := range map[os.FileMode][2]string{
		0o600: {"false EACCES", "true EACCES"},
		0o644: {"false EACCES", "true "},
		0o666: {"false ", "true "},
	} {
		q, name := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 1})
		if err := q.File().Chmod(perm); err != nil { // newQueue's mode meets the umask
			t.Fatal(err)
		}
		p := start(t, otherUID(), "queue-open", name)
		for _, w := range want {
			p.says(w)
		}
	}
}

// RLIMIT_MSGQUEUE counts what a user has in all queues, in whatever namespace: the tenth default queue is too much.
func TestQueueLimitOfAUser(t *testing.T) {
	needRoot(t)
	var names []string
	for range 10 {
		name := objectName()
		removeLater(t, name, RemoveQueue)
		names = append(names, name)
	}
	start(t, otherUID(), "queue-limit", names...).says("9 EMFILE")
}

// queueLimitRole says how many queues it can make.
func queueLimitRole(names []string) error {
	for i, name := range names {
		q, err := OpenQueue(name, Open{Create: true, Exclusive: true, Perm: 0o600}, &QueueAttr{MaxMessages: 10, MessageSize: 8192})
		if err != nil {
			fmt.Println(i, ErrnoName(err))
			return nil
		}
		defer q.Close()
	}
	fmt.Println("all")
	return nil
}
