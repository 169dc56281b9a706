package pod

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// handle finds a pod that is only a directory.
func (d *Dir) handle(t *testing.T) *Handle {
	t.Helper()
	h, err := Open(d.root, d.Namespace, d.Name)
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// logTexts reads a log to its present end.
func logTexts(t *testing.T, r *LogReader) (all []string) {
	t.Helper()
	must(t, r.each(func(rec LogRecord) bool {
		all = append(all, string(rec.Text))
		return true
	}))
	return all
}

func TestParseRecord(t *testing.T) {
	for line, want := range map[string]string{
		"2016-10-06T00:17:09.669794202Z stdout F The content": "2016-10-06T00:17:09.669794202Z out whole The content",
		"2016-10-06T00:17:10.113242941+02:00 stderr P  x ":    "2016-10-06T00:17:10.113242941+02:00 err part  x ",
		"2016-10-06T00:17:10Z stdout F:more:tags x":           "2016-10-06T00:17:10Z out whole x",
		"2016-10-06T00:17:10Z stdout F ":                      "2016-10-06T00:17:10Z out whole ",
		"2016-10-06T00:17:10Z stdout F":                       "2016-10-06T00:17:10Z out whole ",
		"2016-10-06T00:17:10Z stdlog F x":                     " out whole 2016-10-06T00:17:10Z stdlog F x",
		"2016-10-06T00:17:10Z stdout X x":                     " out whole 2016-10-06T00:17:10Z stdout X x",
		"":                                                    " out whole ",
	} {
		r := parseRecord([]byte(line))
		got := fmt.Sprintf("%s %s %s %s", r.Time, map[bool]string{false: "out", true: "err"}[r.Stderr], map[bool]string{false: "whole", true: "part"}[r.Part], r.Text)
		if got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestReadLog(t *testing.T) {
	d := reserve(t, newRoot(t), "web")
	h := d.handle(t)
	if _, err := h.Logs(); err == nil || !strings.Contains(err.Error(), ErrNoLogs.Error()) {
		t.Errorf("got %v, want %v", err, ErrNoLogs)
	}
	must(t, d.makeLogs([]string{"app", "b"}))
	if got, err := h.Logs(); err != nil || !slices.Equal(got, []string{"app", "b"}) {
		t.Errorf("got %v, %v, want both", got, err)
	}
	for run := range 3 {
		l := newLog(t, d, run)
		s := l.stream(false)
		l.release()
		for i := range 5 {
			fmt.Fprintf(s, "%d.%d\n", run, i)
		}
		must(t, s.Close())
	}
	for _, c := range []struct {
		previous bool
		tail     int
		want     string
	}{
		{false, -1, "2.0 2.1 2.2 2.3 2.4"}, {true, -1, "1.0 1.1 1.2 1.3 1.4"}, {false, 2, "2.3 2.4"}, {false, 0, ""}, {true, 9, "1.0 1.1 1.2 1.3 1.4"},
	} {
		r, err := h.OpenLog("app", c.previous)
		must(t, err)
		if c.tail >= 0 {
			must(t, r.Tail(c.tail, time.Time{}))
		}
		if got := strings.Join(logTexts(t, r), " "); got != c.want {
			t.Errorf("%v: got %q", c, got)
		}
		must(t, r.Close())
	}
	if _, err := h.OpenLog("b", true); !os.IsNotExist(err) {
		t.Errorf("previous: got %v, want that there is none", err)
	}
	if _, err := h.OpenLog("../b", false); err == nil {
		t.Error("../b: got no error, want one")
	}
}

// numbers writes n numbered lines.
func numbers(w io.WriteCloser, n int) {
	var b strings.Builder
	fill := strings.Repeat("f", 80)
	for i := range n {
		fmt.Fprintf(&b, "%d %s\n", i, fill)
		if b.Len() > 50_000 {
			_, _ = io.WriteString(w, b.String())
			b.Reset()
		}
	}
	_, _ = io.WriteString(w, b.String())
	_ = w.Close()
}

// inOrder wants numbered lines, the last of them too, and none missing but where rotation was faster.
func inOrder(t *testing.T, next int, r *LogReader, rec LogRecord) int {
	t.Helper()
	var i int
	if _, err := fmt.Sscan(string(rec.Text), &i); err != nil || rec.Part || len(rec.Text) < 82 {
		t.Fatalf("after %d: got %.60q, want a whole line", next-1, rec.Text)
	}
	if i != next && !r.Gap {
		t.Fatalf("got %d, want %d", i, next)
	}
	r.Gap = false
	return i + 1
}

// A log is read while it is rotated, from whatever is the first line then, to the last.
func TestReadLogThatRotates(t *testing.T) {
	const n = 1_000_000 // lines: twelve files
	d := reserve(t, newRoot(t), "web")
	h := d.handle(t)
	must(t, d.makeLogs([]string{"app"}))
	l := newLog(t, d, 0)
	s := l.stream(false)
	l.release()
	done := make(chan struct{})
	go func() {
		numbers(s, n)
		close(done)
	}()
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		r, err := h.OpenLog("app", false)
		must(t, err)
		next, lines := -1, 0
		must(t, r.each(func(rec LogRecord) bool {
			if next < 0 {
				_, _ = fmt.Sscan(string(rec.Text), &next)
			}
			next = inOrder(t, next, r, rec)
			lines++
			return true
		}))
		if last && (next != n || lines < 300_000) {
			t.Errorf("got %d lines to %d, want the last hundreds of thousands of %d", lines, next-1, n)
		}
		must(t, r.Close())
	}
}

// follow follows a pod that has a directory and a control socket; gone ends it, with its files.
func follow(t *testing.T, d *Dir) (f *LogFollower, gone func()) {
	t.Helper()
	s := &supervisor{name: d.Name, dir: d, boxes: []*container{{plan: &Container{Name: "app"}}}}
	must(t, s.openControl())
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case a := <-s.control.asked:
				s.hearAsked(a)
			case <-end:
				s.lastLogs()
				_ = EmptyDir(d.fd, d.Path, lockFile)
				s.control.close()
				return
			}
		}
	}()
	gone = sync.OnceFunc(func() {
		close(end)
		<-ended
	})
	t.Cleanup(gone)
	f, err := d.handle(t).FollowLogs([]string{"app"})
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f, gone
}

