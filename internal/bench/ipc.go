package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// subjects of `bench ipc`, in the order of the table, and how many rounds make some 50 ms.
var kinds = []struct {
	name string
	n    int
	c    bool // has a twin in C
}{
	{"sem", 10000, true}, {"mq", 10000, true}, {"msg", 10000, false}, {"posix-sem", 10000, false},
	{"shm", 30000, false}, {"posix-shm", 30000, false}, {"copy shm", 2000, false}, {"copy posix-shm", 2000, false},
}

// match is one way to play a kind; its figures are nanoseconds, one for each round of the benchmark.
type match struct {
	kind      int
	c, inside bool
	took      []float64
}

// arena is where games are played: on this machine, and in two containers of a pod.
type arena struct {
	work
	root string
	cpus [2]string // of drive and serve
	name string
	part int // games are this part of their length
}

// ipcBench measures all kinds inside a pod and on the host, in one interleaved run.
func ipcBench(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench ipc", flag.ContinueOnError)
	rounds := flags.Int("rounds", 40, "rounds")
	cpus := flags.String("cpus", "0,0", "processors of the two players: on one, what is measured is the kernel's work; on two, mostly how fast a processor wakes")
	part := flags.Int("part", 1, "play games of one PART of their length, to try them; the figures are worth little then")
	podlab := flags.String("podlab", "", "podlab's binary; built from this checkout otherwise")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "podlab-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	a := arena{work: work{dir: dir, podlab: filepath.Join(dir, "podlab")}, root: filepath.Join(dir, "state"), name: fmt.Sprintf("podlab-bench-%d", os.Getpid()), part: *part}
	var comma bool
	if a.cpus[0], a.cpus[1], comma = strings.Cut(*cpus, ","); !comma {
		return fmt.Errorf("-cpus %q: want two numbers with a comma between them", *cpus)
	}
	if err := a.prepare(*podlab); err != nil {
		return err
	}
	if err := a.podlabDoes("run", "-d", a.manifest()); err != nil {
		return err
	}
	defer func() { _ = a.podlabDoes("stop", "--grace", "0s", "bench") }() // the figures are there already
	ctx, end := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer end()
	matches, err := a.measure(ctx, *rounds)
	if err != nil {
		a.sweep()
		return err
	}
	return report(matches, *rounds, *cpus, out)
}

// prepare builds podlab and the twin in C, and copies this program, for the pod to have.
func (a arena) prepare(podlab string) error {
	if err := a.build(podlab); err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.path("bench"), self, 0o755); err != nil {
		return err
	}
	return command("", "cc", "-O2", "-static", "-o", a.path("pingpong"), "internal/bench/floor/pingpong.c")
}

func (a arena) manifest() string {
	file := a.path("pod.yaml")
	text := "apiVersion: v1\nkind: Pod\nmetadata: {name: bench}\nspec:\n  containers:\n"
	for _, name := range []string{"drive", "serve"} {
		text += "  - {name: " + name + ", command: [sleep, infinity], volumeMounts: [{name: bench, mountPath: /bench, readOnly: true}]}\n"
	}
	text += "  volumes:\n  - {name: bench, hostPath: {path: " + a.dir + ", type: Directory}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err) // our own temporary directory
	}
	return file
}

func (a arena) podlabDoes(args ...string) error {
	return command("", a.podlab, append([]string{args[0], "--root", a.root}, args[1:]...)...)
}

// measure plays every match once a round, each kind's matches one after the other in a fresh order.
func (a arena) measure(ctx context.Context, rounds int) ([]*match, error) {
	var all []*match
	groups := make([][]*match, len(kinds))
	for k := range kinds {
		for _, inside := range []bool{false, true} {
			groups[k] = append(groups[k], &match{kind: k, inside: inside})
			if kinds[k].c {
				groups[k] = append(groups[k], &match{kind: k, inside: inside, c: true})
			}
		}
		all = append(all, groups[k]...)
	}
	for round := -1; round < rounds; round++ { // the first fills caches and isn't counted
		for _, k := range rand.Perm(len(groups)) {
			for _, i := range rand.Perm(len(groups[k])) {
				m := groups[k][i]
				ns, err := a.play(ctx, m)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", kinds[m.kind].name, err)
				}
				if round >= 0 {
					m.took = append(m.took, ns)
				}
			}
		}
	}
	return all, nil
}

