package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newSem(t testing.TB, values ...int) Sem {
	t.Helper()
	s, err := GetSem(Private, len(values), Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindSem, s, s.Remove)
	if err := s.SetValues(values); err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for something that no event tells of: that others sleep in the kernel.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not within 20s: %s", what)
		}
	}
}

// untilBlocked waits until n threads of this process sleep in a system call on an object.
func untilBlocked(t testing.TB, n int, call uintptr, id int) {
	t.Helper()
	prefix := fmt.Sprintf("%d 0x%x ", call, id) // proc_pid_syscall(5)
	until(t, fmt.Sprintf("%d threads in system call %d of %d", n, call, id), func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		blocked := 0
		for _, task := range tasks {
			if line, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall"); strings.HasPrefix(string(line), prefix) { // the thread may have ended
				blocked++
			}
		}
		return blocked == n
	})
}

func wantValues(t testing.TB, s Sem, want ...int) {
	t.Helper()
	if got, err := s.Values(); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
}

func TestSem(t *testing.T) {
	k := newKey()
	s, err := GetSem(k, 3, Get{Create: true, Exclusive: true, Perm: 0o620})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindSem, s, s.Remove)
	if again, err := GetSem(k, 2, Get{}); again != s || err != nil {
		t.Errorf("found by its key: got %v and %v, want %v", again, err, s)
	}
	wantValues(t, s, 0, 0, 0)
	st, err := s.Stat()
	want := SemStat{
		Perm:       Permissions{Key: k, UID: os.Geteuid(), GID: os.Getegid(), CUID: os.Geteuid(), CGID: os.Getegid(), Mode: 0o620},
		Semaphores: 3, ChangeTime: st.ChangeTime,
	}
	if err != nil || st != want || time.Since(st.ChangeTime) > time.Minute {
		t.Errorf("got %+v and %v, want %+v, of now", st, err, want)
	}
	if err := s.SetValues([]int{1, 2, 32767}); err != nil {
		t.Error(err)
	}
	if err := s.SetValue(0, 9); err != nil {
		t.Error(err)
	}
	wantValues(t, s, 9, 2, 32767)
	if st, err = s.Stat(); err != nil || !st.LastOp.IsZero() {
		t.Errorf("set, but nothing done yet: got %v and %v, want no time", st.LastOp, err)
	}
	if err := s.Do(t.Context(), SemOp{Num: 0, Delta: -4}, SemOp{Num: 1, Delta: 5}, SemOp{Num: 0, Delta: 1}); err != nil {
		t.Error(err)
	}
	wantValues(t, s, 6, 7, 32767)
	if v, err := s.Value(1); v != 7 || err != nil {
		t.Errorf("got %d and %v, want 7", v, err)
	}
	if pid, err := s.LastPid(1); pid != os.Getpid() || err != nil {
		t.Errorf("last process: got %d and %v, want %d", pid, err, os.Getpid())
	}
	if st, err = s.Stat(); err != nil || time.Since(st.LastOp) > time.Minute {
		t.Errorf("got %v and %v, want an operation of now", st.LastOp, err)
	}
	if err := s.SetPerm(-1, -1, 0o444); err != nil {
		t.Error(err)
	}
	if st, err = s.Stat(); err != nil || st.Perm.Mode != 0o444 || st.Perm.GID != os.Getegid() {
		t.Errorf("mode set to 0444: got %+v and %v", st.Perm, err)
	}
}

