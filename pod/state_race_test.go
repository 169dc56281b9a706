package pod

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// rerun runs the calling test in another process, which finds arg in PODLAB_AGAIN, talks on fd 3, and ends with its standard input.
func rerun(t *testing.T, arg string) (cmd *exec.Cmd, talk *bufio.Reader, end io.Closer) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	cmd = exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "PODLAB_AGAIN="+arg)
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err, cmd.Start(), w.Close())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()         // an error by now, whichever
		_ = r.Close()
	})
	return cmd, bufio.NewReader(r), stdin
}

// Two processes, fifty goroutines in each, one name: first where there is nothing, then over a lost pod.
func TestReserveRace(t *testing.T) {
	if path := os.Getenv("PODLAB_AGAIN"); path != "" {
		raceChild(t, path)
		return
	}
	r := newRoot(t)
	for round := range 10 {
		if round%2 == 1 {
			d := reserve(t, r, "web")
			for i := range 20 {
				must(t, os.MkdirAll(fmt.Sprintf("%s/volumes/v%d/sub", d.Path, i), 0o700))
			}
			must(t, d.Close())
		}
		won := 0
		var children []func()
		var lines []*bufio.Reader
		for range 2 {
			cmd, talk, end := rerun(t, r.Path)
			lines = append(lines, talk)
			children = append(children, func() { must(t, end.Close(), cmd.Wait()) })
		}
		for _, l := range lines {
			for range 50 {
				line, err := l.ReadString('\n')
				if won += strings.Count(line, "won"); err != nil || !strings.Contains("won\nrunning\n", line) {
					t.Fatalf("a reserver says %q, %v", line, err)
				}
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d of 100 won, want 1", round, won)
		}
		for _, end := range children {
			end() // the winner dies without a word
		}
		must(t, r.Remove("default", "web"))
	}
}

func raceChild(t *testing.T, path string) {
	talk := os.NewFile(3, "talk")
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 50 {
		wg.Go(func() {
			r, err := OpenRoot(path)
			<-start
			if err == nil {
				_, err = r.Reserve("default", "web")
			}
			switch {
			case err == nil:
				_, err = fmt.Fprintln(talk, "won")
			case errors.As(err, new(*RunningError)):
				_, err = fmt.Fprintln(talk, "running")
			default:
				_, err = fmt.Fprintln(talk, err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent has counted
}

// Reserve and Remove by many at once: nobody ever sees an error but "running", and two never hold the name.
func TestReserveRemoveRace(t *testing.T) {
	r := newRoot(t)
	var wg sync.WaitGroup
	holder := make(chan struct{}, 1)
	for range 8 {
		wg.Go(func() {
			for won := 0; won < 25; {
				d, err := r.Reserve("default", "web")
				if errors.As(err, new(*RunningError)) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case holder <- struct{}{}:
				default:
					t.Error("two hold the same name")
				}
				won++
				if err := d.WriteState(State{}); err != nil {
					t.Error(err)
				}
				<-holder
				if won%3 == 0 {
					_ = d.Close() // the next one finds a lost pod
				} else if err := d.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			if _, err := r.List(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A podlab killed at any moment leaves what the next start clears.
func TestReserveKilled(t *testing.T) {
	if path := os.Getenv("PODLAB_AGAIN"); path != "" {
		r, err := OpenRoot(path)
		must(t, err)
		for talk := os.NewFile(3, "talk"); ; {
			d := reserve(t, r, "web")
			_, err := fmt.Fprintln(talk)
			must(t, err, d.WriteState(State{Name: "web"}), os.MkdirAll(d.Path+"/volumes/data", 0o700), d.Remove())
		}
	}
	r := newRoot(t)
	for range 60 {
		cmd, talk, _ := rerun(t, r.Path)
		for range 1 + rand.IntN(40) {
			if _, err := talk.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // "signal: killed"
		must(t, reserve(t, r, "web").Remove())
		if got := contents(t, r.Path); got != "" {
			t.Fatalf("left behind: %s", got)
		}
	}
}

func BenchmarkReserve(b *testing.B) {
	r := newRoot(b)
	for b.Loop() {
		d, err := r.Reserve("default", "web")
		must(b, err, d.Remove())
	}
}

func BenchmarkWriteState(b *testing.B) {
	d := reserve(b, newRoot(b), "web")
	s := State{Containers: map[string]ContainerState{"a": {}, "b": {}}}
	for b.Loop() {
		must(b, d.WriteState(s))
	}
}
