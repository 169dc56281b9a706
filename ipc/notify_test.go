package ipc

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// subscribed registers, and waits beside the test.
func subscribed(t *testing.T, ctx context.Context, q *Queue) <-chan error {
	t.Helper()
	n, err := q.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		defer n.Close()
		done <- n.Wait(ctx)
	}()
	return done
}

func TestNotify(t *testing.T) {
	q, name := newQueue(t, &QueueAttr{MaxMessages: 4, MessageSize: 8})
	for range 3 { // each registration is for one message
		done := subscribed(t, within(t), q)
		wantErr(t, q.Notify(within(t)), unix.EBUSY, "mq_notify", name)
		wantErr(t, q.TrySend([]byte("x"), 0), nil, "", "")
		wantErr(t, <-done, nil, "", "")
		if _, _, err := q.TryReceive(); err != nil { // it only told of it
			t.Error(err)
		}
	}
}

// A queue that holds a message tells of no other.
func TestNotifyOnlyOfTheFirst(t *testing.T) {
	q, name := newQueue(t, &QueueAttr{MaxMessages: 4, MessageSize: 8})
	wantErr(t, q.TrySend(nil, 0), nil, "", "")
	n, err := q.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, q.TrySend(nil, 0), nil, "", "")
	wantErr(t, n.Wait(soon(t)), context.DeadlineExceeded, "mq_notify", name)
	for range 2 {
		if _, _, err := q.TryReceive(); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, q.TrySend(nil, 0), nil, "", "") // now it was empty
	wantErr(t, n.Wait(within(t)), nil, "", "")
	wantErr(t, n.Close(), nil, "", "")
	if _, _, err := q.TryReceive(); err != nil {
		t.Fatal(err)
	}

	// Who has given up is in nobody's way.
	wantErr(t, q.Notify(soon(t)), context.DeadlineExceeded, "mq_notify", name)
	ended, end := context.WithCancel(t.Context())
	end()
	wantErr(t, q.Notify(ended), context.Canceled, "mq_notify", name)
	if n, err = q.Subscribe(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, n.Close(), nil, "", "")
	wantErr(t, n.Wait(within(t)), os.ErrClosed, "mq_notify", name)
}

// mq_close(3) of any descriptor of the queue ends the process's registration; ours lives on.
func TestNotifyOutlivesAnotherClose(t *testing.T) {
	q, name := newQueue(t, &QueueAttr{MaxMessages: 4, MessageSize: 8})
	for range 100 {
		done := subscribed(t, within(t), q)
		other, err := OpenQueue(name, Open{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantErr(t, other.Close(), nil, "", "")
		wantErr(t, q.TrySend(nil, 0), nil, "", "")
		wantErr(t, <-done, nil, "", "")
		if _, _, err := q.TryReceive(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNotifyTwoProcesses(t *testing.T) {
	q, name := newQueue(t, &QueueAttr{MaxMessages: 4, MessageSize: 8})
	p := start(t, -1, "notify", name)
	p.says("registered")
	wantErr(t, q.Notify(within(t)), unix.EBUSY, "mq_notify", name)
	if dir, err := ownMQueue(); err == nil { // who may, sees who is registered
		closeLater(t, dir.Close)
		all, err := readQueues(dir)
		i := slices.IndexFunc(all, func(o Object) bool { return o.Name == name })
		if err != nil || i < 0 || all[i].NotifyPid != p.cmd.Process.Pid {
			t.Errorf("got %+v, %v, want process %d to be told", all, err, p.cmd.Process.Pid)
		}
	}
	wantErr(t, q.TrySend(nil, 0), nil, "", "")
	p.says("told")
}

func notifyRole(args []string) error {
	q, err := OpenQueue(args[0], Open{}, nil)
	if err != nil {
		return err
	}
	n, err := q.Subscribe()
	if err != nil {
		return err
	}
	fmt.Println("registered")
	if err := n.Wait(context.Background()); err != nil {
		return err
	}
	fmt.Println("told")
	return nil
}