// Who follows gets every line, or is told that some are missing.
func TestFollowLog(t *testing.T) {
	const n = 2_000_000
	d := reserve(t, newRoot(t), "web")
	must(t, d.makeLogs([]string{"app"}))
	l := newLog(t, d, 0)
	s := l.stream(true)
	l.release()
	f, gone := follow(t, d)
	go func() {
		numbers(s, n)
		gone()
	}()
	r, next := f.Readers[0], 0
	for more := true; more; more = r.Wait(t.Context()) {
		must(t, r.each(func(rec LogRecord) bool {
			next = inOrder(t, next, r, rec)
			return true
		}))
	}
	if next != n {
		t.Errorf("got %d lines, want %d", next, n)
	}
}

// While a follower looks, files get other names, and RUN.log is another file.
func TestFollowRotation(t *testing.T) {
	const rounds, burst = 1000, maxLogFiles - 2 // no more, or some are dropped before anybody could have opened them
	d := reserve(t, newRoot(t), "web")
	must(t, d.makeLogs([]string{"app"}))
	l := newLog(t, d, 0)
	s := l.stream(false)
	l.release()
	f, gone := follow(t, d)
	read := make(chan struct{}, 1)
	go func() {
		fill := strings.Repeat("f", 80)
		for i := 0; i < rounds*burst; i++ {
			fmt.Fprintf(s, "%d %s\n", i, fill)
			file := <-l.turn
			err := file.rotate()
			l.turn <- file
			if err != nil {
				t.Error(err)
			}
			if i%burst == burst-1 {
				select {
				case <-read:
				case <-time.After(10 * time.Second):
					t.Errorf("got no line %d, want it", i)
					i = rounds * burst
				}
			}
		}
		_ = s.Close()
		gone()
	}()
	r, next := f.Readers[0], 0
	for more := true; more; more = r.Wait(t.Context()) {
		must(t, r.each(func(rec LogRecord) bool {
			if r.Gap {
				t.Fatalf("got told of a gap before %d, want none", next)
			}
			if next = inOrder(t, next, r, rec); next%burst == 0 {
				read <- struct{}{}
			}
			return true
		}))
	}
	if next != rounds*burst {
		t.Errorf("got %d lines, want %d", next, rounds*burst)
	}
}

// A run's last words may come when the next has begun. They come first.
func TestFollowRestart(t *testing.T) {
	d := reserve(t, newRoot(t), "web")
	must(t, d.makeLogs([]string{"app"}))
	f, gone := follow(t, d)
	r := f.Readers[0]
	var got []string
	read := func(want ...string) {
		t.Helper()
		for len(got) < len(want) && r.Wait(t.Context()) {
			got = append(got, logTexts(t, r)...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	var runs []io.WriteCloser
	for run := range 2 {
		l := newLog(t, d, run)
		runs = append(runs, l.stream(false))
		l.release()
		fmt.Fprintf(runs[run], "run %d\n", run)
	}
	read("run 0")
	fmt.Fprint(runs[0], "late words\nlast ")
	must(t, runs[0].Close())
	read("run 0", "late words", "last ", "run 1")
	gone()
	for r.Wait(t.Context()) {
		got = append(got, logTexts(t, r)...)
	}
	read("run 0", "late words", "last ", "run 1")
}

// What a pod writes in its last moment is read, however late the follower is.
func TestFollowToTheEnd(t *testing.T) {
	for range 20 {
		d := reserve(t, newRoot(t), "web")
		must(t, d.makeLogs([]string{"app"}))
		f, gone := follow(t, d)
		r := f.Readers[0]
		l := newLog(t, d, 0)
		s := l.stream(false)
		l.release()
		_, _ = io.WriteString(s, strings.Repeat(strings.Repeat("x", 999)+"\n", maxLogFile/1000))
		must(t, s.Close())
		l = newLog(t, d, 1)
		s = l.stream(false)
		l.release()
		_, _ = io.WriteString(s, "last words\n")
		must(t, s.Close())
		gone()
		last, lines := "", 0
		for more := true; more; more = r.Wait(t.Context()) {
			for _, text := range logTexts(t, r) {
				last = text
				lines++
			}
		}
		if last != "last words" || lines != maxLogFile/1000+1 {
			t.Fatalf("got %.20q after %d lines, want the last words", last, lines)
		}
		must(t, f.Close(), d.Close())
	}
}

// A follower that stops holds no descriptor.
func TestFollowCloses(t *testing.T) {
	before, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	t.Run("follow", func(t *testing.T) {
		d := reserve(t, newRoot(t), "web")
		must(t, d.makeLogs([]string{"app"}))
		f, gone := follow(t, d)
		defer gone()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for f.Readers[0].Wait(ctx) {
		}
		must(t, os.WriteFile(filepath.Join(d.Path, "logs/app/1.log"), nil, 0o600))
	})
	after, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	if len(after) > len(before) {
		t.Errorf("got %d descriptors, want %d", len(after), len(before))
	}
}
