package ipc

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

func TestReadLimits(t *testing.T) {
	l, err := ReadLimits()
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Namespace) != len(limits) || l.MsgQueueBytes == 0 || l.MsgQueueBytesMax < l.MsgQueueBytes {
		t.Errorf("got %+v", l)
	}
}

// A new namespace has the kernel's defaults, whatever this one was set to.
func TestLimitsOfANewNamespace(t *testing.T) {
	done := make(chan error)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread is in another namespace, and ends with this goroutine
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			done <- err
			return
		}
		l, err := ReadLimits()
		if err != nil {
			t.Error(err)
		}
		for _, l := range l.Namespace {
			if l.Value != l.Default {
				t.Errorf("%s %s: got %d, want %d", l.Sysctl, l.Field, l.Value, l.Default)
			}
		}
	}()
	err := <-done
	testenv.Need(t, "root", err == nil || os.Geteuid() == 0, "no new IPC namespace as an ordinary user")
	if err != nil {
		t.Error(err)
	}
}

func TestNthNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want int64
	}{
		{"32000\t1024000000\t500\t32000\n", 0, 32000},
		{"32000\t1024000000\t500\t32000\n", 2, 500},
		{"32000\n", 1, -1},
		{"", 0, -1},
		{"-1", 0, -1},
	} {
		got, err := nthNumber(c.text, c.n)
		if c.want == -1 && err == nil || c.want != -1 && (err != nil || got != uint64(c.want)) {
			t.Errorf("%q, %d: got %d, %v, want %d", c.text, c.n, got, err, c.want)
		}
	}
}
