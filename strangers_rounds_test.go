package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	roundPods = 50
	perPod    = 20 // 1,000 rounds in all
)

// 50 pods at once make, use and remove 1,000 objects, and leave some of each kind for the kernel to remove with the pod.
// This machine has objects of the same names all the while. Afterwards it has them as they were, and nothing else.
func TestRounds(t *testing.T) {
	p := pods{t, stateDir(t)}
	name := fmt.Sprintf("podlab-rounds-%d", os.Getpid())
	before := p.hostObjects()
	for _, kind := range slices.Concat(systemV, posix) {
		t.Cleanup(func() { _, _ = p.late("ipc", kind, "rm", name) }) // gone already, if all went well
		for _, line := range [][]string{toolbox(kind, "make", name), toolbox(kind, "put", name, "of this machine")} {
			if r := p.run(line[1:]...); r.code != 0 {
				t.Fatalf("%q: code %d\n%s%s", line, r.code, r.stdout, r.stderr)
			}
		}
	}
	own := p.hostObjects()

	file := filepath.Join(t.TempDir(), "rounds.yaml")
	if err := os.WriteFile(file, roundsManifest(name), 0o600); err != nil {
		t.Fatal(err)
	}
	r := p.run("run", file)
	if done := strings.Count(r.stdout, "of 20 rounds done"); r.code != 0 || done != roundPods {
		t.Fatalf("podlab run: code %d, %d of %d pods did their rounds\n%s%s", r.code, done, roundPods, r.stdout, r.stderr)
	}
	t.Logf("%d rounds in %d pods: %.1f s", roundPods*perPod, roundPods, r.took.Seconds())

	for _, kind := range slices.Concat(systemV, posix) {
		want := "of this machine\n"
		if isSemaphore(kind) {
			want = "took 1\n"
		}
		if r := p.run(toolbox(kind, "take", name)[1:]...); r.stdout != want || r.code != 0 {
			t.Errorf("this machine's own %s: got %q, code %d, want %q\n%s", kind, r.stdout, r.code, want, r.stderr)
		}
	}
	p.nothingNew(own)
	for _, kind := range slices.Concat(systemV, posix) {
		if r := p.run("ipc", kind, "rm", name); r.code != 0 {
			t.Errorf("podlab ipc %s rm: code %d\n%s", kind, r.code, r.stderr)
		}
		if r := p.run("ipc", kind, "stat", name); r.code != 1 || !strings.Contains(r.stderr, "(ENOENT)") {
			t.Errorf("this machine's own %s was removed: code %d, want 1 and ENOENT\n%s%s", kind, r.code, r.stdout, r.stderr)
		}
	}
	p.nothingNew(before)
}

// roundsManifest is the pods. A round is one kind: made, which fails if it was there, used by another process, removed.
func roundsManifest(name string) []byte {
	var script strings.Builder
	script.WriteString("i=0; while [ $i -lt 20 ]; do i=$((i + 1)); case $((i % 6)) in\n")
	all := slices.Concat(systemV, posix)
	for n, kind := range all {
		make := append(toolbox(kind, "make", name), "--excl")
		lines := [][]string{make, toolbox(kind, "put", name, "round"), toolbox(kind, "remove", name)}
		fmt.Fprintf(&script, "%d) ", n)
		for _, line := range lines {
			script.WriteString(strings.Join(line, " ") + "; ")
		}
		script.WriteString(";;\n")
	}
	script.WriteString("esac; done >/dev/null\n")
	for _, kind := range all {
		script.WriteString(strings.Join(toolbox(kind, "make", name), " ") + " >/dev/null\n")
	}
	script.WriteString("echo $i of 20 rounds done\n")
	var b bytes.Buffer
	for n := range roundPods {
		b.WriteString(podHeader(fmt.Sprintf("rounds%d", n)))
		fmt.Fprintf(&b, "  - name: app\n    command: [sh, -ec]\n    args:\n    - |\n")
		for line := range strings.Lines(script.String()) {
			b.WriteString("      " + line)
		}
	}
	return b.Bytes()
}

// nothingNew waits until none is left of the objects that this machine has now and hadn't then. Others use this machine
// too, and what they make they remove; what was left behind stays.
func (p pods) nothingNew(then map[string]bool) {
	p.t.Helper()
	left := p.hostObjects()
	maps.DeleteFunc(left, func(o string, _ bool) bool { return then[o] })
	for end := time.Now().Add(20 * time.Second); len(left) > 0; {
		if time.Now().After(end) {
			p.t.Errorf("this machine has, and hadn't before: %q", slices.Sorted(maps.Keys(left)))
			return
		}
		now := p.hostObjects()
		maps.DeleteFunc(left, func(o string, _ bool) bool { return !now[o] })
	}
}

// hostObjects is what ipcs, /dev/shm and the queues' file system hold: each object with what makes it this one.
func (p pods) hostObjects() map[string]bool {
	p.t.Helper()
	all := map[string]bool{}
	for _, kind := range systemV {
		table, err := os.ReadFile("/proc/sysvipc/" + kind)
		if err != nil {
			p.t.Fatal(err)
		}
		for n, line := range strings.Split(string(table), "\n") {
			if f := strings.Fields(line); n > 0 && len(f) > 2 {
				all[kind+" key "+f[0]+" id "+f[1]] = true
			}
		}
	}
	files, err := os.ReadDir("/dev/shm")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		all["/dev/shm/"+f.Name()] = true
	}
	// An ordinary user may have no way to list queues, where nobody has mounted their file system; then none is listed
	// before or after.
	r := p.run("ipc", "mq", "ls", "-o", "json")
	var queues struct {
		Items []struct{ Object struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(r.stdout), &queues); err != nil || r.code > 1 {
		p.t.Fatalf("podlab ipc mq ls: %v\n%s%s", err, r.stdout, r.stderr)
	}
	for _, q := range queues.Items {
		all["queue "+q.Object.Name] = true
	}
	return all
}