func TestSemErrors(t *testing.T) {
	s := newSem(t, 1, 32767)
	k := newKey()
	keyed, err := GetSem(k, 2, Get{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindSem, keyed, keyed.Remove)
	get := func(k Key, n int, g Get) func() error {
		return func() error { _, err := GetSem(k, n, g); return err }
	}
	do := func(ops ...SemOp) func() error { return func() error { return s.Do(t.Context(), ops...) } }
	id, private := fmt.Sprintf("id %d", s), "key 0x00000000"
	const none = Sem(0x7fffffff)
	for _, c := range []struct {
		name string
		do   func() error
		op   string
		path string
		want unix.Errno
	}{
		{"no such key", get(k+1, 1, Get{}), "semget", "key " + (k + 1).String(), unix.ENOENT},
		{"there already", get(k, 2, Get{Create: true, Exclusive: true}), "semget", "key " + k.String(), unix.EEXIST},
		{"no semaphores", get(Private, 0, Get{}), "semget", private, unix.EINVAL},
		{"-1 semaphores", get(Private, -1, Get{}), "semget", private, unix.EINVAL},
		{"too many semaphores", get(Private, 1<<30, Get{}), "semget", private, unix.EINVAL},
		{"more than it has", get(k, 3, Get{}), "semget", "key " + k.String(), unix.EINVAL},
		{"no operations", do(), "semop", id, unix.EINVAL},
		{"too many operations", do(make([]SemOp, 100000)...), "semop", id, unix.E2BIG},
		{"a number outside", do(SemOp{Num: 2, Delta: 1}), "semop", id, unix.EFBIG},
		{"above the maximum", do(SemOp{Num: 1, Delta: 1}), "semop", id, unix.ERANGE},
		{"without waiting", do(SemOp{Num: 0, Delta: -2, NoWait: true}), "semop", id, unix.EAGAIN},
		{"zero without waiting", do(SemOp{Num: 0, NoWait: true}), "semop", id, unix.EAGAIN},
		{"value outside", func() error { _, err := s.Value(2); return err }, "semctl", id, unix.EINVAL},
		{"waiting outside", func() error { _, _, err := s.Waiting(-1); return err }, "semctl", id, unix.EINVAL},
		{"pid outside", func() error { _, err := s.LastPid(2); return err }, "semctl", id, unix.EINVAL},
		{"set outside", func() error { return s.SetValue(2, 0) }, "semctl", id, unix.EINVAL},
		{"set too high", func() error { return s.SetValue(0, 32768) }, "semctl", id, unix.ERANGE},
		{"set too low", func() error { return s.SetValue(0, -1) }, "semctl", id, unix.ERANGE},
		{"set all too high", func() error { return s.SetValues([]int{1, 32768}) }, "semctl", id, unix.ERANGE},
		{"set all far too high", func() error { return s.SetValues([]int{1, 65536}) }, "semctl", id, unix.ERANGE},
		{"set all too low", func() error { return s.SetValues([]int{1, -1}) }, "semctl", id, unix.ERANGE},
		{"set too few", func() error { return s.SetValues([]int{1}) }, "semctl", id, unix.EINVAL},
		{"set too many", func() error { return s.SetValues([]int{1, 1, 1}) }, "semctl", id, unix.EINVAL},
		{"none: do", func() error { return none.Do(t.Context(), SemOp{Delta: 1}) }, "semop", "id 2147483647", unix.EINVAL},
		{"none: values", func() error { _, err := none.Values(); return err }, "semctl", "id 2147483647", unix.EINVAL},
		{"none: set", func() error { return none.SetValues(nil) }, "semctl", "id 2147483647", unix.EINVAL},
		{"none: permissions", func() error { return none.SetPerm(-1, 0, 0) }, "semctl", "id 2147483647", unix.EINVAL},
		{"none: remove", none.Remove, "semctl", "id 2147483647", unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) { wantErr(t, c.do(), c.want, c.op, c.path) })
	}
	wantValues(t, s, 1, 32767)
}

