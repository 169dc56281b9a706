package ipc

import (
	"context"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// futex(2)'s operations, without FUTEX_PRIVATE_FLAG: the word is shared with other processes, which a private futex
// would never meet.
const (
	futexOpWait = 0
	futexOpWake = 1
)

// futexWait sleeps while the lower half of word is 0, until it is woken, for no reason at times, or ctx ends.
func futexWait(ctx context.Context, word *atomic.Uint64) error {
	// With a timeout the kernel doesn't restart the call after a signal; see interruptible.
	hour := unix.Timespec{Sec: 3600}
	err := interruptible(ctx, func() unix.Errno {
		_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexOpWait, 0, uintptr(unsafe.Pointer(&hour)), 0, 0)
		return errno
	})
	if err == unix.EAGAIN || err == unix.ETIMEDOUT {
		return nil // the value isn't 0, or an hour has passed: look again
	}
	return err
}

// futexWake wakes one that sleeps.
func futexWake(word *atomic.Uint64) error {
	if _, _, errno := unix.Syscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexOpWake, 1); errno != 0 {
		return errno
	}
	return nil
}
