package main_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/podlab/podlab/examples"
	"github.com/podlab/podlab/internal/lesson"
	"github.com/podlab/podlab/internal/testenv"
	"github.com/podlab/podlab/ns"
)

// What README.md and the lessons show is what happens.
func TestLessons(t *testing.T) {
	pages, err := filepath.Glob("docs/lessons/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("got %q, %v, want at least five lessons", pages, err)
	}
	for _, page := range append([]string{"README.md"}, pages...) {
		t.Run(page, func(t *testing.T) { playPage(t, page) })
	}
}

func readLesson(t *testing.T, file string) *lesson.Lesson {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lesson.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	if l.Claims() == 0 {
		t.Fatalf("%s: no session in it", file)
	}
	return l
}

// probe asks the kernel once what it can.
var probe = sync.OnceValues(ns.Probe)

func hasFeature(name string) bool {
	f, err := probe()
	return err == nil && f.Has(name)
}

// playPage is podlab demo as a test: a section that can't run here is skipped by name, or fails where PODLAB_MUST says
// that it can.
func playPage(t *testing.T, file string) {
	l := readLesson(t, file)
	place, err := lesson.NewPlace(podlab(t), examples.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := place.Close(); err != nil {
			t.Error(err)
		}
	})
	run := lesson.NewRun(l, place)
	if !strings.HasPrefix(file, "docs/lessons/") { // a page is wider than a projector
		run.Columns = 0
	}
	for _, part := range l.Parts {
		if len(part.Claims) == 0 {
			continue
		}
		if need, why, unmet := part.Unmet(hasFeature); unmet {
			t.Run(fmt.Sprintf("from line %d", part.Line), func(t *testing.T) { testenv.Need(t, need.Feature(), false, why) })
			continue
		}
		for _, c := range part.Claims {
			t.Run(fmt.Sprintf("line %d", c.Line), func(t *testing.T) {
				if res, err := run.Do(t.Context(), c, nil); err != nil {
					t.Fatal(err)
				} else if res.Fault != nil {
					t.Error(res.Fault)
				}
			})
		}
	}
}

// The demo counts its claims; built without the isolation it names those that fail, which are those about the IPC
// namespace, and leaves nothing on this machine.
func TestDemoOfIPC(t *testing.T) {
	r := run(t, "demo", "ipc", "--fast")
	var claims int
	if _, err := fmt.Sscanf(lastLine(r.stdout), "%d claims checked, all as predicted", &claims); err != nil || claims < 20 || r.code != 0 {
		t.Errorf("code %d, %d claims, %v\n%s%s", r.code, claims, err, r.stdout, r.stderr)
	}
	r = run(t, "demo", "ipc", "--fast", "--without", "ipc")
	if r.code != 1 {
		t.Errorf("without ipc: code %d, want 1\n%s%s", r.code, r.stdout, r.stderr)
	}
	verdict := regexp.MustCompile(`(?m)^\d+ claims checked, \d+ not as predicted.*\n((?:[A-Z].*: [$!] .*\n)+)`).FindStringSubmatch(r.stdout)
	if verdict == nil {
		t.Fatalf("without ipc: no verdict that names claims\n%s%s", r.stdout, r.stderr)
	}
	failed := strings.Split(strings.TrimSpace(verdict[1]), "\n")
	for _, kind := range []string{"shm read", "sem post", "msg receive", "mq receive", "matrix"} {
		if !slices.ContainsFunc(failed, func(f string) bool { return strings.Contains(f, "podlab ipc "+kind) }) {
			t.Errorf("without ipc: no claim about %q failed:\n%s", kind, verdict[1])
		}
	}
	for _, f := range failed {
		if strings.Contains(f, "podlab ipc posix-") || strings.Contains(f, "podlab run") {
			t.Errorf("without ipc: failed, and has nothing to do with it: %s", f)
		}
	}
	for _, object := range []string{"shm pair-note", "sem pair-lock", "msg pair-box", "mq /pair-jobs", "posix-shm /pair-page", "posix-sem /pair-gate"} {
		if r := run(t, append([]string{"ipc"}, strings.Fields(strings.Replace(object, " ", " stat ", 1))...)...); r.code != 1 {
			t.Errorf("%s was left on this machine: code %d\n%s%s", object, r.code, r.stdout, r.stderr)
		}
	}
}

