package matrix

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nine has a probe make an object of each kind, and returns their places.
func nine(t *testing.T, l *Link) map[string]string {
	t.Helper()
	places := map[string]string{}
	for row, k := range kinds {
		place := k.place(newNonce())
		if row == "socket" {
			place = filepath.Join(t.TempDir(), place)
		}
		places[row] = do(t, l, request{Do: "create", Row: row, Place: place, Token: k.out()}).Place
	}
	return places
}

// found tells which objects there are, and of the others why not.
func found(t *testing.T, l *Link, places map[string]string) (rows []string, errnos map[string]string) {
	t.Helper()
	errnos = map[string]string{}
	for row, place := range places {
		a, err := l.ask(t.Context(), request{Do: "look", Row: row, Place: place, Token: kinds[row].back()})
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Error == "":
			rows = append(rows, row)
		}
		errnos[row] = a.Errno
	}
	return rows, errnos
}

func gone(t *testing.T, l *Link, places map[string]string) {
	t.Helper()
	rows, errnos := found(t, l, places)
	if len(rows) > 0 {
		t.Errorf("left behind: %q", rows)
	}
	for row, errno := range errnos {
		want := "ENOENT"
		if row == "tcp" || row == "abstract" {
			want = "ECONNREFUSED"
		}
		if errno != want {
			t.Errorf("%s: got %q, want %s", row, errno, want)
		}
	}
}

// However a probe ends, what it made is gone: told to by the end of its input, or by a signal.
func TestProbeCleansUp(t *testing.T) {
	witness, _ := box{}.start(t)
	for _, c := range []struct {
		name string
		end  func(*Link, process) error
	}{
		{"end of file", func(l *Link, _ process) error { return l.in.Close() }},
		{"SIGTERM", func(_ *Link, p process) error { return p.Signal(unix.SIGTERM) }},
		{"SIGINT", func(_ *Link, p process) error { return p.Signal(unix.SIGINT) }},
		{"SIGHUP", func(_ *Link, p process) error { return p.Signal(unix.SIGHUP) }},
		// Nobody reads any more: the answer can't be written.
		{"nobody reads", func(l *Link, _ process) error {
			_, err := l.in.WriteString(`{"do":"facts"}` + "\n")
			return errors.Join(l.out.Close(), err, l.in.Close())
		}},
		{"nonsense", func(l *Link, _ process) error {
			_, err := l.in.WriteString("you there?\n")
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, p := box{}.spawn(t)
			places := nine(t, l)
			if rows, errnos := found(t, witness, places); len(rows) != 9 {
				t.Fatalf("before: got %q, want all nine: %q", rows, errnos)
			}
			if err := c.end(l, process{p}); err != nil {
				t.Fatal(err)
			}
			_ = l.Close() // nonsense is an error, and its input may be closed already
			gone(t, witness, places)
		})
	}
}

// An owner that is killed can't clean up: a neighbour that reaches the object does.
func TestNeighbourCleansUp(t *testing.T) {
	witness, _ := box{}.start(t)
	for row := range kinds {
		t.Run(row, func(t *testing.T) {
			p := newPod(t)
			owner, viewers := p.views(t)
			m := &measurement{owner: owner, viewers: viewers}
			if err := m.facts(t.Context()); err != nil {
				t.Fatal(err)
			}
			l, process := p.first.spawn(t)
			m.owner.Link = l
			r := Rows()[rowIndex(row)]
			place := kinds[row].place(newNonce())
			if row == "socket" {
				place = filepath.Join(p.first.Binds[0][1], place)
			}
			o := &target{measurement: m, row: r, kind: kinds[row], place: place, out: kinds[row].out()}
			o.place = do(t, l, request{Do: "create", Row: row, Place: place, Token: o.out}).Place
			if c := o.cell(t.Context(), 1); c.Judgement != AsPredicted {
				t.Fatalf("before: %+v", c)
			}
			if err := process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err == nil {
				t.Fatal("killed, and no error")
			}
			if c := o.cell(t.Context(), 1); c.Judgement != NotProven {
				t.Errorf("without an owner: got %s, want %s", c.Judgement, NotProven)
			}
			o.remove(t.Context())
			places := map[string]string{row: o.place}
			if row == "socket" {
				places[row] = filepath.Join(p.disk, filepath.Base(place))
			}
			gone(t, witness, places)
		})
	}
}

