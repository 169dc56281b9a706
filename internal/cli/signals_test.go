package cli

import (
	"bufio"
	"os"
	"syscall"
	"testing"
	"time"
)

// watchedUI is a ui whose messages can be read line by line.
func watchedUI(t *testing.T) (*ui, *bufio.Scanner) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return &ui{err: w}, bufio.NewScanner(r)
}

func TestWatchSignals(t *testing.T) {
	u, said := watchedUI(t)
	stops := make(chan bool, 4)
	w := u.watch([]string{"web", "db"}, 30*time.Second, 0, func(kill bool) { stops <- kill })
	for i, want := range []struct {
		signal syscall.Signal
		line   string
		kill   bool
	}{
		{syscall.SIGINT, "podlab: stopping web, db (grace 30 s; press Ctrl-C again to kill)", false},
		{syscall.SIGTERM, "podlab: killing web, db", true},
	} {
		if err := syscall.Kill(os.Getpid(), want.signal); err != nil {
			t.Fatal(err)
		}
		if !said.Scan() || said.Text() != want.line {
			t.Errorf("signal %d: got %q, want %q", i+1, said.Text(), want.line)
		}
		if kill := <-stops; kill != want.kill {
			t.Errorf("signal %d: got kill %v, want %v", i+1, kill, want.kill)
		}
	}
	if code := w.done(); code != codeCtrlC {
		t.Errorf("got code %d, want %d: the first signal's", code, codeCtrlC)
	}
}

func TestWatchTimeout(t *testing.T) {
	u, said := watchedUI(t)
	stops := make(chan bool, 4)
	w := u.watch([]string{"web"}, 2*time.Second, time.Millisecond, func(kill bool) { stops <- kill })
	if kill := <-stops; kill {
		t.Errorf("a timeout killed at once")
	}
	if want := "podlab: stopping web after 1ms, as --timeout says (grace 2 s)"; !said.Scan() || said.Text() != want {
		t.Errorf("got %q, want %q", said.Text(), want)
	}
	if code := w.done(); code != codeTimeout {
		t.Errorf("got code %d, want %d", code, codeTimeout)
	}
}

func TestWatchBrokenPipe(t *testing.T) {
	u, _ := watchedUI(t)
	stops := make(chan bool, 4)
	w := u.watch([]string{"web"}, 0, 0, func(kill bool) { stops <- kill })
	w.pipe(syscall.EPIPE)
	w.pipe(syscall.EPIPE)
	if kill := <-stops; !kill {
		t.Errorf("nobody reads, and yet there was grace")
	}
	if code := w.done(); code != codePipe {
		t.Errorf("got code %d, want %d", code, codePipe)
	}
}

func TestWatchNothing(t *testing.T) {
	u, _ := watchedUI(t)
	if code := u.watch([]string{"web"}, 0, 0, func(bool) {}).done(); code != 0 {
		t.Errorf("got code %d, want 0", code)
	}
}
