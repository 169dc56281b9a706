package ipc

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

var noEnd = context.Background()

// roleHold changes a semaphore, with or without SEM_UNDO, and lives on.
func roleHold(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	delta, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := Sem(id).Do(noEnd, SemOp{Delta: int16(delta), Undo: args[2] == "undo"}); err != nil {
		return err
	}
	fmt.Println("held")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func hold(t *testing.T, s Sem, delta int, undo string) *process {
	t.Helper()
	p := start(t, -1, "hold", fmt.Sprint(int(s)), fmt.Sprint(delta), undo)
	p.says("held")
	return p
}

// A holder that is killed gives back what it took with Undo, and nothing without.
func TestUndo(t *testing.T) {
	for _, c := range []struct {
		undo string
		want int
	}{{"undo", 1}, {"keep", 0}} {
		for _, end := range []struct {
			name string
			do   func(*process)
		}{
			{"killed", (*process).kill},
			{"exits", func(p *process) {
				_ = p.in.Close() // a pipe's end
				if err := p.cmd.Wait(); err != nil {
					t.Error(err)
				}
			}},
		} {
			t.Run(c.undo+" "+end.name, func(t *testing.T) {
				s := newSem(t, 1)
				p := hold(t, s, -1, c.undo)
				wantValues(t, s, 0)
				end.do(p)
				wantValues(t, s, c.want)
			})
		}
	}
}

// Who waits for the holder gets the semaphore by its death.
func TestUndoWakes(t *testing.T) {
	s := newSem(t, 1)
	p := hold(t, s, -1, "undo")
	done := make(chan error)
	go func() { done <- s.Do(t.Context(), SemOp{Delta: -1}) }()
	until(t, "one waits", func() bool { up, _, err := s.Waiting(0); return err != nil || up == 1 })
	p.kill()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantValues(t, s, 0)
}

// What was added is taken again, but not below 0 (semop(2)).
func TestUndoOfPost(t *testing.T) {
	s := newSem(t, 0)
	p := hold(t, s, 3, "undo")
	if err := s.Do(t.Context(), SemOp{Delta: -2}); err != nil {
		t.Fatal(err)
	}
	p.kill()
	wantValues(t, s, 0)
}

// Giving a semaphore a value forgets what was to be undone.
func TestUndoForgotten(t *testing.T) {
	for _, set := range []struct {
		name string
		do   func(Sem) error
	}{
		{"SetValue", func(s Sem) error { return s.SetValue(0, 1) }},
		{"SetValues", func(s Sem) error { return s.SetValues([]int{1}) }},
	} {
		t.Run(set.name, func(t *testing.T) {
			s := newSem(t, 1)
			p := hold(t, s, -1, "undo")
			if err := set.do(s); err != nil {
				t.Fatal(err)
			}
			p.kill()
			wantValues(t, s, 1)
		})
	}
}

// A new set of the same key isn't touched by what was to be undone in the old one.
func TestUndoOfRemoved(t *testing.T) {
	k := newKey()
	g := Get{Create: true, Exclusive: true, Perm: 0o600}
	old, err := GetSem(k, 1, g)
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindSem, old, old.Remove)
	if err := old.SetValue(0, 1); err != nil {
		t.Fatal(err)
	}
	p := hold(t, old, -1, "undo")
	if err := old.Remove(); err != nil {
		t.Fatal(err)
	}
	s, err := GetSem(k, 1, g)
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindSem, s, s.Remove)
	p.kill()
	wantValues(t, s, 0)
}

// It is the process that undoes, not the thread: Go's threads share one list (CLONE_SYSVSEM).
func TestUndoIsTheProcess(t *testing.T) {
	s := newSem(t, 1)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- s.Do(t.Context(), SemOp{Delta: -1, Undo: true})
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantValues(t, s, 0)
	// Another thread gives it back, and the list is empty again.
	if err := s.Do(t.Context(), SemOp{Delta: 1, Undo: true}); err != nil {
		t.Fatal(err)
	}
	wantValues(t, s, 1)
}

// roleCreate makes a segment, says which, and lives on.
func roleCreate([]string) error {
	s, err := GetShm(Private, 100, Get{Perm: 0o600})
	if err != nil {
		return err
	}
	seg, err := s.Attach(false)
	if err != nil {
		return err
	}
	copy(seg.Data, "hello")
	fmt.Println(int(s))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A segment outlives its creator, who is detached by the kernel; where shm_rmid_forced is on, it doesn't (proc(5)).
func TestShmOutlivesCreator(t *testing.T) {
	forced, err := os.ReadFile("/proc/sys/kernel/shm_rmid_forced")
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, -1, "create")
	id, err := strconv.Atoi(p.line())
	if err != nil {
		t.Fatal(err)
	}
	s := Shm(id)
	mine(t, KindShm, s, s.Remove)
	if st, err := s.Stat(); err != nil || st.Attached != 1 || st.CreatorPid != p.cmd.Process.Pid {
		t.Errorf("got %+v and %v, want attached once, by %d", st, err, p.cmd.Process.Pid)
	}
	p.kill()
	st, err := s.Stat()
	if strings.TrimSpace(string(forced)) == "1" {
		if ErrnoName(err) != "EINVAL" && ErrnoName(err) != "EIDRM" {
			t.Errorf("shm_rmid_forced is on: got %+v and %v, want EINVAL", st, err)
		}
		return
	}
	if err != nil || st.Attached != 0 || st.CreatorPid != p.cmd.Process.Pid {
		t.Errorf("got %+v and %v, want attached by nobody, created by %d", st, err, p.cmd.Process.Pid)
	}
	if got := string(attach(t, s, true).Data[:5]); got != "hello" {
		t.Errorf("got %q, want hello", got)
	}
}
