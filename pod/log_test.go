package pod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// newLog is a log of a pod that is only a directory.
func newLog(t *testing.T, d *Dir, run int) *containerLog {
	t.Helper()
	l, err := d.openLog("app", run, func(err error) {
		if t.Context().Err() == nil { // a test that is over has nothing to say
			t.Errorf("got %v, want no error", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func logsOf(t *testing.T, d *Dir) (names []string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(d.Path, "logs", "app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func TestLogFormat(t *testing.T) {
	d := reserve(t, newRoot(t), "web")
	must(t, d.makeLogs([]string{"app"}))
	l := newLog(t, d, 0)
	out, err := l.stream(false), l.stream(true)
	l.release()
	long := strings.Repeat("x", maxLogLine)
	for _, p := range []string{"one\ntw", "o\n", "\n\xff\r\n", long, long[:1], "\n" + long + "\nend"} {
		_, _ = out.Write([]byte(p))
	}
	_, _ = err.Write([]byte("oops\n"))
	must(t, out.Close(), err.Close())
	want := []string{"stdout F one", "stdout F two", "stdout F ", "stdout F \xff\r", "stdout P " + long, "stdout F x", "stdout F " + long, "stderr F oops", "stdout P end", ""}
	stamp := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z `)
	path := filepath.Join(d.Path, "logs/app/0.log")
	text := textOf(t, path)
	if got := stamp.ReplaceAllString(text, ""); got != strings.Join(want, "\n") {
		t.Errorf("got %.300q, want %.300q", got, want)
	}
	if got := len(stamp.FindAllString(text, -1)); got != len(want)-1 {
		t.Errorf("got %d times, want %d", got, len(want)-1)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700} {
		if st, err := os.Stat(p); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", p, st.Mode(), err, want)
		}
	}
}

// What is left after rotation is the end of what was written, without a gap, and whole.
func TestLogRotates(t *testing.T) {
	d := reserve(t, newRoot(t), "web")
	must(t, d.makeLogs([]string{"app"}))
	l := newLog(t, d, 0)
	var streams sync.WaitGroup
	for _, stderr := range []bool{false, true} {
		s := l.stream(stderr)
		streams.Go(func() {
			var b bytes.Buffer
			for i := range 20000 {
				fmt.Fprintf(&b, "%v %d %s\n", stderr, i, strings.Repeat("y", 2000+i%100))
				if b.Len() > 60_000 {
					_, _ = s.Write(b.Bytes()[:60_000])
					b = *bytes.NewBuffer(bytes.Clone(b.Bytes()[60_000:]))
				}
			}
			_, _ = s.Write(b.Bytes())
			_ = s.Close()
		})
	}
	l.release()
	streams.Wait()
	names := logsOf(t, d)
	if len(names) != maxLogFiles {
		t.Errorf("got %v, want %d files", names, maxLogFiles)
	}
	var all strings.Builder
	for _, n := range append(names[1:], names[0]) { // 0.log comes before 0.log.2016…
		text := textOf(t, filepath.Join(d.Path, "logs/app", n))
		if len(text) > maxLogFile || n != "0.log" && len(text) < maxLogFile-2*chunkSize {
			t.Errorf("%s: got %d bytes, want about %d", n, len(text), maxLogFile)
		}
		all.WriteString(text)
	}
	last := map[string]int{}
	for line := range strings.Lines(all.String()) {
		var stamp, stream, tag, from, rest string
		var i int
		if n, err := fmt.Sscan(line, &stamp, &stream, &tag, &from, &i, &rest); n != 6 || len(rest) != 2000+i%100 {
			t.Fatalf("got %.80q (%v), want a whole record", line, err)
		}
		if before, ok := last[from]; ok && i != before+1 {
			t.Fatalf("%s: got %d after %d", from, i, before)
		}
		last[from] = i
	}
	if last["true"] != 19999 || last["false"] != 19999 {
		t.Errorf("got %v, want the last line of both", last)
	}
}

// Two runs are kept.
func TestLogRuns(t *testing.T) {
	d := reserve(t, newRoot(t), "web")
	must(t, d.makeLogs([]string{"app"}))
	for run := range 12 {
		newLog(t, d, run).release()
		must(t, os.WriteFile(filepath.Join(d.Path, "logs/app", logName(run)+".20160101-000000.000000000"), nil, 0o600))
	}
	want := []string{"10.log", "10.log.20160101-000000.000000000", "11.log", "11.log.20160101-000000.000000000"}
	if got := logsOf(t, d); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLogFollowsNoLink(t *testing.T) {
	for name, plant := range map[string]func(dir, mine string) error{
		"logs": func(dir, mine string) error { return os.Symlink(mine, dir+"/logs") },
		"container": func(dir, mine string) error {
			return errors.Join(os.Mkdir(dir+"/logs", 0o700), os.Symlink(mine, dir+"/logs/app"))
		},
		"file": func(dir, mine string) error {
			return errors.Join(os.MkdirAll(dir+"/logs/app", 0o700), os.Symlink(mine+"/0.log", dir+"/logs/app/0.log"))
		},
		"fifo": func(dir, mine string) error {
			return errors.Join(os.MkdirAll(dir+"/logs/app", 0o700), unix.Mkfifo(dir+"/logs/app/0.log", 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := reserve(t, newRoot(t), "web")
			mine := t.TempDir()
			must(t, os.WriteFile(mine+"/0.log", []byte("mine"), 0o600), plant(d.Path, mine))
			if _, err := d.openLog("app", 0, nil); err == nil {
				t.Error("got no error, want one")
			}
			if got := textOf(t, mine+"/0.log"); got != "mine" {
				t.Errorf("got %q, want %q", got, "mine")
			}
		})
	}
}

// A full disk costs lines, whole ones, and is told once. When there is space again, logging goes on.
func TestLogFullDisk(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "mounting a tmpfs needs it")
	dir := t.TempDir()
	must(t, unix.Mount("podlab-test", dir, "tmpfs", 0, "size=256k,mode=700"))
	defer func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) }()
	r, err := OpenRoot(dir + "/state")
	must(t, err)
	defer r.Close()
	d := reserve(t, r, "web")
	must(t, d.makeLogs([]string{"app"}))
	var told []error
	l, err := d.openLog("app", 0, func(err error) { told = append(told, err) })
	must(t, err)
	s := l.stream(false)
	l.release()
	line := []byte(strings.Repeat("z", 999) + "\n")
	for range 1000 {
		_, _ = s.Write(line)
	}
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"))
	_, _ = s.Write([]byte("again\n"))
	must(t, s.Close())
	if len(told) != 1 || !errors.Is(told[0], unix.ENOSPC) {
		t.Errorf("got %v, want %v once", told, unix.ENOSPC)
	}
	lines := strings.Split(textOf(t, d.Path+"/logs/app/0.log"), "\n")
	gap := " stderr F podlab: "
	if i := len(lines) - 3; i < 0 || !strings.Contains(lines[i], gap) || strings.Contains(strings.Join(lines[:i], ""), gap) {
		t.Errorf("got %q, want it told once, where lines are lost", lines[max(i, 0)])
	}
	for i, l := range lines[:len(lines)-3] {
		if !strings.HasSuffix(l, " stdout F "+string(line[:999])) {
			t.Fatalf("line %d: got %.80q, want a whole record", i, l)
		}
	}
	if got := lines[len(lines)-2]; !strings.HasSuffix(got, " stdout F again") || len(lines) < 100 {
		t.Errorf("got %d lines and %.80q, want hundreds, and what came after the disk was full", len(lines), got)
	}
}

// How fast a container is read, with lines of some sizes.
func BenchmarkLog(b *testing.B) {
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d := reserve(b, newRoot(b), "web")
			must(b, d.makeLogs([]string{"app"}))
			l, err := d.openLog("app", 0, nil)
			must(b, err)
			s := l.stream(false)
			l.release()
			chunk := []byte(strings.Repeat(strings.Repeat("x", size-1)+"\n", chunkSize/size))
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				_, _ = s.Write(chunk)
			}
			must(b, s.Close())
		})
	}
}
