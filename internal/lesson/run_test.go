package lesson

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// play runs a page, and returns what the player would count.
func play(t *testing.T, text string) (Tally, []Result) {
	t.Helper()
	l, err := Parse("docs/x.md", []byte("# t\n\n```console\n"+text+"```\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := NewRun(l, place(t))
	r.Timeout = 10 * time.Second
	var tally Tally
	var all []Result
	for _, p := range l.Parts {
		for _, c := range p.Claims {
			res, err := r.Do(t.Context(), c, nil)
			if err != nil {
				t.Fatal(err)
			}
			tally.Add(res)
			all = append(all, res)
		}
	}
	return tally, all
}

// place is one with a podlab that writes down how it was called, and closed at the end.
func place(t *testing.T) *Place {
	t.Helper()
	podlab := t.TempDir() + "/podlab"
	if err := os.WriteFile(podlab, []byte("#!/bin/sh\necho podlab \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := NewPlace(podlab, fstest.MapFS{"a.yaml": {Data: []byte("kind: Pod\n")}}, "PODLAB_WITHOUT=ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(p.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", p.dir, err)
		}
	})
	return p
}

func TestRunAsPredicted(t *testing.T) {
	tally, all := play(t, strings.Join([]string{
		"$ echo one; echo two >&2; echo three", "one", "two", "three",
		"! echo no; exit 3", "no",
		"$ podlab run x.yaml", "podlab run x.yaml",
		"$ cat examples/a.yaml", "kind: Pod",
		"$ echo $PODLAB_WITHOUT $NO_COLOR $LC_ALL", "ipc 1 C",
		"$ echo <hello >there \\", "> || true", "...",
		"$ true",
		"$ echo at ipc:[5]", "at ipc:[<IPC>]",
		"$ echo ipc:[5]; echo ipc:[6]", "ipc:[<IPC>]", "ipc:[<OTHER>]",
		"$ cat", // standard input is empty
		`$ printf '\033[1;31mred\033[0m\n'`, "red",
		`$ printf '\033[36mapp  │\033[0m line\n'`, "app  | line",
	}, "\n")+"\n")
	for _, f := range tally.Faults {
		t.Error(f)
	}
	if last := all[len(all)-4]; !slices.Equal(last.Same, []string{"<IPC>"}) || !slices.Equal(last.New, []string{"<OTHER>"}) {
		t.Errorf("names: got %q as before, %q new", last.Same, last.New)
	}
	if tally.Checked != 12 || tally.String() != "12 claims checked, all as predicted" {
		t.Errorf("got %s", &tally)
	}
}

// Every way of not being as predicted is told, with the line of the page.
func TestRunFaults(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"$ echo a\nb\n", "docs/x.md:5: $ echo a\nno line like: b\ngot:\na\nwant:\nb"},
		{"$ echo a; echo b; echo c\na\nB\nc\n", "docs/x.md:6: $ echo a; echo b; echo c\nno line like: B"},
		{"$ echo a\n", "docs/x.md:4: $ echo a\nit printed more than that"},
		{"! true\n", "docs/x.md:4: ! true\nit succeeded, and should fail"},
		{"$ exit 3\n", "docs/x.md:4: $ exit 3\nit failed (exit status 3), and should succeed"},
		{"$ kill -9 $$\n", "it failed (signal: killed)"},
		{"$ echo 5 5\n<A> <B>\n", "docs/x.md:5: $ echo 5 5\n<B> is \"5\" here, and so is <A> in line 5"},
		{"$ echo 5; echo 6\n<A>\n<A>\n", "docs/x.md:6: $ echo 5; echo 6\n<A> is \"6\" here, and \"5\" in line 5"},
		{"$ cat </dev/zero\n...\n", "it printed more than 1048576 bytes"},
		{"$ sleep 60 &\n", "it left a process in the background that holds its output open"},
		{"$ no-such-command\n", "it failed (exit status 127), and should succeed"},
	} {
		tally, _ := play(t, c.text)
		if len(tally.Faults) != 1 || !strings.Contains(tally.Faults[0].Error(), c.want) {
			t.Errorf("%q:\ngot  %.300q\nwant %q", c.text, tally.Faults, c.want)
		}
		if want := "1 claim checked, 1 not as predicted"; tally.String() != want {
			t.Errorf("%q: got %q, want %q", c.text, &tally, want)
		}
	}
}

