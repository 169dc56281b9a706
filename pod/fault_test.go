package pod_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// faults are the system calls of a start and an end, each with an errno that it
// may well return. Not among them is what the kernel never refuses: close(2)
// lets go of the descriptor whatever it returns, and where strace makes a call
// fail it isn't made at all; rt_sigaction(2), rt_sigprocmask(2), read(2) of a
// pipe, wait4(2) of one's own child.
var faults = [...]struct {
	call  string
	errno unix.Errno
}{
	{"mount", unix.EPERM}, {"umount2", unix.EINVAL}, {"pivot_root", unix.EINVAL}, {"open_tree", unix.EPERM}, {"move_mount", unix.EINVAL}, {"mount_setattr", unix.EPERM},
	{"clone", unix.EAGAIN}, {"clone3", unix.ENOSPC}, {"execve", unix.EACCES}, {"execve", unix.ENOENT},
	{"prctl", unix.EPERM}, {"capset", unix.EPERM}, {"setresuid", unix.EAGAIN}, {"setresgid", unix.EPERM}, {"setgroups", unix.EPERM}, {"setsid", unix.EPERM},
	{"sethostname", unix.EPERM}, {"socket", unix.EMFILE}, {"ioctl", unix.EPERM}, {"chdir", unix.EACCES}, {"dup3", unix.EMFILE}, {"close_range", unix.ENOSYS},
	{"mkdirat", unix.ENOSPC}, {"mknodat", unix.ENOSPC}, {"symlinkat", unix.ENOSPC}, {"fchmodat", unix.EPERM}, {"fchownat", unix.EPERM},
	{"openat", unix.EMFILE}, {"openat2", unix.ENFILE}, {"write", unix.ENOSPC}, {"renameat", unix.ENOSPC}, {"flock", unix.ENOLCK}, {"pipe2", unix.EMFILE},
	{"socketpair", unix.EMFILE}, {"sendmsg", unix.ENOBUFS}, {"recvmsg", unix.ENOMEM}, {"pidfd_send_signal", unix.EPERM}, {"shutdown", unix.ENOTCONN},
	{"unlinkat", unix.EIO}, {"getdents64", unix.EIO},
}

// bearable are the calls that a pod can do without, now and then, by how strace
// prints them.
var bearable = map[string]*regexp.Regexp{
	"clone":       regexp.MustCompile(`CLONE_VM`),                                               // a thread: the Go runtime tries again
	"execve":      regexp.MustCompile(`bin/sh`),                                                 // it is in the next directory of PATH too
	"openat":      regexp.MustCompile(`"/sys/|"/proc/|"/etc/|"/lib|"state.json.new"|/s>, "\."`), // what the machine need not have, and a cache
	"write":       regexp.MustCompile(`state\.json`),                                            // a cache
	"renameat":    regexp.MustCompile(`state\.json`),                                            // the same
	"ioctl":       regexp.MustCompile(`TCGETS`),                                                 // is it a terminal?
	"flock":       regexp.MustCompile(`LOCK_UN`),                                                // close(2) unlocks
	"close_range": regexp.MustCompile(`, 0( *<|\))`),                                            // to close early what execve closes
	"getdents64":  regexp.MustCompile(`/default_fault-`),                                        // removing the directory is tried twice
	"unlinkat":    regexp.MustCompile(`default_fault-`),                                         // the same
	"openat2":     regexp.MustCompile(`^ ?openat2\(\d+<[^>]*/default_fault-`),                   // the same
	"shutdown":    regexp.MustCompile(``),                                                       // so does it hang up
	"sendmsg":     regexp.MustCompile(``),                                                       // the stage's last word, when all is known
	"recvmsg":     regexp.MustCompile(``),                                                       // the last order, which is to end
}

// fault is one failure of one system call: of the when-th of each process, or
// of the first that is about path.
type fault struct {
	kill  bool // SIGKILL to who makes the call, in place of an error
	call  string
	errno unix.Errno
	when  int
	path  string
}

func (f fault) String() string {
	if f.kill {
		return fmt.Sprintf("%s %d %s: SIGKILL", f.call, f.when, f.path)
	}
	if f.path != "" {
		return fmt.Sprintf("%s of %s: %s", f.call, f.path, unix.ErrnoName(f.errno))
	}
	return fmt.Sprintf("%s %d: %s", f.call, f.when, unix.ErrnoName(f.errno))
}

const twoContainers = `
apiVersion: v1
kind: Pod
metadata: {name: MARK}
spec:
  restartPolicy: Never
  volumes: [{name: data, emptyDir: {}}, {name: ram, emptyDir: {medium: Memory}}]
  containers:
  - name: a
    command: [sh, -c, "echo one"]
    volumeMounts: [{name: data, mountPath: /data}, {name: ram, mountPath: /ram}]
  - name: b
    command: [sh, -c, "echo two"]
    workingDir: /work/here
    volumeMounts: [{name: data, mountPath: /data, subPath: sub/dir}]
`

