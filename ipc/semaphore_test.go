package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSemaphore(t *testing.T) {
	s, name := newSemaphore(t, 2)
	for want := 2; want > 0; want-- {
		if v, err := s.Value(); v != want || err != nil {
			t.Fatalf("got %d, %v, want %d", v, err, want)
		}
		wantErr(t, s.Wait(within(t)), nil, "", "")
	}
	wantErr(t, s.TryWait(), unix.EAGAIN, "sem_trywait", name)
	wantErr(t, s.Wait(soon(t)), context.DeadlineExceeded, "sem_wait", name)
	cause := errors.New("the bell rang")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	wantErr(t, s.Post(), nil, "", "")
	wantErr(t, s.Wait(ended), cause, "sem_wait", name) // though there is one to take
	wantErr(t, s.TryWait(), nil, "", "")
	if n, err := s.Waiters(); n != 0 || err != nil {
		t.Errorf("got %d, %v, want no waiters left", n, err)
	}

	// Opened again, by its name, it is the same one and keeps its value.
	again, err := OpenSemaphore(name, 7, Open{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, again.Close)
	if v, err := again.Value(); v != 0 || err != nil {
		t.Errorf("got %d, %v, want 0", v, err)
	}
	wantErr(t, RemoveSemaphore(name), nil, "", "")
	wantErr(t, RemoveSemaphore(name), unix.ENOENT, "sem_unlink", name)
	wantErr(t, s.Post(), nil, "", "") // it outlives its name
	wantErr(t, again.TryWait(), nil, "", "")
}

func TestSemaphoreErrors(t *testing.T) {
	_, name := newSemaphore(t, 0)
	_, err := OpenSemaphore(name, 0, Open{Create: true, Exclusive: true})
	wantErr(t, err, unix.EEXIST, "sem_open", name)
	_, err = OpenSemaphore("/none-such", 0, Open{})
	wantErr(t, err, unix.ENOENT, "sem_open", "/none-such")
	_, err = OpenSemaphore(name, MaxSemaphore+1, Open{Create: true})
	wantErr(t, err, unix.EINVAL, "sem_open", name)
	_, err = OpenSemaphore(name, 0, Open{ReadOnly: true})
	wantErr(t, err, unix.EINVAL, "sem_open", name)

	full, name := newSemaphore(t, MaxSemaphore)
	wantErr(t, full.Post(), unix.EOVERFLOW, "sem_post", name)
	if v, err := full.Value(); v != MaxSemaphore || err != nil {
		t.Errorf("got %d, %v, want it as it was", v, err)
	}
}

// A file that is no semaphore is refused: too short, it would end the program by SIGBUS; marked as a process's own,
// glibc would wait where nobody can wake it.
func TestSemaphoreRefusesOtherFiles(t *testing.T) {
	good := make([]byte, semSize)
	good[semSharedAt] = semShared
	private := make([]byte, semSize)
	for what, c := range map[string]struct {
		content []byte
		want    error
	}{
		"a semaphore":           {good, nil},
		"empty":                 {nil, unix.EINVAL},
		"too short":             {good[:semSize-1], unix.EINVAL},
		"for one process alone": {private, unix.EINVAL},
	} {
		t.Run(what, func(t *testing.T) {
			name := objectName()
			removeLater(t, name, RemoveSemaphore)
			if err := os.WriteFile(shmDir+"/"+semPrefix+name[1:], c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := OpenSemaphore(name, 0, Open{})
			wantErr(t, err, c.want, "sem_open", name)
			if err == nil {
				wantErr(t, s.Close(), nil, "", "")
			}
		})
	}
}

// Close under a waiter takes no memory away from it.
func TestSemaphoreClose(t *testing.T) {
	s, name := newSemaphore(t, 0)
	other, err := OpenSemaphore(name, 0, Open{})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, other.Close)
	done := make(chan error)
	go func() { done <- s.Wait(within(t)) }()
	awaitWaiters(t, other, 1)
	wantErr(t, s.Close(), nil, "", "")
	wantErr(t, s.Close(), os.ErrClosed, "sem_close", name)
	wantErr(t, s.Post(), os.ErrClosed, "sem_post", name)
	wantErr(t, s.TryWait(), os.ErrClosed, "sem_trywait", name)
	wantErr(t, s.Wait(within(t)), os.ErrClosed, "sem_wait", name)
	_, err = s.Value()
	wantErr(t, err, os.ErrClosed, "sem_getvalue", name)
	wantErr(t, other.Post(), nil, "", "")
	wantErr(t, <-done, nil, "", "")
}

// awaitWaiters waits until so many are counted. It asks again and again: there is nothing to wait for.
func awaitWaiters(t testing.TB, s *Semaphore, want int) {
	t.Helper()
	for ctx := within(t); ; {
		n, err := s.Waiters()
		if err != nil || ctx.Err() != nil {
			t.Fatalf("%d waiters, %v, want %d", n, err, want)
		}
		if n == want {
			return
		}
	}
}

// Many wait, post and give up at any moment, in a storm of signals: what was posted is what was taken and what is
// left, and nobody sleeps beside a value.
func TestSemaphoreRace(t *testing.T) {
	storm(t)
	s, _ := newSemaphore(t, 0)
	const workers, each = 8, 300
	var taken, posted atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(300))*time.Microsecond)
				err := s.Wait(ctx)
				cancel()
				if err == nil {
					taken.Add(1)
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range each {
				if err := s.Post(); err != nil {
					t.Error(err)
				}
				posted.Add(1)
			}
		})
	}
	all.Wait()
	left, err := s.Value()
	waiting, err2 := s.Waiters()
	if posted.Load() != taken.Load()+int64(left) || waiting != 0 || err != nil || err2 != nil {
		t.Errorf("%d posted, %d taken, %d left, %d waiting, %v, %v", posted.Load(), taken.Load(), left, waiting, err, err2)
	}
}

