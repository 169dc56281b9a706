package ipc

import (
	"context"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// interruptible runs a system call that may block, until it returns anything but EINTR. It returns nil or an errno.
// Once ctx has ended it takes the call's thread out of the kernel, and returns what ended ctx; what the call has
// reached at the same moment counts, so that nothing taken is lost.
//
// call must be one that the kernel never restarts after a signal handler, even under SA_RESTART, which Go's handlers
// have: semop, msgsnd, msgrcv, nanosleep… (signal(7)). futex(2) is such a call only if it is given a timeout, be it a
// long one: without, it is restarted, and what is sent here is in vain. call must go through unix.Syscall, not
// RawSyscall, or a blocked thread keeps others from running. Its uintptr arguments live in the closure's own frame.
func interruptible(ctx context.Context, call func() unix.Errno) error {
	if ctx.Done() != nil {
		// The signal is for a thread: this goroutine must stay on it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer interruptOnEnd(ctx)()
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// Go's scheduler sends signals to its own threads all the time, so EINTR says nothing about ctx.
		if errno := call(); errno == 0 {
			return nil
		} else if errno != unix.EINTR {
			return errno
		}
	}
}

// waiting is interruptible for a call that takes IPC_NOWAIT in its flags, and then says notYet instead of waiting. Where
// ctx can end it is tried so first: an interruption costs more to prepare than the call does.
func waiting(ctx context.Context, notYet unix.Errno, call func(flags int) unix.Errno) error {
	if ctx.Done() != nil && ctx.Err() == nil {
		if errno := call(unix.IPC_NOWAIT); errno != notYet && errno != unix.EINTR {
			return failure(errno)
		}
	}
	return interruptible(ctx, func() unix.Errno { return call(0) })
}

// interruptOnEnd signals the calling thread when ctx ends, until stop is called. stop returns when no further signal
// will be sent.
func interruptOnEnd(ctx context.Context) (stop func()) {
	pid, tid := os.Getpid(), unix.Gettid()
	returned, done := make(chan struct{}), make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(done)
		// A signal that comes just before the call is entered interrupts nothing: send until it has returned.
		pause := 100 * time.Microsecond // a thread that is on its way into the kernel needs less
		timer := time.NewTimer(pause)
		defer timer.Stop()
		for {
			// SIGURG: the runtime handles it in any case, to preempt goroutines, and takes a stray one without
			// harm. The only error is that the thread is gone, and it stands locked in interruptible.
			_ = unix.Tgkill(pid, tid, unix.SIGURG)
			select {
			case <-returned:
				return
			case <-timer.C:
				pause = min(2*pause, 10*time.Millisecond) // be easy on a machine that is too busy to run it
				timer.Reset(pause)
			}
		}
	})
	return func() {
		close(returned)
		if !unhook() {
			<-done
		}
	}
}
