package ipc

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// stranger is testdata/posix.c, which uses the C library.
type stranger struct{ path string }

func newStranger(t *testing.T) stranger {
	t.Helper()
	cc, err := exec.LookPath("cc")
	testenv.Need(t, "cc", err == nil, "no C compiler on PATH")
	path := filepath.Join(t.TempDir(), "stranger")
	if out, err := exec.Command(cc, "-O2", "-Wall", "-Werror", "-o", path, "testdata/posix.c", "-lrt", "-pthread").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return stranger{path}
}

// begin starts it, and gives what it says.
func (s stranger) begin(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(within(t), s.path, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, out: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	return p
}

// says runs it, and wants it to say that and end.
func (s stranger) says(t *testing.T, want string, args ...string) {
	t.Helper()
	out, _ := exec.CommandContext(within(t), s.path, args...).Output() // what fails is said, and is not what we want
	if got := strings.TrimSuffix(string(out), "\n"); got != want {
		t.Errorf("%q: got %q, want %q", args, got, want)
	}
}

func TestGlibcSemaphore(t *testing.T) {
	c := newStranger(t)
	name := objectName()
	removeLater(t, name, RemoveSemaphore)
	c.says(t, "ready", "sem-create", name, "3") // theirs
	s, err := OpenSemaphore(name, 0, Open{})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s.Close)
	if v, err := s.Value(); v != 3 || err != nil {
		t.Errorf("got %d, %v, want 3", v, err)
	}
	wantErr(t, s.Wait(within(t)), nil, "", "")
	c.says(t, "2", "sem-value", name)

	ours, name := newSemaphore(t, 1)
	c.says(t, "1", "sem-value", name)
	c.says(t, "EEXIST", "sem-create", name)
	c.says(t, "ready", "sem-post", name, "1")
	if v, err := ours.Value(); v != 2 || err != nil {
		t.Errorf("got %d, %v, want 2", v, err)
	}
	wantErr(t, RemoveSemaphore(name), nil, "", "")
	c.says(t, "ENOENT", "sem-value", name)
	full, name := newSemaphore(t, MaxSemaphore)
	c.says(t, "EOVERFLOW", "sem-post", name, "1")
	wantErr(t, full.Post(), unix.EOVERFLOW, "sem_post", name)
}

// Each wakes the other.
func TestGlibcSemaphoreWakes(t *testing.T) {
	c := newStranger(t)
	s, name := newSemaphore(t, 0)
	theirs := c.begin(t, "sem-wait", name, "1")
	theirs.says("ready")
	awaitWaiters(t, s, 1) // glibc counts itself where we look
	wantErr(t, s.Post(), nil, "", "")
	theirs.says("done")

	done := make(chan error)
	go func() { done <- s.Wait(within(t)) }()
	awaitWaiters(t, s, 1)
	c.says(t, "ready", "sem-post", name, "1")
	wantErr(t, <-done, nil, "", "")
	awaitWaiters(t, s, 0)
}

// Two that wait for each other end only if no wake-up is lost on either side.
func TestGlibcSemaphorePingPong(t *testing.T) {
	c := newStranger(t)
	a, nameA := newSemaphore(t, 0)
	b, nameB := newSemaphore(t, 0)
	const rounds = 20000
	p := c.begin(t, "sem-echo", nameA, nameB, strconv.Itoa(rounds))
	p.says("ready")
	ctx := within(t)
	for range rounds {
		if err := a.Post(); err != nil {
			t.Fatal(err)
		}
		if err := b.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	p.says("done")
}

// On one semaphore wait processes of both sides, some of which give up; what is posted is what is taken.
func TestGlibcSemaphoreCrowd(t *testing.T) {
	storm(t)
	c := newStranger(t)
	s, name := newSemaphore(t, 0)
	const each = 1000
	var fickle, patient []*process
	for range 2 {
		patient = append(patient, c.begin(t, "sem-wait", name, strconv.Itoa(each)))
		fickle = append(fickle, c.begin(t, "sem-timedwait", name, strconv.Itoa(each)))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for n := range 4 {
		all.Go(func() {
			got := 0
			for range each {
				ctx, cancel := within(t), context.CancelFunc(func() {})
				if n%2 == 0 {
					ctx, cancel = context.WithTimeout(ctx, 200*time.Microsecond)
				}
				err := s.Wait(ctx)
				cancel()
				if err == nil {
					got++
				} else if n%2 != 0 || !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			taken += got
		})
	}
	all.Go(func() { // enough for all, from both sides
		for range 4 * each {
			if err := s.Post(); err != nil {
				t.Error(err)
			}
		}
	})
	c.says(t, "ready", "sem-post", name, strconv.Itoa(4*each))
	all.Wait()
	for _, p := range patient {
		p.says("ready")
		p.says("done")
		taken += each
	}
	for _, p := range fickle {
		n, err := strconv.Atoi(p.line())
		if err != nil {
			t.Error(err)
		}
		taken += n
	}
	left, err := s.Value()
	waiting, err2 := s.Waiters()
	if taken+left != 8*each || waiting != 0 || err != nil || err2 != nil {
		t.Errorf("%d taken, %d left of %d; %d waiting; %v %v", taken, left, 8*each, waiting, err, err2)
	}
}

func TestGlibcQueue(t *testing.T) {
	c := newStranger(t)
	name := objectName()
	removeLater(t, name, RemoveQueue)
	c.says(t, "ready", "mq-create", name)
	q, err := OpenQueue(name, Open{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, q.Close)
	if a, err := q.Attr(); err != nil || a != (QueueAttr{4, 64, 0}) {
		t.Errorf("got %v, %v, want theirs", a, err)
	}

	received := make(chan string)
	go func() {
		data, priority, err := q.Receive(within(t))
		received <- string(data) + " " + strconv.Itoa(int(priority)) + " " + ErrnoName(err)
	}()
	c.says(t, "ready", "mq-send", name, "5", "from C")
	if got, want := <-received, "from C 5 "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	p := c.begin(t, "mq-receive", name)
	p.says("ready")
	wantErr(t, q.Send(within(t), []byte("from Go"), 6), nil, "", "")
	p.says("from Go 6")
}

func TestGlibcShared(t *testing.T) {
	c := newStranger(t)
	name := objectName()
	removeLater(t, name, RemoveShared)
	c.says(t, "ready", "shm-write", name, "from C")
	s, err := OpenShared(name, 4096, Open{})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s.Close)
	buf := make([]byte, 7)
	if _, err := s.ReadAt(buf, 0); string(buf) != "from C\x00" || err != nil {
		t.Errorf("got %q, %v", buf, err)
	}

	ours, name := newShared(t, 4096, 0o600)
	if _, err := ours.WriteAt([]byte("from Go"), 0); err != nil {
		t.Fatal(err)
	}
	c.says(t, "from Go", "shm-read", name)
	wantErr(t, RemoveShared(name), nil, "", "")
	c.says(t, "ENOENT", "shm-read", name)
}
