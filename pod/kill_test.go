package pod_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stubborn is a pod that doesn't go by itself: one container ignores SIGTERM,
// the other has processes that left their parent, their session, or both.
const stubborn = `
apiVersion: v1
kind: Pod
metadata: {name: MARK}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  KIND
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - name: deaf
    env: [{name: M, value: MARK}]
    command: [sh, -c, "trap '' TERM INT HUP; echo ready; while :; do sleep 1000; done"]
    volumeMounts: [{name: data, mountPath: /data}]
  - name: daemons
    env: [{name: M, value: MARK}]
    command: [sh, -c, "setsid sh -c 'sleep 1001 & sleep 1002' & (setsid sh -c 'trap \"\" TERM; (sleep 1003; :) & exec sleep 1004' &); echo ready; wait; sleep 1005"]
    volumeMounts: [{name: data, mountPath: /data}]
`

// short is a pod of the same name that ends at once.
const short = `
apiVersion: v1
kind: Pod
metadata: {name: MARK}
spec: {restartPolicy: Never, containers: [{name: a, command: ["true"]}, {name: b, command: ["true"]}]}
`

// A killing is one round: whom, and when. The moment is counted from the start,
// from when both containers are up, or from when the pod was told to stop.
type killing struct {
	kind   string // of the pod
	victim string
	since  string
	wait   time.Duration
}

func (k killing) String() string {
	return fmt.Sprintf("%s pod: kill the %s %v after its %s", k.kind, k.victim, k.wait, k.since)
}

// TestKill kills the supervisor, the pod stage or a process of a container at
// random moments. Nothing may be left after a second, and the name must be free.
func TestKill(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		t.Parallel()
		mark := fmt.Sprintf("kill-%d-%d", os.Getpid(), c.uid)
		files := map[string]string{"short": c.write(t, "short.yaml", strings.ReplaceAll(short, "MARK", mark))}
		kinds := []string{"ordinary", "shareProcessNamespace", "hostPID"}
		for _, k := range kinds {
			files[k] = c.write(t, k+".yaml", strings.NewReplacer("MARK", mark, "KIND", map[bool]string{true: "hostNetwork: false", false: k + ": true"}[k == "ordinary"]).Replace(stubborn))
		}
		rounds := 200
		if testing.Short() {
			rounds = 20
		}
		random := rand.New(rand.NewPCG(uint64(c.uid), 2)) // the same rounds each time
		for i := range rounds {
			k := killing{
				kind:   kinds[i%3],
				victim: []string{"supervisor", "stage", "container"}[i/3%3],
				since:  []string{"start", "start", "readiness", "stop"}[i/9%4],
			}
			most := map[string]time.Duration{"start": 40, "readiness": 5, "stop": 8}[k.since] * time.Millisecond
			k.wait = time.Duration(random.Int64N(int64(most)))
			if why := c.kill(t, k, files[k.kind], mark); why != "" {
				t.Errorf("round %d, %v: %s", i, k, why)
			}
			if why := c.again(t, files["short"], mark); why != "" {
				t.Errorf("round %d, after %v: %s", i, k, why)
			}
			if t.Failed() {
				break
			}
		}
	})
}

// kill is one round. It says what was wrong, or "".
func (c *caller) kill(t *testing.T, k killing, file, mark string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := c.command(ctx, c.prog, "run", file)
	cmd.Env = append(cmd.Env, "M="+mark)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	if k.since != "start" {
		lines := bufio.NewScanner(out)
		for ready := 0; ready < 2 && lines.Scan(); {
			if strings.HasSuffix(lines.Text(), "| ready") {
				ready++
			}
		}
		if k.since == "stop" {
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		}
		from = time.Now()
	}
	for time.Since(from) < k.wait {
	}
	victim := victimOf(cmd.Process.Pid, k.victim)
	if victim > 0 {
		_ = syscall.Kill(victim, syscall.SIGKILL)
	}
	killed := time.Now()
	if k.victim != "supervisor" && (k.victim == "container" || victim == 0) {
		// Nothing need end now. A second signal ends it at once; two of the same
		// kind might arrive as one, signal(7).
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	_ = cmd.Wait()
	took := time.Since(killed)
	code := cmd.ProcessState.ExitCode()
	var left []string
	for again := true; again; again = len(left) > 0 && time.Since(killed) < time.Second {
		waitGone(mark, killed.Add(time.Second)) // it may miss one that is in the middle of an execve
		left = c.left(mark)
		if k.victim == "supervisor" {
			left = slices.DeleteFunc(left, func(l string) bool { return l == c.dir+"/s/default_"+mark })
		}
	}
	about := fmt.Sprintf("%v after %v, victim %d\n%s", cmd.ProcessState, took, victim, stderr.String())
	switch {
	case ctx.Err() != nil:
		return "it hangs: " + about + "\n" + strings.Join(left, "\n")
	case len(left) > 0:
		return fmt.Sprintf("left behind: %q; %s", left, about)
	case took > 1500*time.Millisecond:
		return "slow: " + about
	case k.victim == "stage" && victim > 0 && k.since == "readiness" && (code != 125 || !strings.Contains(stderr.String(), "the pod stage died")):
		return "nobody noticed: " + about
	}
	return ""
}

// again runs a pod of the same name to its end.
func (c *caller) again(t *testing.T, file, mark string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := c.command(ctx, c.prog, "run", file).CombinedOutput(); err != nil {
		return fmt.Sprintf("the next start: %v\n%s", err, out)
	}
	if left := c.left(mark); left != nil {
		return fmt.Sprintf("the next start left behind: %q", left)
	}
	return ""
}

// victimOf finds the process to be killed, if it is there by now.
func victimOf(supervisor int, victim string) int {
	pid := supervisor
	if victim != "supervisor" {
		// Not newuidmap, which is a child for a moment.
		pid = childOf(supervisor, func(child int) bool { return bytes.Contains(readProc(child, "cmdline"), []byte("podlab")) })
	}
	if victim == "container" && pid != 0 {
		pid = childOf(pid, func(int) bool { return true })
	}
	return pid
}

// childOf is a child of a process, or 0.
func childOf(pid int, is func(int) bool) int {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, f := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(f); err == nil && is(child) {
				return child
			}
		}
	}
	return 0
}

// waitGone waits until no process has the mark.
func waitGone(mark string, until time.Time) {
	for {
		pids := marked(mark)
		rest := time.Until(until)
		if len(pids) == 0 || rest <= 0 {
			return
		}
		fd, err := unix.PidfdOpen(pids[0], 0)
		if err != nil {
			continue // it is gone
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(rest.Milliseconds())+1) // marked looks again
		_ = unix.Close(fd)
	}
}