// A name that is taken stays whose it was.
func TestCreateIsExclusive(t *testing.T) {
	first, _ := box{}.start(t)
	second, _ := box{}.start(t)
	for row, place := range nine(t, first) {
		a, err := second.ask(t.Context(), request{Do: "create", Row: row, Place: place, Token: kinds[row].out()})
		want := "EEXIST"
		if row == "tcp" || row == "abstract" || row == "socket" {
			want = "EADDRINUSE"
		}
		if err != nil || a.Errno != want {
			t.Errorf("%s: got %v %q, want %s", row, err, a.Errno, want)
		}
		if rows, errnos := found(t, second, map[string]string{row: place}); len(rows) != 1 {
			t.Errorf("%s: gone after another's try: %q", row, errnos)
		}
	}
}

// Requests that no caller of ours makes are refused, and the probe goes on.
func TestProbeRefuses(t *testing.T) {
	l, _ := box{}.start(t)
	token := bytes16()
	for _, r := range []request{
		{Do: "dance", Row: "shm"},
		{Do: "create", Row: "pipe"},
		{Do: "locate"},
		{Do: "check", Row: "shm"},
		{Do: "create", Row: "shm", Place: "0x1234", Token: "short"},
		{Do: "create", Row: "shm", Place: "", Token: token},
		{Do: "create", Row: "sem", Place: "0x1234", Token: "1 2 3"},
		{Do: "create", Row: "sem", Place: "0x1234", Token: "0 0 0 0 0 0 0 0"},
		{Do: "create", Row: "mq", Place: "no-slash", Token: token},
		{Do: "create", Row: "posix-sem", Place: "/x", Token: "many"},
		{Do: "create", Row: "posix-shm", Place: "/", Token: token},
		{Do: "create", Row: "tcp", Place: "nowhere", Token: token},
		{Do: "create", Row: "socket", Place: "/no/such/folder/s", Token: token},
		{Do: "look", Row: "posix-sem", Place: "/x", Token: "1000000"},
	} {
		if a, err := l.ask(t.Context(), r); err != nil || a.Error == "" {
			t.Errorf("%+v: got %v, %+v, want a refusal", r, err, a)
		}
	}
	do(t, l, request{Do: "facts"})
}

// A probe that isn't there, or that says nothing sensible, is an error and no hang.
func TestLinkLost(t *testing.T) {
	l, p := box{}.spawn(t)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	var lost *lostError
	if _, err := l.ask(t.Context(), request{Do: "facts"}); !errors.As(err, &lost) {
		t.Errorf("killed: got %v, want a lost probe", err)
	}
	if err := l.Close(); err == nil {
		t.Error("killed: closed without an error")
	}
	if _, err := Measure(t.Context(), Viewpoint{Name: "a/one", Link: l}, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("measure: got %v, want a lost probe", err)
	}
}

// If the owner is killed and whoever directs the probes is gone, a neighbour removes what it was told to guard.
func TestGuard(t *testing.T) {
	witness, _ := box{}.start(t)
	for _, released := range []bool{false, true} {
		owner, process := box{}.spawn(t)
		guard, _ := box{}.spawn(t)
		places := nine(t, owner)
		delete(places, "tcp")
		delete(places, "abstract")
		for row, place := range places {
			do(t, guard, request{Do: "guard", Row: row, Place: place})
			if released {
				do(t, guard, request{Do: "release", Row: row})
			}
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := owner.Close(); err == nil {
			t.Error("killed, and no error")
		}
		if err := guard.Close(); err != nil {
			t.Error(err)
		}
		if !released {
			gone(t, witness, places)
			continue
		}
		// A socket's file is left, but nobody listens.
		if rows, _ := found(t, witness, places); len(rows) != 6 {
			t.Errorf("released: found %q, want all six", rows)
		}
		for row, place := range places {
			do(t, witness, request{Do: "unlink", Row: row, Place: place})
		}
	}
}

// TestAnswerWithoutEnd: in a container others can write where the probe writes. What they write must neither be waited
// for nor kept.
func TestAnswerWithoutEnd(t *testing.T) {
	p, err := Pipes()
	if err != nil {
		t.Fatal(err)
	}
	endless := exec.Command("sh", "-c", "exec 3<&0; yes >&2 & exec tr '\\0' x </dev/zero")
	endless.Stdin, endless.Stdout, endless.Stderr = p.Stdin, p.Stdout, p.Stderr
	if err := endless.Start(); err != nil {
		t.Fatal(err)
	}
	l := p.Link(func(context.Context) error { _ = endless.Process.Kill(); return endless.Wait() })
	if _, err := l.ask(t.Context(), request{}); err == nil || !strings.Contains(err.Error(), "its answer has no end") {
		t.Errorf("got %v, want its answer has no end", err)
	}
	_ = l.out.Close() // tr is stopped by it, if not killed
	_ = l.Close()     // killed
}