// The only claims that fail without an isolation are those that rest on it: what podlab remarks on the experiment is no
// part of any.
func TestDemoWithoutMount(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "an ordinary user's pods need their mount namespace for this machine's /dev/mqueue")
	r := run(t, "demo", "ipc", "--fast", "--without", "mount")
	_, failed, ok := strings.Cut(r.stdout, lastVerdict.FindString(r.stdout))
	if !ok || r.code != 1 {
		t.Fatalf("code %d, want 1 and a verdict\n%s%s", r.code, r.stdout, r.stderr)
	}
	for f := range strings.Lines(failed) {
		if strings.HasPrefix(f, "Afterwards: ! for object") {
			continue // /dev/shm was this machine's
		}
		if !strings.Contains(f, "posix-") && !strings.Contains(f, "/dev/shm") && !strings.Contains(f, "ipc matrix") && !strings.Contains(f, "ipc ls") {
			t.Errorf("failed, and has nothing to do with it: %s", f)
		}
	}
}

var lastVerdict = regexp.MustCompile(`(?m)^\d+ claims checked, .*\n`)

// Even where the pods have this machine's files, a lesson that makes some leaves none.
func TestDemoWithoutMountLeavesNothing(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "an ordinary user may not write to this machine's /dev/mqueue")
	if r := run(t, "demo", "ipc-leaks", "--fast", "--without", "mount"); r.code != 1 {
		t.Errorf("code %d, want 1\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, f := range []string{"/dev/mqueue/from-outside", "/dev/shm/letter", "/dev/shm/pair-page", "/dev/shm/ownshm-page"} {
		if _, err := os.Lstat(f); err == nil {
			t.Errorf("%s was left", f)
		}
	}
}

// A lesson is read from the back row: no command is wider than a projector.
func TestLessonsAreNarrow(t *testing.T) {
	pages, err := filepath.Glob("docs/lessons/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, part := range readLesson(t, page).Parts {
			for _, c := range part.Claims {
				for line := range strings.SplitSeq(c.Prompt(), "\n") {
					if n := utf8.RuneCountInString(line); n > lesson.Columns {
						t.Errorf("%s:%d: %d columns, want %d at most: %s", page, c.Line, n, lesson.Columns, line)
					}
				}
			}
		}
	}
}

// Two who play at the same time don't meet, even where a lesson fills a user's account.
func TestDemoTwice(t *testing.T) {
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if r := run(t, "demo", "ipc-leaks", "--fast"); r.code != 0 {
				t.Errorf("code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
	both.Wait()
}

// What a demo that is killed leaves, with pods and objects on this machine, the next one clears.
func TestDemoKilled(t *testing.T) {
	tmp, err := os.MkdirTemp("", "d") // short: see lesson.Place
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	cmd := exec.CommandContext(t.Context(), podlab(t), "demo", "semaphores", "--fast")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "wrote 3 bytes at 0"; {
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 1 {
		t.Fatalf("killed: left %v, %v, want its place", left, err)
	}
	cmd = exec.CommandContext(t.Context(), podlab(t), "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	said, err := cmd.CombinedOutput()
	if want := "podlab: demo: cleared what a demo that was killed had left: " + tmp + "/podlab-lesson-"; err != nil || !strings.HasPrefix(string(said), want) ||
		!strings.Contains(string(said), ", with pair\n") {
		t.Errorf("got %s, %v, want %s…, with pair", said, err, want)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if pids := processesWith(t, "TMPDIR="+tmp); len(pids) > 0 {
		t.Errorf("still running: %v", pids)
	}
}

// However a demo ends, its pods, its directory and its processes are gone. What ends it comes at its third command.
func TestDemoEnds(t *testing.T) {
	for name, end := range map[string]func(p *os.Process, out *os.File) error{
		"SIGINT":  func(p *os.Process, _ *os.File) error { return p.Signal(syscall.SIGINT) },
		"SIGTERM": func(p *os.Process, _ *os.File) error { return p.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(p *os.Process, _ *os.File) error { return p.Signal(syscall.SIGHUP) },
		"SIGPIPE": func(_ *os.Process, out *os.File) error { return out.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			tmp, err := os.MkdirTemp("", "d") // short: see lesson.Place
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(tmp) })
			cmd := exec.CommandContext(t.Context(), podlab(t), "demo", "ipc", "--fast")
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			commands := 0
			for lines := bufio.NewScanner(r); commands < 3 && lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "$ ") {
					commands++
				}
			}
			if err := end(cmd.Process, r); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, r) // until the end, or it is closed
			_ = cmd.Wait()                // the code tells
			want := map[string]int{"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGPIPE": 141}[name]
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("code %d, want %d\n%s", code, want, &stderr)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v\n%s", left, err, &stderr)
			}
			if pids := processesWith(t, "TMPDIR="+tmp); len(pids) > 0 {
				t.Errorf("still running: %v", pids)
			}
		})
	}
}

// processesWith is the processes that have an environment variable, of those that we may read.
func processesWith(t *testing.T, variable string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), variable) {
			pids = append(pids, f)
		}
	}
	return pids
}

func lastLine(text string) string {
	text = strings.TrimSuffix(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}
