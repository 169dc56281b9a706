package pod_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podlab/podlab/internal/testenv"
)

const twoSleepers = `
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Never
  containers:
  - {name: a, env: [{name: M, value: MARK}], command: [sh, -c, "echo ready; exec sleep 1000"]}
  - {name: b, env: [{name: M, value: MARK}], command: [sh, -c, "echo ready; exec sleep 1000"]}
`

// process is what podlab ns -o json says of one.
type process struct {
	Name       string
	PID        int
	Namespaces map[string]uint64
}

// TestNamespaces looks at two pods of two containers with three pairs of eyes:
// podlab ns, /proc, and lsns(8). In a pod ipc, net and uts are one, the rest is
// each container's own; two pods have nothing in common but what is the user's.
func TestNamespaces(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		mark := fmt.Sprintf("ns-%d-%d", os.Getpid(), c.uid)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for _, name := range []string{"one", "two"} {
			file := c.write(t, name+".yaml", strings.NewReplacer("MARK", mark, "NAME", name).Replace(twoSleepers))
			defer c.runUntilReady(ctx, t, file)()
		}
		procs := c.nsOf(ctx, t)
		for _, p := range procs {
			if got := links(t, p.PID); fmt.Sprint(got) != fmt.Sprint(p.Namespaces) {
				t.Errorf("%s: podlab ns says %v\n/proc says %v", p.Name, p.Namespaces, got)
			}
		}
		shared := []string{"ipc", "net", "uts", "user", "time"}
		for i, p := range procs {
			for _, q := range procs[i+1:] {
				same := strings.Split(p.Name, "/")[0] == strings.Split(q.Name, "/")[0]
				for kind := range p.Namespaces {
					want := same && slices.Contains(shared, kind) || kind == "time" || kind == "user" && c.uid == 0
					if got := p.Namespaces[kind] == q.Namespaces[kind]; got != want {
						t.Errorf("%s and %s share %s: got %v, want %v", p.Name, q.Name, kind, got, want)
					}
				}
			}
		}
		c.asLsns(ctx, t, procs)
	})
}

// runUntilReady starts a pod of two containers and returns what ends it.
func (c *caller) runUntilReady(ctx context.Context, t *testing.T, file string) (end func()) {
	t.Helper()
	cmd := c.command(ctx, c.prog, "run", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			t.Fatalf("%s: no line", file)
		}
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // if it has ended, Wait tells
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, out)
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 && cmd.ProcessState.ExitCode() != 143 {
			t.Errorf("%s: exit code %d", file, cmd.ProcessState.ExitCode())
		}
	}
}

// nsOf asks podlab ns until it tells of four containers: state.json may be a
// moment behind.
func (c *caller) nsOf(ctx context.Context, t *testing.T) []process {
	t.Helper()
	for {
		out, err := c.command(ctx, c.prog, "ns", "-o", "json", "one", "two").Output()
		if ctx.Err() != nil {
			t.Fatalf("podlab ns: %v\n%s", err, out)
		}
		var all struct{ Processes []process }
		if err == nil && json.Unmarshal(out, &all) == nil && len(all.Processes) == 4 {
			return all.Processes
		}
	}
}

// links are the namespaces of a process as /proc/PID/ns has them.
func links(t *testing.T, pid int) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if os.IsNotExist(err) {
			continue // this kernel lacks the kind
		}
		_, inode, _ := strings.Cut(strings.TrimSuffix(link, "]"), ":[")
		n, err2 := strconv.ParseUint(inode, 10, 64)
		if err != nil || err2 != nil {
			t.Fatalf("readlink: %v, %q", err, link)
		}
		all[kind] = n
	}
	return all
}

// asLsns: lsns(8) sees the same.
func (c *caller) asLsns(ctx context.Context, t *testing.T, procs []process) {
	_, err := exec.LookPath("lsns")
	testenv.Need(t, "lsns", err == nil, "lsns is not installed")
	for _, p := range procs {
		out, err := c.command(ctx, "lsns", "--noheadings", "--output", "TYPE,NS", "--task", strconv.Itoa(p.PID)).Output()
		if err != nil {
			t.Fatalf("lsns: %v", err)
		}
		got := map[string]uint64{}
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) == 2 {
				got[f[0]], _ = strconv.ParseUint(f[1], 10, 64) // what isn't a number isn't equal
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(p.Namespaces) {
			t.Errorf("%s: podlab ns says %v\nlsns says %v", p.Name, p.Namespaces, got)
		}
	}
}