// faulty is podlab run under strace with a fault, and what came of it.
type faulty struct {
	fault
	code           int
	stdout, stderr string
	log            []string // strace's
	took           time.Duration
}

func (c *caller) faulty(t *testing.T, f fault, file string) faulty {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	log := c.dir + "/strace.log"
	args := []string{"strace", "-f", "--seccomp-bpf", "-y", "-o", log, "-e", "trace=execve," + f.call}
	switch {
	case f.kill:
		args = append(args, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", f.call, max(1, f.when)))
	case f.errno != 0:
		args = append(args, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", f.call, unix.ErrnoName(f.errno), max(1, f.when)))
	}
	if f.path != "" {
		args = append(args, "-P", f.path)
	}
	cmd := c.command(ctx, append(args, c.prog, "run", file)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		t.Errorf("%v: strace: %v", f, err)
	}
	r := faulty{fault: f, code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), took: time.Since(began)}
	for l := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(l, "strace: Requested path ") {
			r.stderr += l
		}
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Errorf("%v: %v", f, err)
	}
	r.log = strings.Split(string(b), "\n")
	return r
}

var straceLine = regexp.MustCompile(`^(\d+) +(<\.\.\. )?(\w+)(?: resumed>|\()(.*)$`)

// TestFaults lets every system call of a start fail, each time another one.
// strace counts the calls of each process apart, so that a fault may hit two:
// the containers are born side by side, and complain side by side.
func TestFaults(t *testing.T) {
	_, err := exec.LookPath("strace")
	testenv.Need(t, "strace", err == nil, "strace is not installed")
	eachCaller(t, func(t *testing.T, c *caller) {
		t.Parallel()
		mark := fmt.Sprintf("fault-%d-%d", os.Getpid(), c.uid)
		file := c.write(t, "pod.yaml", strings.ReplaceAll(twoContainers, "MARK", mark))
		all, done, began := c.allFaults(t, file), 0, time.Now()
		for _, f := range all {
			if time.Since(began) > 80*time.Second || testing.Short() && done > len(all)/9 {
				break
			}
			done++
			r := c.faulty(t, f, file)
			if why := r.judge(mark); why != "" {
				t.Errorf("%v: %s; exit code %d after %v\n%s%s", r.fault, why, r.code, r.took, r.stdout, r.stderr)
			}
			left := c.left(mark)
			if len(left) == 1 && left[0] == c.dir+"/s/default_"+mark && strings.Contains(r.stderr, c.dir+"/s") && r.code == 125 {
				// It is the deleting that failed. The next start deletes.
				if r = c.faulty(t, fault{call: "execve"}, file); r.code != 0 {
					t.Errorf("after %v: exit code %d\n%s", f, r.code, r.stderr)
				}
				left = c.left(mark)
			}
			if left != nil {
				t.Errorf("%v: left behind: %q", f, left)
			}
		}
		t.Logf("%d faults of %d", done, len(all))
	})
}

// TestKillAtEachCall kills whoever makes a system call, at that call: the
// supervisor, the stage, a container on its way. Nothing is left after a second
// but a directory, and the next start clears that.
func TestKillAtEachCall(t *testing.T) {
	_, err := exec.LookPath("strace")
	testenv.Need(t, "strace", err == nil, "strace is not installed")
	eachCaller(t, func(t *testing.T, c *caller) {
		t.Parallel()
		mark := fmt.Sprintf("call-%d-%d", os.Getpid(), c.uid)
		file := c.write(t, "pod.yaml", strings.ReplaceAll(twoContainers, "MARK", mark))
		next := c.write(t, "short.yaml", strings.ReplaceAll(short, "MARK", mark))
		done, began := 0, time.Now()
		all := c.allFaults(t, file)
		for _, f := range all {
			if time.Since(began) > 30*time.Second || testing.Short() && done > len(all)/15 {
				break
			}
			done++
			f.kill = true
			r := c.faulty(t, f, file)
			waitGone(mark, time.Now().Add(time.Second))
			left := slices.DeleteFunc(c.left(mark), func(l string) bool { return l == c.dir+"/s/default_"+mark })
			if len(left) > 0 || r.took > 10*time.Second {
				t.Errorf("%v: left behind after %v: %q\n%s", f, r.took, left, r.stderr)
			}
			if why := c.again(t, next, mark); why != "" {
				t.Errorf("after %v: %s", f, why)
			}
		}
		t.Logf("%d calls of %d", done, len(all))
	})
}

