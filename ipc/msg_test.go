package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newMsg(t testing.TB, messages ...Message) Msg {
	t.Helper()
	q, err := GetMsg(Private, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindMsg, q, q.Remove)
	for _, m := range messages {
		if err := q.TrySend(m); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

func text(typ int64, s string) Message { return Message{typ, []byte(s)} }

func wantMessage(t testing.TB, m Message, err error, want Message) {
	t.Helper()
	if err != nil || m.Type != want.Type || !bytes.Equal(m.Data, want.Data) || m.Data == nil {
		t.Errorf("got %d %.40q and %v, want %d %.40q", m.Type, m.Data, err, want.Type, want.Data)
	}
}

func TestMsg(t *testing.T) {
	k := newKey()
	q, err := GetMsg(k, Get{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindMsg, q, q.Remove)
	if again, err := GetMsg(k, Get{Create: true}); again != q || err != nil {
		t.Errorf("found by its key: got %v and %v, want %v", again, err, q)
	}
	st, err := q.Stat()
	want := MsgStat{
		Perm:     Permissions{Key: k, UID: os.Geteuid(), GID: os.Getegid(), CUID: os.Geteuid(), CGID: os.Getegid(), Mode: 0o600},
		MaxBytes: st.MaxBytes, ChangeTime: st.ChangeTime,
	}
	if err != nil || st != want || st.MaxBytes == 0 || time.Since(st.ChangeTime) > time.Minute {
		t.Errorf("got %+v and %v, want %+v, of now", st, err, want)
	}
	if err := q.Send(t.Context(), text(5, "hello")); err != nil {
		t.Error(err)
	}
	if st, err = q.Stat(); err != nil || st.Messages != 1 || st.Bytes != 5 || st.LastSendPid != os.Getpid() || st.LastReceivePid != 0 || st.SendTime.IsZero() || !st.ReceiveTime.IsZero() {
		t.Errorf("one sent: got %+v and %v", st, err)
	}
	m, err := q.Receive(t.Context(), 0, ReceiveOptions{})
	wantMessage(t, m, err, text(5, "hello"))
	if st, err = q.Stat(); err != nil || st.Messages != 0 || st.Bytes != 0 || st.LastReceivePid != os.Getpid() || st.ReceiveTime.IsZero() {
		t.Errorf("and received: got %+v and %v", st, err)
	}
	if err := q.SetPerm(-1, -1, 0o640); err != nil {
		t.Error(err)
	}
	if err := q.SetBytes(100); err != nil {
		t.Error(err)
	}
	if st, err = q.Stat(); err != nil || st.Perm.Mode != 0o640 || st.MaxBytes != 100 || st.Perm.UID != os.Geteuid() {
		t.Errorf("set to 0640 and 100 bytes: got %+v and %v", st, err)
	}
}

// What is received by which type, of messages that were sent in this order: 3, 1, 2, 1 and 7.
func TestMsgTypes(t *testing.T) {
	all := []Message{text(3, "a"), text(1, "b"), text(2, "c"), text(1, "d"), text(math.MaxInt64, "e")}
	for _, c := range []struct {
		typ    int64
		except bool
		want   string // in the order received
	}{
		{typ: 0, want: "abcde"},
		{typ: 1, want: "bd"},
		{typ: 2, want: "c"},
		{typ: 9, want: ""},
		{typ: -1, want: "bd"},
		{typ: -2, want: "bdc"}, // the lowest type first, and of one type the first
		{typ: -3, want: "bdca"},
		{typ: -math.MaxInt64, want: "bdcae"},
		{typ: math.MinInt64, want: "bdcae"}, // has no positive; the kernel takes the greatest
		{typ: math.MaxInt64, want: "e"},
		{typ: 1, except: true, want: "ace"},
		{typ: 9, except: true, want: "abcde"},
		{typ: -1, except: true, want: "bd"}, // says nothing about a type that isn't positive
		{typ: 0, except: true, want: "abcde"},
	} {
		q := newMsg(t, all...)
		got := ""
		for {
			m, err := q.TryReceive(c.typ, ReceiveOptions{Except: c.except})
			if err != nil {
				wantErr(t, err, unix.ENOMSG, "msgrcv", fmt.Sprintf("id %d", q))
				break
			}
			got += string(m.Data)
		}
		if got != c.want {
			t.Errorf("type %d, except %v: got %q, want %q", c.typ, c.except, got, c.want)
		}
	}
}

func TestMsgErrors(t *testing.T) {
	k := newKey()
	keyed, err := GetMsg(k, Get{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindMsg, keyed, keyed.Remove)
	q := newMsg(t)
	id := fmt.Sprintf("id %d", q)
	const none, noID = Msg(0x7fffffff), "id 2147483647"
	for _, c := range []struct {
		name string
		do   func() error
		op   string
		path string
		want unix.Errno
	}{
		{"no such key", func() error { _, err := GetMsg(k+1, Get{}); return err }, "msgget", "key " + (k + 1).String(), unix.ENOENT},
		{"there already", func() error { _, err := GetMsg(k, Get{Create: true, Exclusive: true}); return err }, "msgget", "key " + k.String(), unix.EEXIST},
		{"type 0", func() error { return q.TrySend(text(0, "x")) }, "msgsnd", id, unix.EINVAL},
		{"type -1", func() error { return q.Send(t.Context(), text(-1, "x")) }, "msgsnd", id, unix.EINVAL},
		{"above msgmax", func() error { return q.TrySend(Message{1, make([]byte, 1<<24)}) }, "msgsnd", id, unix.EINVAL},
		{"nothing there", func() error { _, err := q.TryReceive(0, ReceiveOptions{}); return err }, "msgrcv", id, unix.ENOMSG},
		{"none: send", func() error { return none.TrySend(text(1, "")) }, "msgsnd", noID, unix.EINVAL},
		{"none: receive", func() error { _, err := none.Receive(t.Context(), 0, ReceiveOptions{}); return err }, "msgrcv", noID, unix.EINVAL},
		{"none: stat", func() error { _, err := none.Stat(); return err }, "msgctl", noID, unix.EINVAL},
		{"none: permissions", func() error { return none.SetPerm(0, 0, 0) }, "msgctl", noID, unix.EINVAL},
		{"none: bytes", func() error { return none.SetBytes(1) }, "msgctl", noID, unix.EINVAL},
		{"none: remove", none.Remove, "msgctl", noID, unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) { wantErr(t, c.do(), c.want, c.op, c.path) })
	}
}

func TestMsgSizes(t *testing.T) {
	q := newMsg(t)
	for size := range 20 { // around the words that a buffer is made of
		want := Message{1, bytes.Repeat([]byte{byte(size)}, size)}
		if err := q.TrySend(want); err != nil {
			t.Fatal(err)
		}
		m, err := q.TryReceive(0, ReceiveOptions{Size: size})
		wantMessage(t, m, err, want)
	}
	if err := q.TrySend(text(2, "hello")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it stays
		_, err := q.TryReceive(0, ReceiveOptions{Size: 4})
		wantErr(t, err, unix.E2BIG, "msgrcv", fmt.Sprintf("id %d", q))
	}
	m, err := q.TryReceive(0, ReceiveOptions{Size: 4, NoError: true})
	wantMessage(t, m, err, text(2, "hell"))
	_, err = q.TryReceive(0, ReceiveOptions{})
	wantErr(t, err, unix.ENOMSG, "msgrcv", fmt.Sprintf("id %d", q)) // the rest is lost
}

// A message longer than the usual limit, in an IPC namespace that allows it, is received as well.
func TestMsgLong(t *testing.T) {
	needRoot(t)
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and its namespace with the thread
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		// /proc/sys follows the writer's namespace.
		for _, limit := range []string{"msgmax", "msgmnb"} {
			if err := os.WriteFile("/proc/sys/kernel/"+limit, []byte("100000"), 0); err != nil {
				t.Error(err)
				return
			}
		}
		q, err := GetMsg(Private, Get{Perm: 0o600})
		if err != nil {
			t.Error(err)
			return
		}
		for _, size := range []int{usualMax - 1, usualMax, usualMax + 1, 4 * usualMax, 100000} {
			want := Message{1, bytes.Repeat([]byte("0123456789"), 10000)[:size]}
			if err := q.TrySend(want); err != nil {
				t.Error(err)
				return
			}
			m, err := q.TryReceive(0, ReceiveOptions{})
			wantMessage(t, m, err, want)
		}
		if err := q.TrySend(Message{1, make([]byte, 100001)}); ErrnoName(err) != "EINVAL" {
			t.Errorf("above msgmax: got %v, want EINVAL", err)
		}
	}()
	<-done
}

// Messages without text count too: a queue holds as many messages as it holds bytes, at most (msgop(2)).
func TestMsgEmpty(t *testing.T) {
	q := newMsg(t)
	if err := q.SetBytes(3); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := q.TrySend(Message{Type: 4}); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, q.TrySend(Message{Type: 4}), unix.EAGAIN, "msgsnd", fmt.Sprintf("id %d", q))
	for range 3 {
		m, err := q.TryReceive(0, ReceiveOptions{})
		wantMessage(t, m, err, text(4, ""))
	}
}

func TestMsgFull(t *testing.T) {
	q := newMsg(t)
	if err := q.SetBytes(10); err != nil {
		t.Fatal(err)
	}
	if err := q.TrySend(text(1, "01234567")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, q.TrySend(text(2, "xyz")), unix.EAGAIN, "msgsnd", fmt.Sprintf("id %d", q))
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := q.Send(soon, text(2, "xyz")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	// Room by a receiver.
	done := make(chan error)
	go func() { done <- q.Send(t.Context(), text(2, "xyz")) }()
	untilBlocked(t, 1, unix.SYS_MSGSND, int(q))
	m, err := q.TryReceive(0, ReceiveOptions{})
	wantMessage(t, m, err, text(1, "01234567"))
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Room by a larger queue.
	go func() { done <- q.Send(t.Context(), text(3, "012345678")) }()
	untilBlocked(t, 1, unix.SYS_MSGSND, int(q))
	if err := q.SetBytes(12); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st, err := q.Stat(); err != nil || st.Messages != 2 || st.Bytes != 12 {
		t.Errorf("got %+v and %v, want 2 messages of 12 bytes", st, err)
	}
}

// Removal under waiters wakes them all, with EIDRM: senders to a full queue and receivers of what isn't there.
func TestMsgRemovedUnderWaiters(t *testing.T) {
	const n = 5
	q := newMsg(t)
	if err := q.SetBytes(1); err != nil {
		t.Fatal(err)
	}
	if err := q.TrySend(text(1, "x")); err != nil {
		t.Fatal(err)
	}
	sent, received := make(chan error, n), make(chan error, n)
	for range n {
		go func() { sent <- q.Send(t.Context(), text(1, "y")) }()
		go func() { _, err := q.Receive(context.Background(), 9, ReceiveOptions{}); received <- err }()
	}
	untilBlocked(t, n, unix.SYS_MSGSND, int(q))
	untilBlocked(t, n, unix.SYS_MSGRCV, int(q))
	if err := q.Remove(); err != nil {
		t.Fatal(err)
	}
	for range n {
		wantErr(t, <-sent, unix.EIDRM, "msgsnd", fmt.Sprintf("id %d", q))
		wantErr(t, <-received, unix.EIDRM, "msgrcv", fmt.Sprintf("id %d", q))
	}
}

// Whatever comes first, the message or the end of the wait: it is received, or it is still there.
func TestMsgEndAgainstSend(t *testing.T) {
	q := newMsg(t)
	got := 0
	for round := range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(cancel)
		both.Go(func() {
			if err := q.TrySend(text(1, "x")); err != nil {
				t.Error(err)
			}
		})
		_, err := q.Receive(ctx, 0, ReceiveOptions{})
		both.Wait()
		st, errStat := q.Stat()
		if errStat != nil {
			t.Fatal(errStat)
		}
		if (err == nil) != (st.Messages == 0) || err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: got %v with %d left", round, err, st.Messages)
		}
		if err == nil {
			got++
		} else if _, err := q.TryReceive(0, ReceiveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of 500 got it", got)
}

// Many senders and receivers on a short queue: each message arrives once, whole.
func TestMsgMany(t *testing.T) {
	const senders, each = 4, 250
	q := newMsg(t)
	if err := q.SetBytes(100); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	seen := make([]map[string]int, senders)
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				if err := q.Send(t.Context(), text(int64(1+i), strings.Repeat(fmt.Sprintf("%d/%d ", i, n), 3))); err != nil {
					t.Error(err)
				}
			}
		})
		seen[i] = map[string]int{}
		wg.Go(func() {
			for range each {
				m, err := q.Receive(t.Context(), 0, ReceiveOptions{})
				if err != nil {
					t.Error(err)
				}
				seen[i][string(m.Data)]++
			}
		})
	}
	wg.Wait()
	for i := range senders {
		for n := range each {
			word, count := strings.Repeat(fmt.Sprintf("%d/%d ", i, n), 3), 0
			for _, s := range seen {
				count += s[word]
			}
			if count != 1 {
				t.Errorf("%q arrived %d times", word, count)
			}
		}
	}
}
