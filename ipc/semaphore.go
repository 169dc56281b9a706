package ipc

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Semaphore is an open POSIX named semaphore: a file in /dev/shm that glibc's sem_open(3) would open as well. Its
// methods may be called from several goroutines at once.
//
// The file is glibc's sem_t since 2.21, on 64-bit machines, 32 bytes:
//
//	0   uint64  the value in the lower 32 bits, the number of waiters in the upper
//	8   int32   128 if the semaphore is for several processes: XORed with FUTEX_PRIVATE_FLAG it is futex(2)'s flag
//	12          nothing
//
// The futex is the lower half of the first word. A waiter is counted before it looks at the value for the last time,
// and a poster adds to the value before it looks at the waiters: so one of them sees the other.
type Semaphore struct {
	name string
	data []byte

	mu     sync.Mutex
	users  int  // calls that use data now
	closed bool // data is unmapped when users falls to 0
}

// MaxSemaphore is the highest value of a semaphore, SEM_VALUE_MAX.
const MaxSemaphore = 1<<31 - 1

const (
	semPrefix    = "sem."
	semSize      = 32
	semShared    = 128 // FUTEX_PRIVATE_FLAG, which glibc XORs away
	semSharedAt  = 8
	semWaiter    = 1 << 32
	semValueMask = semWaiter - 1
)

// OpenSemaphore opens a semaphore, or makes one with that value. One that is there already keeps its value.
func OpenSemaphore(name string, value uint, o Open) (*Semaphore, error) {
	file, err := component(name, semPrefix)
	switch {
	case err != nil:
	case value > MaxSemaphore:
		err = fmt.Errorf("value %d, %d at most: %w", value, MaxSemaphore, unix.EINVAL)
	case o.ReadOnly:
		err = fmt.Errorf("a semaphore is opened to be read and written: %w", unix.EINVAL)
	}
	if err != nil {
		return nil, fault("sem_open", name, err)
	}
	fd, _, err := openOrMake(file, o, func(fd int) error { return writeSemaphore(fd, value) })
	if err != nil {
		return nil, fault("sem_open", name, err)
	}
	defer unix.Close(fd) // the mapping is enough
	if err := checkSemaphore(fd); err != nil {
		return nil, fault("sem_open", name, err)
	}
	data, err := unix.Mmap(fd, 0, semSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fault("sem_open", name, fmt.Errorf("mmap: %w", err))
	}
	return &Semaphore{name: name, data: data}, nil
}

func writeSemaphore(fd int, value uint) error {
	b := make([]byte, semSize)
	*(*uint64)(unsafe.Pointer(&b[0])) = uint64(value)
	b[semSharedAt] = semShared
	n, err := unix.Write(fd, b)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	return err
}

// checkSemaphore refuses a file that is no semaphore: one that is too short is SIGBUS for who touches it, and on one
// without the mark for several processes glibc waits where nobody can wake it.
func checkSemaphore(fd int) error {
	b := make([]byte, semSize)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return err
	}
	_, _, err = parseSemaphore(b[:n])
	return err
}

// parseSemaphore reads value and waiters from a semaphore's file.
func parseSemaphore(b []byte) (value, waiters int, err error) {
	if len(b) < semSize {
		return 0, 0, fmt.Errorf("%d bytes, want glibc's sem_t of %d: %w", len(b), semSize, unix.EINVAL)
	}
	if flag := *(*int32)(unsafe.Pointer(&b[semSharedAt])); flag != semShared {
		return 0, 0, fmt.Errorf("not marked as shared in glibc's sem_t: byte %d is %d, want %d: %w", semSharedAt, flag, semShared, unix.EINVAL)
	}
	word := *(*uint64)(unsafe.Pointer(&b[0]))
	return int(word & semValueMask), int(word >> 32), nil
}

// RemoveSemaphore takes the name away. Who has it open keeps it.
func RemoveSemaphore(name string) error {
	file, err := component(name, semPrefix)
	if err == nil {
		err = unix.Unlink(shmDir + "/" + file)
	}
	return fault("sem_unlink", name, err)
}

// Wait takes one from the value, and waits while it is 0.
func (s *Semaphore) Wait(ctx context.Context) error {
	word, done, err := s.use()
	if err == nil {
		defer done()
		err = wait(ctx, word)
	}
	return fault("sem_wait", s.name, err)
}

func wait(ctx context.Context, word *atomic.Uint64) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if take(word, 0) {
		return nil
	}
	word.Add(semWaiter)
	for {
		// First take, then see whether ctx has ended: the poster has woken one of us, and if it were us and we left
		// without looking, another might sleep beside a value that is not 0.
		if take(word, semWaiter) {
			return nil
		}
		if err := futexWait(ctx, word); err != nil {
			if take(word, semWaiter) { // posted at that moment
				return nil
			}
			word.Add(^uint64(semWaiter - 1)) // one waiter less
			return err
		}
	}
}

// take takes 1 from a value that is not 0, and with it what it is given, a waiter.
func take(word *atomic.Uint64, also uint64) bool {
	for {
		old := word.Load()
		if old&semValueMask == 0 {
			return false
		}
		if word.CompareAndSwap(old, old-1-also) {
			return true
		}
	}
}

// TryWait is Wait that doesn't wait: EAGAIN if the value is 0.
func (s *Semaphore) TryWait() error {
	word, done, err := s.use()
	if err == nil {
		defer done()
		if !take(word, 0) {
			err = unix.EAGAIN
		}
	}
	return fault("sem_trywait", s.name, err)
}

// Post adds one to the value, and wakes who waits. EOVERFLOW at MaxSemaphore.
func (s *Semaphore) Post() error {
	word, done, err := s.use()
	if err == nil {
		defer done()
		err = post(word)
	}
	return fault("sem_post", s.name, err)
}

func post(word *atomic.Uint64) error {
	for {
		old := word.Load()
		if old&semValueMask >= MaxSemaphore {
			return unix.EOVERFLOW
		}
		if word.CompareAndSwap(old, old+1) {
			if old >= semWaiter {
				return futexWake(word)
			}
			return nil
		}
	}
}

// Value returns the value, which may be another one by now.
func (s *Semaphore) Value() (int, error) {
	word, done, err := s.use()
	if err != nil {
		return 0, fault("sem_getvalue", s.name, err)
	}
	defer done()
	return int(word.Load() & semValueMask), nil
}

// Waiters returns how many wait. One that was killed while it waited is counted for ever: a number is all that the
// semaphore knows of them.
func (s *Semaphore) Waiters() (int, error) {
	word, done, err := s.use()
	if err != nil {
		return 0, fault("sem_getvalue", s.name, err)
	}
	defer done()
	return int(word.Load() >> 32), nil
}

// Close unmaps the semaphore, once no call uses it any more. Its value stays as it is.
func (s *Semaphore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fault("sem_close", s.name, os.ErrClosed)
	}
	s.closed = true
	if s.users > 0 {
		return nil
	}
	return fault("sem_close", s.name, unix.Munmap(s.data))
}

// use gives the word, which stays mapped until done is called.
func (s *Semaphore) use() (word *atomic.Uint64, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, os.ErrClosed
	}
	s.users++
	return (*atomic.Uint64)(unsafe.Pointer(&s.data[0])), s.unuse, nil
}

func (s *Semaphore) unuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 && s.closed {
		_ = unix.Munmap(s.data) // a mapping that is ours; Close has returned
	}
}
