package ns

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

func TestProbe(t *testing.T) {
	// The first one also starts the runtime's poller, which keeps descriptors.
	if _, err := Probe(); err != nil {
		t.Fatal(err)
	}
	fds, mounts := listing(t, "/proc/self/fd"), read(t, "/proc/self/mountinfo")
	f, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if f.Kernel == "" || f.Machine == "" || f.UID != os.Geteuid() {
		t.Errorf("got kernel %q, machine %q, uid %d", f.Kernel, f.Machine, f.UID)
	}
	seen := map[string]bool{}
	for _, x := range f.Findings {
		t.Logf("%-7s %-20s %s; %s", x.Is, x.Key, x.Why, x.Do)
		if seen[x.Key] {
			t.Errorf("%s: two findings", x.Key)
		}
		seen[x.Key] = true
		if x.What == "" || x.Is != Yes && x.Why == "" {
			t.Errorf("%s: %s without a reason, or without a question: %+v", x.Key, x.Is, x)
		}
		if strings.Contains(x.Why+x.Do, "\n") {
			t.Errorf("%s: more than a line: %q %q", x.Key, x.Why, x.Do)
		}
	}
	for _, key := range []string{"userns", "userns.range", "ns.time", "mount.proc", "mount.overlay", "ipc.sysctl", "call.clone3", "seccomp", "caps"} {
		if !seen[key] {
			t.Errorf("%s: no finding", key)
		}
	}
	// Nothing is left behind: no descriptor, no mount, no child.
	if got := listing(t, "/proc/self/fd"); got != fds {
		t.Errorf("descriptors: got %s, want %s", got, fds)
	}
	if got := read(t, "/proc/self/mountinfo"); got != mounts {
		t.Errorf("mounts: got %s, want %s", got, mounts)
	}
	if got := read(t, "/proc/thread-self/children"); got != "" {
		t.Errorf("children: got %s, want none", got)
	}
	if f.Find("no such").Is != Unknown || f.Has("no such") {
		t.Error("a feature that nobody asked for: want unknown")
	}
	b, err := json.Marshal(Finding{Key: "a", What: "b", Is: No})
	if want := `{"key":"a","what":"b","is":"no"}`; err != nil || string(b) != want {
		t.Errorf("JSON: got %s, %v, want %s", b, err, want)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(f))
	for i := range f {
		names[i] = f[i].Name()
	}
	return strings.Join(names, " ")
}

func BenchmarkProbe(b *testing.B) {
	for b.Loop() {
		if _, err := Probe(); err != nil {
			b.Fatal(err)
		}
	}
}

// What every pod is made with can be had where a pod can be had at all: a probe
// that says no there is broken itself.
func TestProbeSeesWhatPodsAreMadeWith(t *testing.T) {
	f, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	testenv.Need(t, "mountns", f.Has("ns.mnt") && f.Has("pivot_root"), f.Find("ns.mnt").Why+f.Find("pivot_root").Why)
	for _, key := range []string{"call.clone3", "call.openat2", "call.close_range", "mount.proc", "mount.tmpfs", "mount.tree"} {
		if got := f.Find(key); got.Is != Yes {
			t.Errorf("%s: got %v (%s), want yes", key, got.Is, got.Why)
		}
	}
	if idmap := f.Find("mount.idmap"); strings.Contains(idmap.Why+idmap.Do, "bad file descriptor") {
		t.Errorf("mount.idmap: got %q: the probe lost its descriptor", idmap.Why+idmap.Do)
	}
}
