package pod

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
)

// TestWaitAgain: a wait that its context has ended doesn't end the next one.
func TestWaitAgain(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	f := os.NewFile(uintptr(pair[1]), "control")
	conn, err := ns.NewPollConn(f)
	if err != nil {
		t.Fatal(err)
	}
	x := &Execution{h: &Handle{Name: "web"}, f: f, conn: conn}
	defer x.Close()
	for i := range 20000 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if i%2 == 0 { // an answer comes at the same moment
			if err := unix.Send(pair[0], append(make([]byte, 16), `{"What":"exited"}`...), 0); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := x.Wait(ctx)
		cancel()
		if err != nil && i%2 == 0 { // then the answer is still to come
			if _, _, err = x.Wait(t.Context()); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: got %v, want %v", i, err, context.Canceled)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := x.Wait(ctx); err != context.DeadlineExceeded {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

// TestConnectToAStoppedSupervisor: where nobody accepts, and as many wait as may,
// the next one is told.
func TestConnectToAStoppedSupervisor(t *testing.T) {
	t.Parallel() // it waits
	dir, err := unix.Open(t.TempDir(), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := (&Dir{fd: dir}).listen()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := &Handle{Name: "web", dir: dir}
	defer h.Close()
	for range 1000 { // far more than may wait
		c, _, err := h.connect()
		if err == nil {
			defer c.Close()
			continue
		}
		if got, want := err.Error(), "web: its supervisor doesn't answer"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		return
	}
	t.Error("everybody was let in, and nobody was there")
}
