package pod_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/podlab/podlab/internal/testenv"
)

// rich is a pod with something of everything in it that becomes a system call.
const rich = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, size: "7"}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {token: "42"}
---
apiVersion: v1
kind: Pod
metadata: {name: MARK}
spec:
  restartPolicy: Never
  FIELD
  hostname: rich
  hostAliases: [{ip: 10.0.0.1, hostnames: [one, two]}]
  securityContext: {USER sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "80"}]}
  volumes:
  - {name: data, emptyDir: {}}
  - {name: ram, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: settings, configMap: {name: settings}}
  - {name: hidden, secret: {secretName: hidden}}
  - {name: host, hostPath: {path: /usr/share}}
  containers:
  - name: a
    command: [sh, -c, "echo one"]
    workingDir: /work/here
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: ram, mountPath: /ram, readOnly: true}
    - {name: settings, mountPath: /settings}
    - {name: hidden, mountPath: /hidden}
  - name: b
    command: [/bin/sh, -c, "echo two"]
    volumeMounts:
    - {name: data, mountPath: /data, subPath: sub/dir}
    - {name: settings, mountPath: /size, subPath: size}
    - {name: host, mountPath: /share}
`

// planned is what `podlab plan -o json` says of a process.
type planned struct {
	Name  string
	Steps []struct {
		Key   string
		Calls []string
	}
}

// call is a system call of a plan, with its step.
type call struct{ key, text string }

// TestPlanAgreesWithStrace holds what podlab says that it does against what
// strace sees it do: each call of the pod stage and of each container, from
// birth to execve, its arguments, the order.
func TestPlanAgreesWithStrace(t *testing.T) {
	_, err := exec.LookPath("strace")
	testenv.Need(t, "strace", err == nil, "strace is not installed")
	eachCaller(t, func(t *testing.T, c *caller) {
		agrees(t, c, "", "")
		if c.uid != 0 {
			agrees(t, c, "", "runAsUser: 1000, runAsGroup: 1000,")
			return
		}
		agrees(t, c, "hostUsers: false", "")
		agrees(t, c, "hostPID: true", "runAsUser: 1000, supplementalGroups: [7, 8], fsGroup: 9,")
	})
}

func agrees(t *testing.T, c *caller, field, user string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	mark := fmt.Sprintf("strace-%d-%d", os.Getpid(), c.uid)
	file := c.write(t, "rich.yaml", strings.NewReplacer("MARK", mark, "FIELD", field, "USER", user).Replace(rich))
	// Under strace newuidmap has no rights: so no range of ids, here and there.
	log, nnp := c.dir+"/strace.log", []string{"setpriv", "--no-new-privs", "--"}
	data, err := c.command(ctx, append(nnp, c.prog, "plan", "-o", "json", file)...).Output()
	if err != nil {
		t.Fatalf("podlab plan: %v\n%s", err, data)
	}
	var plan struct {
		Pods []struct{ Processes []planned }
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	if out, err := c.command(ctx, append(nnp, "strace", "-f", "-v", "-s", "100000", "-o", log, c.prog, "run", "--explain", file)...).CombinedOutput(); err != nil {
		t.Fatalf("podlab run: %v\n%s", err, out)
	}
	lives := livesOf(t, log)
	for i, p := range plan.Pods[0].Processes {
		var want []call
		if i == 0 {
			want = append(want, call{"stage.death", "prctl(PR_SET_PDEATHSIG, SIGKILL)"})
			if c.uid != 0 || field == "hostUsers: false" {
				want = append(want, call{"user.wait", "read(<report>, {…}, 1)"})
			}
		}
		for _, s := range p.Steps {
			for _, text := range s.Calls {
				want = append(want, call{s.Key, text})
			}
		}
		life := lives[argsOf(want[len(want)-1].text)]
		if life == nil {
			t.Errorf("%s: strace saw no process that became %s", p.Name, want[len(want)-1].text)
			continue
		}
		compare(t, p.Name, want, life)
	}
}

// argsOf is the argv in an execve, which tells the processes apart.
func argsOf(text string) string {
	from, to := strings.Index(text, "["), strings.Index(text, "]")
	if from < 0 || to < from {
		return ""
	}
	return text[from : to+1]
}

var (
	markCall = regexp.MustCompile(`^clock_gettime\(CLOCK_MONOTONIC, |^write\(\d+, "((\\.|[^"\\])+\\0\\0\\0|\\377\\377\\377\\377)\\1\\0\\0\\0`)
	ownCall  = regexp.MustCompile(`^rt_sig(action|procmask)\(|^close_range\(\d+, \d+, 0\)`)
	result   = regexp.MustCompile(`\) += (-?\d+|\?|0x[0-9a-f]+)( .*)?$`)
)

// livesOf are the calls of each process from its birth to its execve, without
// the marks that --explain needs, and without what the Go runtime and podlab do
// in a newborn before the first step.
func livesOf(t *testing.T, log string) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lives, begun, all := map[string][]string{}, map[string]string{}, map[string][]string{}
	for line := range strings.Lines(string(data)) {
		pid, l, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		l = strings.TrimLeft(l, " ")
		if first, ok := strings.CutSuffix(l, " <unfinished ...>"); ok {
			begun[pid] = first
			continue
		}
		if _, rest, ok := strings.Cut(l, " resumed>"); ok {
			l = begun[pid] + rest
		}
		if strings.HasPrefix(l, "---") || strings.HasPrefix(l, "+++") || markCall.MatchString(l) || len(all[pid]) == 0 && ownCall.MatchString(l) {
			continue
		}
		all[pid] = append(all[pid], l)
		if args := argsOf(l); strings.HasPrefix(l, "execve(") && strings.HasSuffix(l, " = 0") && lives[args] == nil {
			lives[args] = all[pid]
		}
	}
	return lives
}

// compare wants the same calls in the same order. What a step does in case of
// an error that is no failure may be left out: the rest of a step after one that
// ended so, and the other directories of PATH after the first that has the
// program.
func compare(t *testing.T, name string, want []call, got []string) {
	t.Helper()
	names := map[string]string{}
	i := 0
	for _, g := range got {
		for i < len(want) && !same(want[i], g, names) {
			if i > 0 && want[i].key == want[i-1].key && strings.HasPrefix(want[i].text, "mount(NULL") && want[i].key != "exec" {
				i++
				continue
			}
			t.Errorf("%s: %s: podlab says %s\nstrace saw %s", name, want[i].key, want[i].text, g)
			break
		}
		if i == len(want) {
			t.Errorf("%s: strace saw one more: %s", name, g)
			return
		}
		i++
	}
	for _, w := range want[i:] {
		if w.key != "exec" {
			t.Errorf("%s: %s: podlab says %s, and strace saw nothing", name, w.key, w.text)
		}
	}
}

var (
	version    = regexp.MustCompile(`\.\.20\d\d(_\d\d){5}\.\d+`)
	descriptor = regexp.MustCompile(`<[a-z0-9./\\-]+>`)              // quoted
	pidfdOut   = regexp.MustCompile(` => \{[^{}]*\}| /\* [^*]* \*/`) // what came out; a remark
)

// same holds a call of the plan against one of strace, whose descriptors have
// numbers, and where pointers are followed. A descriptor's name means the same
// number each time.
func same(w call, got string, names map[string]string) bool {
	got = version.ReplaceAllString(pidfdOut.ReplaceAllString(result.ReplaceAllString(got, ")"), ""), "..VERSION")
	pattern := regexp.QuoteMeta(version.ReplaceAllString(w.text, "..VERSION"))
	if strings.HasPrefix(w.key, "container.fork") {
		pattern = strings.ReplaceAll(pattern, `close\(0\)`, `close\(\d+\)`) // a plan has no descriptors
	}
	var order []string
	pattern = descriptor.ReplaceAllStringFunc(pattern, func(d string) string {
		if names[d] != "" && d != "<fd>" && !strings.HasPrefix(w.text, "open") {
			return names[d]
		}
		order = append(order, d)
		return `(\d+)`
	})
	m := regexp.MustCompile("^" + strings.ReplaceAll(pattern, `\{…\}`, `.+`) + "$").FindStringSubmatch(got)
	for i, d := range order {
		if m != nil {
			names[d] = m[i+1]
		}
	}
	return m != nil
}