// allFaults are all faults of a pod's start and end, in any order, but the same
// each time: a slow machine then leaves out some of everything.
func (c *caller) allFaults(t *testing.T, file string) []fault {
	t.Helper()
	var calls []string
	for _, f := range faults {
		if !slices.Contains(calls, f.call) {
			calls = append(calls, f.call)
		}
	}
	base := c.faulty(t, fault{call: strings.Join(calls, ",")}, file)
	if base.code != 0 {
		t.Fatalf("without a fault: exit code %d\n%s", base.code, base.stderr)
	}
	all := faultsOf(base.log)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// judge says what is wrong with the answer to a fault, or "".
func (r *faulty) judge(mark string) string {
	hits, newborn, program := r.hit()
	// A pod whose control socket can't be made runs all the same, and says so once.
	if note, rest, ok := strings.Cut(r.stderr, "\n"); ok && rest == "" && r.code == 0 && strings.Contains(note, ": nobody can exec into this pod: ") &&
		strings.Contains(r.stdout, "a | one\n") && strings.Contains(r.stdout, "b | two\n") {
		return ""
	}
	complaints := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
	complaints = slices.DeleteFunc(complaints, func(l string) bool { return strings.HasPrefix(l, "podlab: hint: ") })
	switch {
	case r.code < 0:
		return "it hangs"
	case program:
		return "" // the container's business, not podlab's
	case r.code == 0 && (r.stderr != "" || !strings.Contains(r.stdout, "a | one\n") || !strings.Contains(r.stdout, "b | two\n")):
		return "success, but not quite"
	case r.code == 0 && slices.ContainsFunc(hits, func(l string) bool { return bearable[r.call] == nil || !bearable[r.call].MatchString(l) }):
		return fmt.Sprintf("as if nothing had happened: %q", hits)
	case r.code == 0:
		return "" // bearable, or there was no such call this time
	case r.code != 125 && (r.call != "execve" || r.code != 126 && r.code != 127):
		return "want exit code 125"
	case len(complaints) > 3: // the containers, and the directory
		return "too many words"
	}
	named := false
	for _, l := range complaints {
		switch {
		case !strings.HasPrefix(l, "podlab: "):
			return "not a message of podlab"
		case r.code == 125 && !strings.HasSuffix(l, ": "+r.errno.Error()):
			return "the reason is missing"
		}
		named = named || regexp.MustCompile(": "+mark+`(/[ab])?: [a-z]+(?:\.[a-z]+)?(\[\S+\])?: `+r.call).MatchString(l)
	}
	if newborn && !named && r.code == 125 {
		return "the step is missing"
	}
	return ""
}

// hit is which calls the fault met, and whether one was a newborn's, before its
// execve, or all of them a container's program's own.
func (r *faulty) hit() (hits []string, newborn, program bool) {
	runs, hit, begun, programs := map[string]bool{}, map[string]bool{}, map[string]string{}, 0
	for i, l := range r.log {
		pid, rest, _ := strings.Cut(l, " ")
		rest = strings.TrimLeft(rest, " ") // strace aligns short pids
		if before, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
			begun[pid] = before
			continue
		}
		if strings.Contains(rest, "<... ") {
			rest = begun[pid] + rest
		}
		switch {
		case strings.HasSuffix(rest, "(INJECTED)"):
			hit[pid] = true
			hits = append(hits, rest)
			if runs[pid] {
				programs++
			}
		case strings.Contains(rest, "execve(") && strings.HasSuffix(rest, "= 0") && !strings.Contains(rest, "podlab") && i > 0:
			runs[pid] = true
		case strings.HasSuffix(rest, "+++ exited with 127 +++") && hit[pid] && !runs[pid]:
			newborn = true
		}
	}
	return hits, newborn, programs > 0 && programs == len(hit)
}

// aboutPath are the calls that strace can tell by the path that they are about.
var aboutPath = map[string]*regexp.Regexp{
	"mount": regexp.MustCompile(`^(?:"[^"]*"|NULL), "([^"]+)"`), "mkdirat": nil, "mknodat": nil, "openat": nil, "openat2": nil, "open_tree": nil, "fchmodat": nil, "fchownat": nil,
	"chdir": nil, "execve": nil, "move_mount": regexp.MustCompile(`"([^"]+)", [A-Z]`), "write": regexp.MustCompile(`^\d+<(/[^>]+)>`),
}

var firstPath = regexp.MustCompile(`"([^"]+)"`)

// faultsOf are all faults that a run can be given. What a container's process
// does is hidden behind what others do as often, if it isn't told by a path.
func faultsOf(log []string) (all []fault) {
	type key struct{ call, pid string }
	count, paths, first := map[key]int{}, map[string][]string{}, ""
	for _, l := range log {
		m := straceLine.FindStringSubmatch(l)
		if m == nil || m[2] != "" {
			continue
		}
		if first == "" {
			first = m[1]
		}
		count[key{m[3], m[1]}]++
		which, ok := aboutPath[m[3]]
		if which == nil {
			which = firstPath
		}
		if q := which.FindStringSubmatch(m[4]); ok && q != nil && m[1] != first && !slices.Contains(paths[m[3]], q[1]) {
			paths[m[3]] = append(paths[m[3]], q[1])
		}
	}
	for _, f := range faults {
		most := 0
		for k, n := range count {
			// The Go runtime wakes itself by write(2), and can't live without.
			if k.call == f.call && f.call != "write" {
				most = max(most, n)
			}
		}
		for n := range most {
			all = append(all, fault{call: f.call, errno: f.errno, when: n + 1})
		}
		for _, p := range paths[f.call] {
			all = append(all, fault{call: f.call, errno: f.errno, path: p})
		}
	}
	return all
}
