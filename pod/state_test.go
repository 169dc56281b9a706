package pod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func newRoot(t testing.TB) *Root {
	t.Helper()
	r, err := OpenRoot(filepath.Join(t.TempDir(), "podlab"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func reserve(t testing.TB, r *Root, name string) *Dir {
	t.Helper()
	d, err := r.Reserve("default", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// contents are the names in a directory.
func contents(t testing.TB, path string) string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestRootPath(t *testing.T) {
	me := os.Geteuid()
	own := t.TempDir()
	tests := []struct {
		flag string
		env  map[string]string
		uid  int
		want string
	}{
		{"/flag", map[string]string{"PODLAB_ROOT": "/env"}, 0, "/flag"},
		{"", map[string]string{"PODLAB_ROOT": "/env", "XDG_RUNTIME_DIR": own}, me, "/env"},
		{"", map[string]string{"XDG_RUNTIME_DIR": own}, 0, "/run/podlab"},
		{"", map[string]string{"XDG_RUNTIME_DIR": "/"}, 1234567, "/tmp/podlab-1234567"}, // of the user before su(1)
		{"", map[string]string{"XDG_RUNTIME_DIR": "run", "TMPDIR": "/var/tmp"}, 1234567, "/var/tmp/podlab-1234567"},
		{"", nil, 1234567, "/tmp/podlab-1234567"},
	}
	if me != 0 {
		tests[2].uid, tests[2].want = me, own+"/podlab"
	}
	for _, tt := range tests {
		if got := rootPath(tt.flag, func(k string) string { return tt.env[k] }, tt.uid); got != tt.want {
			t.Errorf("rootPath(%q, %v, %d): got %s, want %s", tt.flag, tt.env, tt.uid, got, tt.want)
		}
	}
}

func TestOpenRootRefuses(t *testing.T) {
	dir := t.TempDir()
	wide, file, link := dir+"/wide", dir+"/file", dir+"/link"
	must(t, os.Mkdir(wide, 0o755), os.Chmod(wide, 0o755), os.WriteFile(file, nil, 0o600), os.Symlink(wide, link))
	for path, want := range map[string]string{
		wide:        "mode 0755, want 0700",
		file:        "not a directory",
		link:        "not a directory", // open(2) says ENOTDIR of a link with O_DIRECTORY|O_NOFOLLOW
		file + "/x": "not a directory",
	} {
		if _, err := OpenRoot(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenRoot(%s): got %v, want %s", path, err, want)
		}
	}
	if got := contents(t, wide); got != "" {
		t.Errorf("a refused root has %s in it", got)
	}
}

func TestReserve(t *testing.T) {
	r := newRoot(t)
	d := reserve(t, r, "web")
	_, err := r.Reserve("default", "web")
	if want := fmt.Sprintf("web is running already (%s/lock is locked)", d.Path); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	must(t, d.WriteState(State{Name: "web", Supervisor: 42, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)}))
	_, err = r.Reserve("default", "web")
	if want := "web is running already (pid 42, since 03:04:05)"; err == nil || err.Error() != want || !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := r.Remove("default", "web"); !errors.As(err, new(*RunningError)) {
		t.Errorf("remove of a running pod: got %v, want a RunningError", err)
	}
	other, err := r.Reserve("other", "web") // another namespace, another pod
	must(t, err, other.Remove(), d.Remove(), d.Remove())
	if got := contents(t, r.Path); got != "" {
		t.Errorf("left behind: %s", got)
	}
	if err := r.Remove("default", "web"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("remove of no pod: got %v, want ErrNotExist", err)
	}
}

// A lost pod is a directory with a free lock, or, after the worst of moments, without one.
func TestLostPod(t *testing.T) {
	r := newRoot(t)
	lose := func() string {
		d := reserve(t, r, "web")
		must(t, d.WriteState(State{Name: "web"}), os.MkdirAll(d.Path+"/volumes/data/sub", 0o777),
			os.WriteFile(d.Path+"/volumes/data/sub/file", []byte("x"), 0o400), d.Close())
		return d.Path
	}
	path := lose()
	if l, err := r.List(); err != nil || len(l) != 1 || l[0].Alive || l[0].Err != nil {
		t.Errorf("list: got %+v, %v, want one lost pod", l, err)
	}
	d := reserve(t, r, "web")
	if got := contents(t, path); got != "lock" {
		t.Errorf("after another start: got %s, want lock", got)
	}
	must(t, d.Close(), os.Remove(path+"/lock"))
	if l, err := r.List(); err != nil || len(l) != 1 || l[0].Alive {
		t.Errorf("list without a lock: got %+v, %v, want one lost pod", l, err)
	}
	must(t, reserve(t, r, "web").Close())
	lose()
	must(t, r.Remove("default", "web"))
	if got := contents(t, r.Path); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func TestNames(t *testing.T) {
	r := newRoot(t)
	long := strings.Repeat("a", 63)
	for _, name := range []string{"", ".", "..", "/", "a/b", "../web", "a_b", "A", "-a", "a-", "a..b", ".a", "a.", "a\x00b", "a\nb", "ä", strings.Repeat("a", 254), strings.Repeat("a", 250)} {
		for f, err := range map[string]error{"Reserve": err2(r.Reserve("default", name)), "Adopt": err2(r.Adopt("default", name)), "Remove": r.Remove("default", name)} {
			if err == nil || !strings.Contains(err.Error(), "want") {
				t.Errorf("%s(%q): got %v, want a refusal", f, name, err)
			}
		}
		if name == strings.Repeat("a", 250) {
			continue
		}
		if _, err := r.Reserve(name, "web"); err == nil {
			t.Errorf("namespace %q was accepted", name)
		}
	}
	for _, name := range []string{"a", "0", "a-b", "a.b-c.0", long + "." + long + "." + long} {
		must(t, reserve(t, r, name).Remove())
	}
	if _, err := r.Reserve("a.b", "web"); err == nil {
		t.Error("a namespace with a dot was accepted")
	}
	if got := contents(t, r.Path); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func TestState(t *testing.T) {
	d := reserve(t, newRoot(t), "web")
	want := State{Version: 1, Namespace: "default", Name: "web", UID: "u", Started: time.Unix(1e9, 0).UTC(), Supervisor: 1, Stage: Process{2, 3},
		IDBase: firstIDs, Phase: Running, Status: "CrashLoopBackOff", Containers: map[string]ContainerState{
			"app": {Process: Process{5, 6}, State: "Running", Restarts: 2, Started: time.Unix(1e9, 5).UTC()},
			"job": {State: "Terminated", Reason: "Error", ExitCode: 3}}}
	must(t, d.WriteState(State{}), d.WriteState(want))
	got, err := d.ReadState()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if got := contents(t, d.Path); got != "lock state.json" {
		t.Errorf("got %s, want lock state.json", got)
	}
	for _, name := range []string{"", "lock", "../x", ".", "..", "a/b", ".hidden"} {
		if err := d.WriteFile(name, nil); err == nil {
			t.Errorf("WriteFile(%q) was accepted", name)
		}
	}
}

// Whatever is in one pod's state, its neighbours are listed.
func TestListSurvives(t *testing.T) {
	r := newRoot(t)
	bad := map[string]struct {
		plant func(path string) error
		want  string
	}{
		"fifo":    {func(p string) error { return unix.Mkfifo(p, 0o600) }, "not a regular file"},
		"huge":    {func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 3<<30)) }, "3221225472 bytes"},
		"garbage": {func(p string) error { return os.WriteFile(p, []byte("\x00\xff{"), 0o600) }, "invalid character"},
		"half":    {func(p string) error { return os.WriteFile(p, []byte(`{"version":1,"na`), 0o600) }, "unexpected end"},
		"newer":   {func(p string) error { return os.WriteFile(p, []byte(`{"version":99}`), 0o600) }, "version 99, want 1"},
		"linked":  {func(p string) error { return os.Symlink("/etc/passwd", p) }, "too many levels of symbolic links"},
		"dir":     {func(p string) error { return os.Mkdir(p, 0o700) }, "not a regular file"},
		"unborn":  {func(p string) error { return nil }, "no such file"},
	}
	for name, b := range bad {
		must(t, b.plant(reserve(t, r, name).Path+"/state.json"))
	}
	must(t, reserve(t, r, "zz").WriteState(State{Name: "zz"}),
		os.WriteFile(r.Path+"/default_file", nil, 0o600), os.Symlink("/etc", r.Path+"/default_link"), os.Mkdir(r.Path+"/Not_a_pod", 0o700))
	list, err := r.List()
	if err != nil || len(list) != len(bad)+3 {
		t.Fatalf("got %d pods, %v, want %d", len(list), err, len(bad)+3)
	}
	for _, e := range list {
		want := bad[e.Name].want
		if e.Name == "file" || e.Name == "link" {
			want = "directory"
		}
		if (e.Err == nil) != (want == "") || e.Err != nil && !strings.Contains(e.Err.Error(), want) {
			t.Errorf("%s: got %v, want %q", e.Name, e.Err, want)
		}
	}
}

func TestReserveIDs(t *testing.T) {
	r := newRoot(t)
	const n = 40
	var wg sync.WaitGroup
	got := make([]uint32, n)
	dirs := make([]*Dir, n)
	for i := range n {
		dirs[i] = reserve(t, r, fmt.Sprintf("p%d", i))
		wg.Go(func() {
			first, err := dirs[i].ReserveIDs()
			again, err2 := dirs[i].ReserveIDs()
			if err != nil || err2 != nil || again != first {
				t.Errorf("got %d, %v, then %d, %v", first, err, again, err2)
			}
			got[i] = first
		})
	}
	wg.Wait()
	seen := map[uint32]bool{}
	for _, first := range got {
		if seen[first] || first%65536 != 0 || first < 65536*8192 || first > 1<<31-65536 {
			t.Errorf("range %d: taken twice, or out of bounds", first)
		}
		seen[first] = true
	}
	free := got[7]
	must(t, dirs[9].Close(), dirs[7].Remove()) // a lost pod keeps its range, a removed one doesn't
	d := reserve(t, r, "next")
	if first, err := d.ReserveIDs(); err != nil || first != free {
		t.Errorf("got %d, %v, want the one range that is free, %d", first, err, free)
	}
}

// must fails the test at the first error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func err2(_ *Dir, err error) error { return err }
