package main_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podlab/podlab/examples"
)

type expectation struct {
	waits bool // for podlab exec: the lessons say what is to be seen of it
	code  int
	args  []string // of podlab run
	lines []string
	check func(t *testing.T, r result)
}

var waits = expectation{waits: true}

// expected says what a reader is told to look at. Every line must be there, as
// "CONTAINER: REGEXP"; the order between containers is free.
var expected = map[string]expectation{
	"pair":     waits,
	"stranger": waits,
	"tidy":     waits,
	"ownshm":   waits,
	"hostnet":  waits,
	"keeper":   waits,
	"narrow":   {waits: true, args: []string{"--allow-unsafe-sysctls"}},
	"defaults": {lines: []string{"reads: kernel/shmmni 4096", "reads: fs/mqueue/queues_max 256"}},
	"hello": {lines: []string{
		"bob: alice asks: what is your host name\\? mine is hello",
		"alice: bob says: hello too: we are one pod",
	}},
	"namespaces": {check: checkNamespaces},
	"volume":     {lines: []string{"reader: a page, written by the writer", "reader: and I can't change it"}},
	"processes": {lines: []string{
		"watcher: process 1 is podlab.*",
		"watcher: process [0-9]+ is (sh|sleep)",
		"watcher: sending TERM to process [0-9]+",
		"worker: TERM came from the other container",
	}},
	"sysctls": {lines: []string{
		"reads: ports from 80 are for everyone",
		"reads: shm_rmid_forced is 1",
		"writes: I may not change them",
	}},
	"userns": {lines: []string{
		"root: I am uid 0 here; id 0 here is [1-9][0-9]* outside, [1-9][0-9]* of them",
		"same: [1-9][0-9]* is my 0 as well",
	}},
	"environment": {lines: []string{
		"shows: blue, hello from environment of tier demo, \\$\\(UNKNOWN\\)",
		"args: hello without a shell",
	}},
	"restart": {lines: []string{
		"flaky: first attempt: failing",
		"flaky: second attempt: the first one left this note",
	}},
	"crashloop": {code: 3, check: checkCrashLoop},
	"config": {lines: []string{
		"reads: colour -> \\.\\.data/colour",
		"reads: blue",
		"reads: one pod, one machine",
		"reads: -r-------- password",
		"reads: not on any disk",
	}},
	"hosts": {lines: []string{
		"one: I live in the parlour",
		"one: 127\\.0\\.0\\.1\\s+localhost",
		"one: 127\\.0\\.0\\.1\\s+cat\\s+mouse",
		"two: cat\\s+mouse at 127\\.0\\.0\\.1",
	}},
}

func TestExamplesRun(t *testing.T) {
	for _, name := range examples.Names() {
		t.Run(name, func(t *testing.T) {
			want, ok := expected[name]
			if !ok {
				t.Fatal("nothing is expected of this example: add it to the table")
			}
			if want.waits {
				checkWaits(t, name, want.args)
				return
			}
			r := run(t, append([]string{"run", "example:" + name}, want.args...)...)
			if r.code != want.code {
				t.Errorf("exit code: got %d, want %d", r.code, want.code)
			}
			for _, line := range want.lines {
				container, text, _ := strings.Cut(line, ": ")
				if !regexp.MustCompile(`(?m)^` + container + `\s*[|│] ` + text + `$`).MatchString(r.stdout) {
					t.Errorf("no line %q", line)
				}
			}
			if want.check != nil {
				want.check(t, r)
			}
			// The deadline of crashloop is 2 s; everything else is over at once.
			if r.took > 10*time.Second {
				t.Errorf("took %v", r.took)
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
			}
		})
	}
}

// checkWaits: a pod of the lessons runs until it is stopped.
func checkWaits(t *testing.T, name string, args []string) {
	root := stateDir(t)
	for _, cmd := range [][]string{
		append([]string{"run", "-d", "example:" + name}, args...),
		{"exec", name, "--", "true"},
		{"stop", "--grace", "0s", name},
	} {
		if r := runIn(t, root, podlab(t), cmd...); r.code != 0 {
			t.Errorf("podlab %s: code %d\n%s%s", strings.Join(cmd, " "), r.code, r.stdout, r.stderr)
		}
	}
}

// TestExamplesFromFile: what is embedded is what lies in examples/.
func TestExamplesFromFile(t *testing.T) {
	for _, name := range examples.Names() {
		file, err := os.ReadFile("examples/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if data, err := examples.Read(name); err != nil || string(data) != string(file) {
			t.Errorf("%s: embedded and file differ (%v)", name, err)
		}
	}
	if r := run(t, "run", "examples/hello.yaml"); r.code != 0 || !strings.Contains(r.stdout, "we are one pod") {
		t.Errorf("run examples/hello.yaml: got code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// namespacesOf reads "left | ipc ipc:[4026532]" lines into container, kind -> number.
func namespacesOf(t *testing.T, stdout string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)\s*[|│] (\w+) (\w+:\[\d+\])$`).FindAllStringSubmatch(stdout, -1) {
		if all[m[1]] == nil {
			all[m[1]] = map[string]string{}
		}
		all[m[1]][m[2]] = m[3]
	}
	return all
}

func checkNamespaces(t *testing.T, r result) {
	a := namespacesOf(t, r.stdout)
	for _, kind := range []string{"ipc", "net", "uts", "mnt", "pid", "cgroup"} {
		left, right := a["left"][kind], a["right"][kind]
		if left == "" || right == "" {
			t.Errorf("%s: a container didn't say", kind)
			continue
		}
		if want := slices.Contains([]string{"ipc", "net", "uts"}, kind); (left == right) != want {
			t.Errorf("%s: left %s, right %s, want shared=%v", kind, left, right, want)
		}
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		if left == own || right == own {
			t.Errorf("%s: a container has the host's %s", kind, own)
		}
	}
}

func checkCrashLoop(t *testing.T, r result) {
	if n := strings.Count(r.stdout, "an attempt"); n != 2 {
		t.Errorf("attempts: got %d, want 2: one, and the first restart, which is at once", n)
	}
	if !strings.Contains(r.stderr, "DeadlineExceeded") {
		t.Errorf("stderr doesn't say DeadlineExceeded")
	}
	if r.took < 2*time.Second || r.took > 5*time.Second {
		t.Errorf("took %v, want the deadline of 2 s and little more", r.took)
	}
}