// One is woken and has given up at the same moment: then the wake-up is for another. Each round has two waiters, one
// post, and an end for one waiter just then.
func TestSemaphoreNoWakeUpIsLost(t *testing.T) {
	s, _ := newSemaphore(t, 0)
	for round := range 500 {
		ctx, cancel := context.WithCancel(within(t))
		fickle, patient := make(chan error, 1), make(chan error, 1)
		go func() { fickle <- s.Wait(ctx) }()
		go func() { patient <- s.Wait(within(t)) }()
		awaitWaiters(t, s, 2)
		go cancel()
		if err := s.Post(); err != nil {
			t.Fatal(err)
		}
		if err := <-fickle; err == nil { // it has taken the one: another for the patient
			if err := s.Post(); err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := <-patient; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// As a lock between two processes: neither is ever inside while the other is.
func TestSemaphoreTwoProcesses(t *testing.T) {
	s, lock := newSemaphore(t, 1)
	counter, name := newShared(t, 8, 0o600)
	mem, err := counter.Map(false)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Detach()
	const rounds = 20000
	p := start(t, -1, "semaphore-loop", lock, name, strconv.Itoa(rounds))
	p.says("ready")
	if err := countUp(s, mem.Data, rounds); err != nil {
		t.Fatal(err)
	}
	p.says("done")
	if got := int(mem.Data[0]) | int(mem.Data[1])<<8 | int(mem.Data[2])<<16; got != 2*rounds {
		t.Errorf("got %d, want %d: an increment was lost", got, 2*rounds)
	}
}

// countUp increments a number that wants a lock: byte by byte.
func countUp(s *Semaphore, number []byte, rounds int) error {
	for range rounds {
		if err := s.Wait(context.Background()); err != nil {
			return err
		}
		for i := range number {
			if number[i]++; number[i] != 0 {
				break
			}
		}
		if err := s.Post(); err != nil {
			return err
		}
	}
	return nil
}

func semaphoreLoopRole(args []string) error {
	s, err := OpenSemaphore(args[0], 0, Open{})
	if err != nil {
		return err
	}
	counter, err := OpenShared(args[1], 8, Open{})
	if err != nil {
		return err
	}
	mem, err := counter.Map(false)
	if err != nil {
		return err
	}
	rounds, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if err := countUp(s, mem.Data, rounds); err != nil {
		return err
	}
	fmt.Println("done")
	return nil
}

// semaphoreCrashRole stands still with a semaphore that has no name yet.
func semaphoreCrashRole(args []string) error {
	file, err := component(args[0], semPrefix)
	if err != nil {
		return err
	}
	_, err = makeFile(file, Open{Perm: 0o600}, func(fd int) error {
		if err := writeSemaphore(fd, 1); err != nil {
			return err
		}
		fmt.Println("half made")
		_, err := io.Copy(io.Discard, os.Stdin) // until the parent kills it, or is gone
		return err
	})
	return err
}

func TestSemaphoreOfAnotherUser(t *testing.T) {
	needRoot(t)
	for perm, want := range map[os.FileMode]string{0o600: "EACCES", 0o644: "EACCES", 0o666: ""} { // a semaphore wants both
		_, name := newSemaphore(t, 0)
		if err := os.Chmod(shmDir+"/"+semPrefix+name[1:], perm); err != nil {
			t.Fatal(err)
		}
		start(t, otherUID(), "semaphore-open", name).says(want)
	}
}

func semaphoreOpenRole(args []string) error {
	s, err := OpenSemaphore(args[0], 0, Open{})
	if err == nil {
		err = s.Post()
	}
	fmt.Println(ErrnoName(err))
	return nil
}