// sweep removes what a player who was killed has left on this machine; what wasn't there says so, to nobody.
func (a arena) sweep() {
	key, err := ipc.ParseKey(a.name)
	if err != nil {
		panic(err) // our own name
	}
	if id, err := ipc.GetShm(key, 0, ipc.Get{}); err == nil {
		_ = id.Remove()
	}
	if id, err := ipc.GetSem(key, 0, ipc.Get{}); err == nil {
		_ = id.Remove()
	}
	if id, err := ipc.GetMsg(key, ipc.Get{}); err == nil {
		_ = id.Remove()
	}
	_ = ipc.RemoveShared("/" + a.name)
	_ = both(ipc.RemoveQueue, a.name)
	_ = both(ipc.RemoveSemaphore, a.name)
}

// player is a command line for one side of a match.
func (a arena) player(ctx context.Context, m *match, side string) *exec.Cmd {
	dir, cpu := a.dir, a.cpus[0]
	if side == "serve" {
		cpu = a.cpus[1]
	}
	var line []string
	if m.inside {
		dir = "/bench"
		line = []string{a.podlab, "exec", "--root", a.root, "bench/" + side, "--"}
	}
	line = append(line, "taskset", "-c", cpu)
	if m.c {
		line = append(line, filepath.Join(dir, "pingpong"))
	} else {
		line = append(line, filepath.Join(dir, "bench"), "play")
	}
	line = append(line, kinds[m.kind].name, side, strconv.Itoa(max(1, kinds[m.kind].n/a.part)), a.name)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	// A session of its own, as a container's program has. The kernel schedules sessions as groups (sched(7), autogroup),
	// and to switch between processes of two takes longer than within one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// play plays one match and returns what a round took, in nanoseconds.
func (a arena) play(ctx context.Context, m *match) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // more than any game takes
	defer cancel()
	drive := a.player(ctx, m, "drive")
	var complaints bytes.Buffer
	drive.Stderr = &complaints
	pipe, err := drive.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := drive.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(pipe)
	ready := lines.Scan()
	var answer error
	if ready && !strings.HasPrefix(kinds[m.kind].name, "copy ") {
		if out, err := a.player(ctx, m, "serve").CombinedOutput(); err != nil {
			answer = fmt.Errorf("serve: %w: %s", err, bytes.TrimSpace(out))
			cancel()
		}
	}
	lines.Scan()
	figure := lines.Text()
	if err := drive.Wait(); err != nil || answer != nil || !ready {
		return 0, fmt.Errorf("drive: %v: %s; %v", err, bytes.TrimSpace(complaints.Bytes()), answer)
	}
	return strconv.ParseFloat(figure, 64)
}

// report prints a table in Markdown. A ratio is the median of the ratios within rounds.
func report(all []*match, rounds int, cpus string, out io.Writer) error {
	find := func(k int, c, inside bool) []float64 {
		for _, m := range all {
			if m.kind == k && m.c == c && m.inside == inside {
				return m.took
			}
		}
		return nil
	}
	fmt.Fprintln(out, "| kind | host µs | pod µs | pod ÷ host | p10–p90 | C, host µs | C, pod µs | C, pod ÷ host | Go ÷ C in the pod |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|")
	for k, kind := range kinds {
		host, pod := find(k, false, false), find(k, false, true)
		r := ratios(pod, host)
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %.3f | %.2f–%.2f |", kind.name, quantile(host, 0.5)/1000, quantile(pod, 0.5)/1000,
			quantile(r, 0.5), quantile(r, 0.1), quantile(r, 0.9))
		if !kind.c {
			fmt.Fprintln(out, " | | | |")
			continue
		}
		cHost, cPod := find(k, true, false), find(k, true, true)
		fmt.Fprintf(out, " %.2f | %.2f | %.3f | %.2f |\n", quantile(cHost, 0.5)/1000, quantile(cPod, 0.5)/1000, pairs(cPod, cHost), pairs(pod, cPod))
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d rounds, players on processors %s, Linux %s.\n", rounds, cpus, unix.ByteSliceToString(uname.Release[:]))
	return nil
}
