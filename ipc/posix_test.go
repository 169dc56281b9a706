package ipc

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// posixRoles are the children of the POSIX tests.
var posixRoles = map[string]func(args []string) error{
	"queue-open":      queueOpenRole,
	"queue-echo":      queueEchoRole,
	"queue-limit":     queueLimitRole,
	"notify":          notifyRole,
	"shared-open":     sharedOpenRole,
	"shared-crash":    sharedCrashRole,
	"semaphore-open":  semaphoreOpenRole,
	"semaphore-echo":  semaphoreEchoRole,
	"semaphore-loop":  semaphoreLoopRole,
	"semaphore-crash": semaphoreCrashRole,
}

// within is a context that ends long after whatever a test waits for has come.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// soon is a context that ends while a test waits for what never comes.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// wantErr fails the test unless err is want, as a *os.PathError of that call and object. "" for an object takes any.
func wantErr(t testing.TB, err, want error, op, object string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("got %v, want success", err)
		}
		return
	}
	var p *os.PathError
	switch {
	case !errors.Is(err, want):
		t.Errorf("got %v, want %v", err, want)
	case !errors.As(err, &p) || p.Op != op || object != "" && p.Path != object:
		t.Errorf("got %#v, want a PathError of %s %s", err, op, object)
	}
}

// removeLater has a test's end remove an object that may be gone by then.
func removeLater(t testing.TB, name string, remove func(string) error) {
	t.Cleanup(func() {
		if err := remove(name); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Error(err)
		}
	})
}

// closeLater has a test's end close what it may have closed itself.
func closeLater(t testing.TB, close func() error) {
	t.Cleanup(func() {
		if err := close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
}

func newQueue(t testing.TB, a *QueueAttr) (*Queue, string) {
	t.Helper()
	name := objectName()
	q, err := OpenQueue(name, Open{Create: true, Exclusive: true, Perm: 0o600}, a)
	if err != nil {
		t.Fatal(err)
	}
	removeLater(t, name, RemoveQueue)
	closeLater(t, q.Close)
	return q, name
}

func newShared(t testing.TB, size int64, perm fs.FileMode) (*Shared, string) {
	t.Helper()
	name := objectName()
	s, err := OpenShared(name, size, Open{Create: true, Exclusive: true, Perm: perm})
	if err != nil {
		t.Fatal(err)
	}
	removeLater(t, name, RemoveShared)
	closeLater(t, s.Close)
	return s, name
}

func newSemaphore(t testing.TB, value uint) (*Semaphore, string) {
	t.Helper()
	name := objectName()
	s, err := OpenSemaphore(name, value, Open{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	removeLater(t, name, RemoveSemaphore)
	closeLater(t, s.Close)
	return s, name
}

// needRoot skips a test that has to be somebody else as well.
func needRoot(t testing.TB) {
	t.Helper()
	testenv.Need(t, "root", os.Geteuid() == 0, "running as an ordinary user")
}

// otherUID is nobody's, so that its account of bytes in queues (RLIMIT_MSGQUEUE) is this run's alone.
func otherUID() int { return 1<<24 + os.Getpid() }

// storm interrupts every thread of this process, again and again, until the test ends.
func storm(t testing.TB) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			tasks, _ := os.ReadDir("/proc/self/task")
			for _, task := range tasks {
				tid := 0
				for _, c := range task.Name() {
					tid = 10*tid + int(c-'0')
				}
				_ = unix.Tgkill(os.Getpid(), tid, unix.SIGURG) // ended since, perhaps
			}
			runtime.Gosched()
		}
	}()
	t.Cleanup(sync.OnceFunc(func() { close(stop); <-done }))
}
