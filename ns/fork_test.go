package ns

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// birth forks a child that makes steps and returns what it wrote to standard
// output, how it was born and how it ended.
func birth(t *testing.T, clone Kinds, steps []Step, watch func(int, time.Duration)) (out string, ws syscall.WaitStatus, why error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	table := Compile(steps, watch != nil)
	fd, reports, err := NewReports(table)
	if err != nil {
		t.Fatal(err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	pid, pidfd, err := table.Fork(clone, []int{fd, null, int(w.Fd()), null})
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(pidfd)
	unix.Close(fd)
	w.Close()
	why = reports.Wait(watch)
	reports.Close()
	b, _ := io.ReadAll(r)
	r.Close()
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		t.Fatal(err)
	}
	return string(b), ws, why
}

func sh(script string) Step {
	return Step{"exec", Exec{Path: "sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/nowhere:/usr/bin:/bin", "A=b"}}}
}

// The hooks of the runtime do what fork.go says: a child is born a thousand
// times while other threads allocate and collect garbage.
func TestForkHooks(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = strings.Repeat("x", 1<<16)
				}
			}
		}()
	}
	n := 200
	if testing.Short() {
		n = 50
	}
	for range n {
		_, ws, err := birth(t, 0, []Step{{"stdio", Stdio{}}, {"exec", Exec{Path: "true", Args: []string{"true"}, Env: []string{"PATH=/bin:/usr/bin"}}}}, nil)
		if err != nil || ws != 0 {
			t.Fatalf("got %v, status %v; want a clean end", err, ws)
		}
	}
}

func TestForkExec(t *testing.T) {
	got, ws, err := birth(t, 0, []Step{{"stdio", Stdio{}}, sh(`echo "$A $(ls /proc/self/fd | wc -l)"; exit 3`)}, nil)
	if want := "b 4\n"; err != nil || got != want || ws.ExitStatus() != 3 {
		t.Errorf("got %q, %v, exit %d; want %q, no error, exit 3", got, err, ws.ExitStatus(), want)
	}
}

func TestForkReportsTheStep(t *testing.T) {
	var seen []int
	_, ws, err := birth(t, 0, []Step{
		{"umask", Umask{0o22}},
		{"cwd.chdir[x]", Chdir{"/does/not/exist"}},
		sh("echo never"),
	}, func(step int, _ time.Duration) { seen = append(seen, step) })
	var e *StepError
	if !errors.As(err, &e) || e.Err != unix.ENOENT {
		t.Fatalf("got %v; want a StepError with ENOENT", err)
	}
	if got, want := err.Error(), "cwd.chdir[x]: chdir /does/not/exist: no such file or directory"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if len(seen) != 2 || seen[0] != reportBegin || seen[1] != 0 {
		t.Errorf("steps done: got %v; want the birth and [0]", seen)
	}
	if ws.ExitStatus() != 127 {
		t.Errorf("exit: got %d; want 127", ws.ExitStatus())
	}
}

func TestTableTravels(t *testing.T) {
	steps := []Step{{"stdio", Stdio{}}, {"file", WriteFile{Path: "/dev/null", Data: "x"}}, sh("echo travelled")}
	want := Compile(steps, true)
	got, err := DecodeTable(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	got.steps = steps
	for i, w := range want.Texts() {
		if g := got.Texts()[i]; g != w {
			t.Errorf("call %d: got %v; want %v", i, g, w)
		}
	}
}

func FuzzDecodeTable(f *testing.F) {
	f.Add(Compile([]Step{{"stdio", Stdio{}}, sh("true")}, true).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if table, err := DecodeTable(b); err == nil {
			_ = table.Encode()
		}
	})
}

func BenchmarkFork(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		table := Compile([]Step{{"exec", Exec{Path: "/bin/true", Args: []string{"true"}}}}, false)
		fd, reports, _ := NewReports(table)
		pid, pidfd, err := table.Fork(0, []int{fd, 0, 1, 2})
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
		unix.Close(pidfd)
		_ = reports.Wait(nil)
		reports.Close()
		syscall.Wait4(pid, nil, 0, nil)
	}
}