// What podlab says of an experiment is no part of the prediction.
func TestRunIgnores(t *testing.T) {
	l, err := Parse("x.md", []byte("# t\n```console\n$ echo without ipc; echo a; echo not without\na\nnot without\n```\n"))
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{"podlab: note: pair: without mount: x": true, "podlab: without ipc: pair is": true, "podlab: run: x": false, " podlab: note: ": false} {
		if got := Remark(line); got != want {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
	r := NewRun(l, place(t))
	r.Ignore = func(line string) bool { return strings.HasPrefix(line, "without ") }
	res, err := r.Do(t.Context(), l.Parts[1].Claims[0], nil)
	if err != nil || res.Fault != nil || !strings.HasPrefix(res.Output, "without ipc\n") {
		t.Errorf("got %q, %v, %v", res.Output, err, res.Fault)
	}
}

func TestRunIsShownLive(t *testing.T) {
	l, err := Parse("x.md", []byte("# t\n```console\n$ echo first; cat fifo; echo last\nfirst\nlast\n```\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := place(t)
	if out, err := p.command(t.Context(), "mkfifo fifo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The command goes on only when its first line has been seen.
	seen := writer(func(b []byte) {
		if string(b) == "first\n" {
			if err := p.command(t.Context(), ": >fifo").Run(); err != nil {
				t.Error(err)
			}
		}
	})
	res, err := NewRun(l, p).Do(t.Context(), l.Parts[1].Claims[0], seen)
	if err != nil || res.Fault != nil {
		t.Errorf("got %v, %v", err, res.Fault)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// A command that takes for ever ends with its time, or with the player's, and
// takes its children along.
func TestRunEnds(t *testing.T) {
	l, err := Parse("x.md", []byte("# t\n```console\n$ echo go; sleep 60 | cat\n```\n## Afterwards\n```console\n$ echo gone >left\n```\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := place(t)
	r := NewRun(l, p)
	r.Timeout = 50 * time.Millisecond
	c := l.Parts[1].Claims[0]
	if res, err := r.Do(t.Context(), c, nil); err != nil || res.Fault == nil || !strings.Contains(res.Fault.Why, "still ran after 50ms") {
		t.Errorf("timeout: got %+v, %v", res, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	r.Timeout = patience
	if _, err := r.Do(ctx, c, writer(func([]byte) { cancel(interrupted) })); !errors.Is(err, interrupted) {
		t.Errorf("interrupted: got %v", err)
	}
	r.Afterwards()
	if got, err := os.ReadFile(p.work + "/left"); err != nil || string(got) != "gone\n" {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

// What works in a place is ended with it; what only looks like it isn't.
func TestPlaceCloses(t *testing.T) {
	p := place(t)
	neighbour := p.dir + "x"
	if err := os.Mkdir(neighbour, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(neighbour) })
	inside := p.command(t.Context(), "echo; exec cat fifo")
	inside.Dir = p.work
	beside := p.command(t.Context(), "exec cat")
	beside.Dir, beside.Env = neighbour, nil
	in, err := beside.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.command(t.Context(), "mkfifo fifo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ready, err := inside.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []interface{ Start() error }{inside, beside} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := inside.Wait(); err == nil || inside.ProcessState.ExitCode() != -1 {
		t.Errorf("inside: got %v, want killed", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := beside.Wait(); err != nil {
		t.Errorf("beside: got %v, want it left alone", err)
	}
}

// Pods are stopped and removed by podlab; if it doesn't, whoever runs them is killed.
func TestPlaceStopsPods(t *testing.T) {
	p := place(t)
	said := t.TempDir() + "/said"
	// A podlab whose stop ends web, and can't end the other.
	script := "#!/bin/sh\necho \"$@\" >>" + said + `
case "$*" in
stop*web) rmdir "$PODLAB_ROOT/default_web";;
rm*bad) [ -e "$PODLAB_ROOT/again" ] && exec rmdir "$PODLAB_ROOT/default_bad"; : >"$PODLAB_ROOT/again"; exit 1;;
esac
`
	if err := os.Remove(p.dir + "/bin/podlab"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.dir+"/bin/podlab", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, pod := range []string{"default_bad", "default_web"} {
		if err := os.MkdirAll(p.dir+"/state/"+pod, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	supervisor := p.command(t.Context(), "exec cat")
	supervisor.Dir = "/"
	if _, err := supervisor.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(said)
	want := "stop -n default --grace 0s bad\nrm -n default bad\nstop -n default --grace 0s web\nrm -n default web\nrm -n default bad\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if err := supervisor.Wait(); err == nil || supervisor.ProcessState.ExitCode() != -1 {
		t.Errorf("the pods' podlab: got %v, want killed", err)
	}
}

func TestPlaceIsShort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+strings.Repeat("/long", 20))
	p, err := NewPlace("/bin/true", fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if len(p.dir) > maxDir {
		t.Errorf("got %q, %d bytes", p.dir, len(p.dir))
	}
}

// A command's own output leads to the screen, and no other pipe does.
func TestRunSaysWhereTheScreenIs(t *testing.T) {
	tally, _ := play(t, strings.Join([]string{
		`$ stat -L -c %d:%i:80:false /dev/fd/2 >a; echo "$PODLAB_SCREEN" >b; stat -L -c %d:%i:80:false /dev/fd/1 >c`,
		`$ cmp a b`,
		`! cmp b c`, "...",
	}, "\n")+"\n")
	for _, f := range tally.Faults {
		t.Error(f)
	}
}

// Two numbers that nobody has, and other ones for whoever plays at the same time.
func TestPlaceHasUsers(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		out, err := place(t).command(t.Context(), "echo $USER_A; echo $USER_B").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range strings.Fields(string(out)) {
			if n, err := strconv.Atoi(id); err != nil || n < firstUser || n >= firstUser+2*userPairs || seen[id] {
				t.Errorf("got user %q, seen %v", id, seen)
			}
			seen[id] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("got %v, want four", seen)
	}
}

// What a player that was killed has left is cleared by the next one; what somebody plays in is not, nor what isn't a place.
func TestSweep(t *testing.T) {
	tmp, err := os.MkdirTemp("", "d") // short: see maxDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	t.Setenv("TMPDIR", tmp)
	alive, dead := place(t), place(t)
	l, err := Parse("x.md", []byte("# t\n## Afterwards\n```console\n$ echo gone >"+tmp+"/after\n```\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dead.Remember(l), os.MkdirAll(dead.dir+"/state/default_web", 0o700)); err != nil {
		t.Fatal(err)
	}
	working := dead.command(t.Context(), "exec cat")
	if _, err := working.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := working.Start(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{dead.owner, dead.users} { // as the end of its process does
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Not places: one without an owner, one that others may write to, and a link to one.
	other := t.TempDir()
	err = errors.Join(os.Mkdir(tmp+"/podlab-lesson-1", 0o700), os.Mkdir(tmp+"/podlab-lesson-2", 0o777), os.Chmod(tmp+"/podlab-lesson-2", 0o777),
		os.WriteFile(tmp+"/podlab-lesson-2/owner", nil, 0o600), os.Chmod(other, 0o700), os.WriteFile(other+"/owner", nil, 0o600), os.Symlink(other, tmp+"/podlab-lesson-3"),
		os.Symlink("/dev/null", tmp+"/podlab-lesson-1/owner"))
	if err != nil {
		t.Fatal(err)
	}
	podlab := t.TempDir() + "/podlab"
	if err := os.WriteFile(podlab, []byte("#!/bin/sh\n[ $1 = rm ] || exec rmdir $PODLAB_ROOT/default_web\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	all, err := Sweep(podlab)
	if err != nil || len(all) != 1 || all[0].Dir != dead.dir || !slices.Equal(all[0].Pods, []string{"default_web"}) {
		t.Errorf("got %+v, %v, want only %s", all, err, dead.dir)
	}
	if err := working.Wait(); err == nil || working.ProcessState.ExitCode() != -1 {
		t.Errorf("what worked in it: got %v, want killed", err)
	}
	for path, want := range map[string]bool{dead.dir: false, tmp + "/after": true, alive.dir + "/owner": true, other + "/owner": true,
		tmp + "/podlab-lesson-1": true, tmp + "/podlab-lesson-2": true, tmp + "/podlab-lesson-3": true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s: got %v, want it there: %v", path, err, want)
		}
	}
	if all, err := Sweep(podlab); err != nil || len(all) > 0 {
		t.Errorf("again: got %+v, %v", all, err)
	}
}

// Where the directory for scratch files isn't there, that is what is wrong.
func TestPlaceNamesTMPDIR(t *testing.T) {
	t.Setenv("TMPDIR", "/no/such")
	_, err := NewPlace("/bin/true", fstest.MapFS{})
	if want := "TMPDIR /no/such: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
