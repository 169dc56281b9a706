package ipc

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleep is a call that blocks, and that no handler's SA_RESTART restarts.
func sleep(d time.Duration) func() unix.Errno {
	return func() unix.Errno {
		ts := unix.NsecToTimespec(int64(d))
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
		errno, _ := err.(unix.Errno)
		return errno
	}
}

func TestInterruptible(t *testing.T) {
	cause := errors.New("the bell rang")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		call func() unix.Errno
		want error
	}{
		{"returns", t.Context(), sleep(0), nil},
		{"returns, without end", context.Background(), sleep(0), nil},
		{"errno", t.Context(), func() unix.Errno { return unix.EIDRM }, unix.EIDRM},
		{"deadline", soon, sleep(time.Hour), context.DeadlineExceeded},
		{"ended before", ended, func() unix.Errno { t.Error("called"); return 0 }, cause},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := interruptible(c.ctx, c.call); err != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A call that got what it wanted while ctx ended has it: nothing is lost.
func TestInterruptibleKeepsSuccess(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := interruptible(ctx, func() unix.Errno { cancel(); return 0 })
	if err != nil {
		t.Errorf("got %v, want success", err)
	}
}

// EINTR storms: signals without end, and the call that is to be made once is made to its end.
func TestInterruptibleLoops(t *testing.T) {
	calls := 0
	err := interruptible(t.Context(), func() unix.Errno {
		if calls++; calls < 1000 {
			return unix.EINTR
		}
		return 0
	})
	if err != nil || calls != 1000 {
		t.Errorf("got %d calls and %v, want 1000 and success", calls, err)
	}
}

// Many that end at once, at the very moment they enter the kernel: none may hang.
func TestInterruptibleManyAtOnce(t *testing.T) {
	const n = 50
	for round := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, n)
		for range n {
			go func() { errs <- interruptible(ctx, sleep(time.Hour)) }()
		}
		for range round {
			runtime.Gosched()
		}
		cancel()
		for range n {
			if err := <-errs; err != context.Canceled {
				t.Fatalf("round %d: got %v, want %v", round, err, context.Canceled)
			}
		}
	}
}