// All or nothing: the operation that can be done isn't, while the other can't.
func TestSemAtomic(t *testing.T) {
	s := newSem(t, 1, 0)
	err := s.Do(t.Context(), SemOp{Num: 0, Delta: -1}, SemOp{Num: 1, Delta: -1, NoWait: true})
	wantErr(t, err, unix.EAGAIN, "semop", fmt.Sprintf("id %d", s))
	wantValues(t, s, 1, 0)

	done := make(chan error)
	go func() { done <- s.Do(t.Context(), SemOp{Num: 0, Delta: -1}, SemOp{Num: 1, Delta: -1}) }()
	until(t, "one waits for 1 to go up", func() bool { up, _, err := s.Waiting(1); return err != nil || up == 1 })
	wantValues(t, s, 1, 0)
	// Somebody who needs only 0 gets it meanwhile: a waiter holds nothing.
	for _, delta := range []int16{-1, 1} {
		if err := s.Do(t.Context(), SemOp{Num: 0, Delta: delta, NoWait: true}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Do(t.Context(), SemOp{Num: 1, Delta: 1}); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantValues(t, s, 0, 0)
}

// The philosophers: each takes both forks at once, so that nobody starves holding one, and no fork is in two hands.
func TestSemPhilosophers(t *testing.T) {
	const philosophers, meals = 5, 300
	s := newSem(t, 1, 1, 1, 1, 1)
	var hands [philosophers]atomic.Int32
	errs := make(chan error, philosophers)
	for i := range uint16(philosophers) {
		left, right := i, (i+1)%philosophers
		go func() {
			for range meals {
				if err := s.Do(t.Context(), SemOp{Num: left, Delta: -1}, SemOp{Num: right, Delta: -1}); err != nil {
					errs <- err
					return
				}
				if hands[left].Add(1) != 1 || hands[right].Add(1) != 1 {
					errs <- errors.New("a fork in two hands")
					return
				}
				hands[left].Add(-1)
				hands[right].Add(-1)
				if err := s.Do(t.Context(), SemOp{Num: left, Delta: 1}, SemOp{Num: right, Delta: 1}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range philosophers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	wantValues(t, s, 1, 1, 1, 1, 1)
}

func TestSemWaitsForZero(t *testing.T) {
	s := newSem(t, 2)
	done := make(chan error)
	go func() { done <- s.Do(t.Context(), SemOp{}) }()
	until(t, "one waits for zero", func() bool { up, zero, err := s.Waiting(0); return err != nil || up == 0 && zero == 1 })
	for range 2 {
		if err := s.Do(t.Context(), SemOp{Delta: -1}); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Removal under waiters wakes them all, with EIDRM.
func TestSemRemovedUnderWaiters(t *testing.T) {
	const n = 8
	s := newSem(t, 0, 1)
	errs := make(chan error, 2*n)
	for range n {
		go func() { errs <- s.Do(t.Context(), SemOp{Num: 0, Delta: -1}) }()
		go func() { errs <- s.Do(context.Background(), SemOp{Num: 1}) }()
	}
	until(t, "all wait", func() bool {
		up, _, err := s.Waiting(0)
		_, zero, errZero := s.Waiting(1)
		return err != nil || errZero != nil || up == n && zero == n
	})
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	for range 2 * n {
		wantErr(t, <-errs, unix.EIDRM, "semop", fmt.Sprintf("id %d", s))
	}
}

func TestSemWaitEnds(t *testing.T) {
	s := newSem(t, 0)
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := s.Do(deadline, SemOp{Delta: -1})
	if want := fmt.Sprintf("semop id %d: context deadline exceeded", s); !errors.Is(err, context.DeadlineExceeded) || err.Error() != want || ErrnoName(err) != "" {
		t.Errorf("got %v (%s), want %s", err, ErrnoName(err), want)
	}
	canceled, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Do(canceled, SemOp{Delta: -1}) }()
	until(t, "one waits", func() bool { up, _, err := s.Waiting(0); return err != nil || up == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if up, zero, err := s.Waiting(0); up != 0 || zero != 0 || err != nil {
		t.Errorf("got %d, %d and %v waiting, want nobody", up, zero, err)
	}
	if err := s.SetValue(0, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(canceled, SemOp{Delta: -1}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended before: got %v, want %v", err, context.Canceled)
	}
	wantValues(t, s, 1)
}

// Whatever comes first, the post or the end of the wait: who has the semaphore knows it, and who hasn't left it.
func TestSemEndAgainstPost(t *testing.T) {
	s := newSem(t, 0)
	got := 0
	for round := range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(cancel)
		both.Go(func() {
			if err := s.Do(context.Background(), SemOp{Delta: 1}); err != nil {
				t.Error(err)
			}
		})
		err := s.Do(ctx, SemOp{Delta: -1})
		both.Wait()
		left, errValue := s.Value(0)
		if errValue != nil {
			t.Fatal(errValue)
		}
		if (err == nil) != (left == 0) {
			t.Fatalf("round %d: got %v with %d left", round, err, left)
		}
		if err == nil {
			got++
		}
		if err := s.SetValue(0, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of 500 got it", got)
}
