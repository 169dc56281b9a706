package ipc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test of the test: the kernel does give up a call of every kind in a storm.
func TestStormInterrupts(t *testing.T) {
	storm(t)
	s, q, full := newSem(t, 0), newMsg(t), newMsg(t, text(1, "x"))
	if err := full.SetBytes(1); err != nil {
		t.Fatal(err)
	}
	buf := newMsgbuf(1)
	buf[0] = 1
	op := sembuf{delta: -1}
	for _, c := range []struct {
		name string
		call func() unix.Errno
	}{
		{"semop", func() unix.Errno { return rawSemop(s, &op) }},
		{"msgrcv", func() unix.Errno { return rawMsg(unix.SYS_MSGRCV, q, buf) }},
		{"msgsnd", func() unix.Errno { return rawMsg(unix.SYS_MSGSND, full, buf) }},
	} {
		if got := c.call(); got != unix.EINTR {
			t.Errorf("%s: got %v, want EINTR", c.name, got)
		}
	}
}

// In a storm every wait ends as it should: by what it waits for, once, or by its context.
func TestStorm(t *testing.T) {
	storm(t)
	const rounds = 200
	s, q := newSem(t, 0, 0), newMsg(t)
	if err := q.SetBytes(4); err != nil { // senders wait too
		t.Fatal(err)
	}
	cancelable, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, ctx := range []context.Context{context.Background(), cancelable} {
		wg.Go(func() {
			for range rounds {
				check(s.Do(ctx, SemOp{Num: 0, Delta: 1}))
				check(s.Do(ctx, SemOp{Num: 1, Delta: -1}))
			}
		})
		wg.Go(func() {
			for range rounds {
				check(s.Do(ctx, SemOp{Num: 0, Delta: -1}))
				check(s.Do(ctx, SemOp{Num: 1, Delta: 1}))
			}
		})
		wg.Go(func() {
			for range rounds {
				check(q.Send(ctx, text(1, "abc")))
			}
		})
		wg.Go(func() {
			for range rounds {
				m, err := q.Receive(ctx, 0, ReceiveOptions{})
				wantMessage(t, m, err, text(1, "abc"))
			}
		})
	}
	wg.Wait()
	wantValues(t, s, 0, 0)
	if st, err := q.Stat(); err != nil || st.Messages != 0 {
		t.Errorf("got %+v and %v, want no messages left", st, err)
	}

	began := time.Now()
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Do(soon, SemOp{Num: 0, Delta: -1}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) < 50*time.Millisecond {
		t.Errorf("got %v after %v, want %v after 50ms", err, time.Since(began), context.DeadlineExceeded)
	}
}

func rawSemop(s Sem, op *sembuf) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_SEMOP, uintptr(s), uintptr(unsafe.Pointer(op)), 1)
	return errno
}

// rawMsg sends or receives a message of one byte, of any type.
func rawMsg(call uintptr, q Msg, buf msgbuf) unix.Errno {
	_, _, errno := unix.Syscall6(call, uintptr(q), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), 1, 0, 0, 0)
	return errno
}
