package pod_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
	"github.com/podlab/podlab/ns"
)

const execPod = `
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  EXTRA
  containers:
  - name: app
    env: [{name: MARK, value: here}]
    workingDir: /tmp
    command: [sleep, "1000"]
  - {name: other, command: [sleep, "1000"]}
`

// detach runs a pod of that name in the background, until the test ends.
func (c *caller) detach(ctx context.Context, t *testing.T, name, extra string, flags ...string) {
	t.Helper()
	file := c.write(t, name+".yaml", strings.NewReplacer("NAME", name, "EXTRA", extra).Replace(execPod))
	cmd := c.command(ctx, append([]string{c.prog, "run", "-d", file}, flags...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("podlab run -d: %v\n%s", err, out)
	}
	t.Cleanup(func() { c.end(t, name) })
}

// end stops a detached pod, and wants nothing to be left of it.
func (c *caller) end(t *testing.T, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if out, err := c.command(ctx, c.prog, "stop", "--grace", "0s", name).CombinedOutput(); err != nil {
		t.Errorf("podlab stop %s: %v\n%s", name, err, out)
	}
	if left, err := os.ReadDir(c.dir + "/s/default_" + name); err == nil {
		t.Errorf("podlab stop %s left %v", name, left)
	}
}

// exec runs a command in a container and returns what it prints, and its exit code.
func (c *caller) exec(ctx context.Context, t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := c.command(ctx, append([]string{c.prog, "exec"}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("podlab exec %v: %v\n%s", args, err, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestExecIsInside holds a process that exec has started against the one that the
// manifest has: same namespaces, ids, capabilities, limits, directory, environment.
func TestExecIsInside(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		for _, extra := range []string{"", "shareProcessNamespace: true", "hostPID: true", "hostIPC: true", "hostNetwork: true",
			"securityContext: {runAsUser: 12, runAsGroup: 13}", "hostUsers: false"} {
			t.Run(extra, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				c.detach(ctx, t, "in", extra)
				for _, name := range []string{"app", "other"} {
					// The container's own process is the sleep in its mount namespace.
					look := `readlink $p/ns/*; grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig.gn)' $p/status; cat $p/cgroup $p/limits; readlink $p/root $p/cwd; tr '\0' '\n' < $p/environ | sort`
					script := `for d in /proc/[0-9]*; do [ "$(readlink $d/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ] && [ "$(cat $d/comm)" = sleep ] && p=$d; done; ` + look + `; echo =====; p=/proc/$$; ` + look
					out, code := c.exec(ctx, t, "in/"+name, "--", "sh", "-c", script)
					main, own, ok := strings.Cut(out, "=====\n")
					if !ok || code != 0 || main != own || len(main) < 200 {
						t.Errorf("%s: exit code %d\nthe container's process:\n%s\nthe one of exec:\n%s", name, code, main, own)
					}
				}
			})
		}
	})
}

func TestExecEnds(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		for _, extra := range []string{"", "shareProcessNamespace: true", "hostPID: true"} {
			t.Run(extra, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				c.detach(ctx, t, "ends", extra)
				for _, k := range []struct {
					args []string
					out  string
					code int
				}{
					{[]string{"ends", "true"}, "", 0},
					{[]string{"ends", "--", "sh", "-c", "echo out; echo err >&2; echo more; exit 7"}, "out\nerr\nmore\n", 7},
					{[]string{"ends", "-e", "A=b c", "--", "sh", "-c", `echo "$A $MARK $PWD"`}, "b c here /tmp\n", 0},
					{[]string{"ends", "-c", "other", "--", "sh", "-c", "kill -9 $$"}, "podlab: exec: sh was killed by SIGKILL\n", 137},
					{[]string{"ends", "nope"}, "podlab: exec: ends: exec: nope: not found in PATH\n", 127},
					{[]string{"ends", "/etc/passwd"}, "", 126},
					{[]string{"ends/nope", "true"}, "podlab: exec: ends/nope: ends/nope: there is no such container\n", 125},
					{[]string{"ends", "--", "sh", "-c", "sleep 999 & echo x"}, "x\n", 0}, // isn't waited for
				} {
					out, code := c.exec(ctx, t, k.args...)
					if code != k.code || k.out != "" && !strings.HasPrefix(out, k.out) {
						t.Errorf("%s: %v: got code %d and %q, want %d and %q", extra, k.args, code, out, k.code, k.out)
					}
				}
			})
		}
	})
}

// TestExecManyAtOnce: every one gets its own exit code and its own output, and the
// pod stage leaves none of them a zombie.
func TestExecManyAtOnce(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		c.detach(ctx, t, "many", "shareProcessNamespace: true")
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				in := strings.Repeat(strconv.Itoa(i)+"\n", 3000) // more than a pipe holds
				cmd := c.command(ctx, c.prog, "exec", "-i", "many/"+[]string{"app", "other"}[i%2], "--", "sh", "-c", fmt.Sprintf("(true &) ; cat; exit %d", i))
				cmd.Stdin = strings.NewReader(in)
				out, _ := cmd.Output()
				if string(out) != in || cmd.ProcessState.ExitCode() != i {
					t.Errorf("%d: exit code %d, %d bytes of %d", i, cmd.ProcessState.ExitCode(), len(out), len(in))
				}
			})
		}
		all.Wait()
		// Those whose parents are gone are the stage's to reap, which may take it a moment.
		for out := "Z"; strings.Contains(out, "Z"); {
			out, _ = c.exec(ctx, t, "many", "--", "ps", "-eo", "stat,args")
		}
	})
}

// TestExecDiesWithItsClient: nobody waits for it any more.
func TestExecDiesWithItsClient(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c.detach(ctx, t, "left", "")
		cmd := c.command(ctx, c.prog, "exec", "left", "--", "sh", "-c", "echo ready; exec sleep 4711")
		out, err := cmd.StdoutPipe()
		if err != nil || cmd.Start() != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(out, make([]byte, 6))
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		for text := "4711"; strings.Contains(text, "sleep 4711"); {
			text, _ = c.exec(ctx, t, "left", "--", "ps", "-eo", "args")
		}
	})
}

// TestExecSignals: what podlab exec gets, its program gets.
func TestExecSignals(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c.detach(ctx, t, "sig", "")
		cmd := c.command(ctx, c.prog, "exec", "sig", "--", "sh", "-c", "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done")
		out, err := cmd.StdoutPipe()
		if err != nil || cmd.Start() != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(out, make([]byte, 6))
		_ = cmd.Process.Signal(syscall.SIGUSR1)
		text, _ := io.ReadAll(out)
		if _ = cmd.Wait(); string(text) != "got\n" || cmd.ProcessState.ExitCode() != 5 {
			t.Errorf("got %q and exit code %d, want %q and 5", text, cmd.ProcessState.ExitCode(), "got\n")
		}
	})
}

// TestExecIsNeverMore: what a container sees of a process that joins it never has
// more power than its own, not for a moment.
func TestExecIsNeverMore(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		_, err := exec.LookPath("perl")
		testenv.Need(t, "perl", err == nil, "there is no perl")
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		c.detach(ctx, t, "more", "")
		look := c.command(ctx, c.prog, "exec", "-i", "more", "--", "perl", "-e", `$| = 1; print "ready\n";
			sub cap { open(my $f, "<", "/proc/$_[0]/status") or return ""; join("", grep /^Cap(Prm|Eff|Bnd|Amb)/, <$f>) } $own = cap("self");
			for (;;) { for $p (2..400) { $c = cap($p); print $c if $c ne "" && $c ne $own && !$seen{$c}++ } }`)
		out, err := look.StdoutPipe()
		if err != nil || look.Start() != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(out, make([]byte, 6))
		for range 40 {
			c.exec(ctx, t, "more", "true")
		}
		_ = look.Process.Signal(syscall.SIGTERM)
		saw, _ := io.ReadAll(out)
		_ = look.Wait() // terminated
		if len(saw) > 0 {
			t.Errorf("got processes with\n%s, want none but with the container's capabilities", saw)
		}
	})
}

// TestExecTerminal: a terminal of the container's own, of our terminal's size.
func TestExecTerminal(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c.detach(ctx, t, "tty", "")
		master, slave := terminal(t, 33, 77)
		cmd := c.command(ctx, c.prog, "exec", "-it", "tty", "--", "sh", "-c", "tty; stty size; echo ready; read line; echo got $line; cat; exit 6")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = slave.Close()
		var seen bytes.Buffer
		expect := func(text string) {
			t.Helper()
			buf := make([]byte, 1<<10)
			for !strings.Contains(seen.String(), text) {
				n, err := master.Read(buf)
				if seen.Write(buf[:n]); err != nil {
					t.Fatalf("%v; want %q in:\n%s", err, text, seen.String())
				}
			}
		}
		expect("/dev/pts/0\r\n33 77\r\nready")
		_, _ = master.WriteString("hello\r")
		expect("got hello")
		_, _ = master.WriteString("again\r")
		expect("again\r\nagain")          // the terminal's echo, and cat's
		_, _ = master.WriteString("\x03") // Ctrl-C ends cat, and the shell with it
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("got exit code %d, want 130\n%s", code, seen.String())
		}
	})
}

// terminal is a pseudoterminal of that size.
func terminal(t *testing.T, rows, cols uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(n)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// TestWithout: what --without leaves out is shared with the machine, and nothing else.
func TestWithout(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		for _, k := range []ns.Kind{ns.IPC, ns.Net, ns.UTS, ns.PID, ns.Mnt, ns.Cgroup, ns.User} {
			name := k.String()
			if k == ns.Mnt {
				name = "mount"
			}
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if k == ns.User && c.uid != 0 {
					file := c.write(t, "none.yaml", strings.NewReplacer("NAME", "none", "EXTRA", "").Replace(execPod))
					out, err := c.command(ctx, c.prog, "run", "-d", "--without", name, file).CombinedOutput()
					if err == nil || !strings.Contains(string(out), "an ordinary user's pod needs a user namespace") {
						t.Errorf("got %v, %s", err, out)
					}
					return
				}
				extra := ""
				if k == ns.User {
					extra = "hostUsers: false"
				}
				c.detach(ctx, t, "wo", extra, "--without", name)
				host := links(t, os.Getpid())
				out, _ := c.exec(ctx, t, "wo", "--", "sh", "-c", "readlink /proc/self/ns/*")
				for _, kind := range ns.AllKinds() {
					want := kind == k || kind == ns.Time || kind == ns.User && c.uid == 0
					if k == ns.Mnt && kind == ns.Mnt {
						want = false // the pod's copy of the machine's mounts, so that those are never touched
					}
					if got := strings.Contains(out, fmt.Sprintf("%s:[%d]\n", kind, host[kind.String()])); got != want {
						t.Errorf("shares %s with the machine: got %v, want %v\n%s", kind, got, want, out)
					}
				}
				if k == ns.Mnt {
					c.seesTheMachine(ctx, t)
				}
			})
		}
	})
}

// seesTheMachine: without mount, a container sees this machine's files.
func (c *caller) seesTheMachine(ctx context.Context, t *testing.T) {
	t.Helper()
	if out, code := c.exec(ctx, t, "wo/other", "--", "cat", c.dir+"/wo.yaml"); code != 0 || !strings.Contains(out, "kind: Pod") {
		t.Errorf("it doesn't see %s/wo.yaml: exit code %d, %s", c.dir, code, out)
	}
	if out, code := c.exec(ctx, t, "wo", "--", "sh", "-c", "podlab version"); code != 0 {
		t.Errorf("no podlab on its PATH: exit code %d, %s", code, out)
	}
}

// TestExecEarly: a container's first words may be out before podlab knows that it
// runs. Who asks then is not told that there is no process.
func TestExecEarly(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		file := c.write(t, "early.yaml", strings.NewReplacer("NAME", "early", "MARK", "m").Replace(twoSleepers))
		for range 20 {
			end := c.runUntilReady(ctx, t, file)
			for text := "just being made"; strings.Contains(text, "just being made"); { // the socket comes 10 ms later
				var code int
				if text, code = c.exec(ctx, t, "early/b", "echo", "in"); text != "in\n" && !strings.Contains(text, "just being made") {
					t.Errorf("exit code %d, %q", code, text)
				}
			}
			end()
		}
	})
}

// TestExecKilledEarly kills podlab exec at every moment of the birth of its
// program. What the pod stage isn't told of would stay a zombie that the
// container's first process waits for, and the pod would never end.
func TestExecKilledEarly(t *testing.T) {
	eachCaller(t, func(t *testing.T, c *caller) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		c.detach(ctx, t, "early", "")
		for i := range 150 {
			cmd := c.command(ctx, c.prog, "exec", "early", "--", "sleep", "4712")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for start := time.Now(); time.Since(start) < time.Duration(i)*100*time.Microsecond; {
				runtime.Gosched()
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
		}
		for text := "4712"; strings.Contains(text, "sleep 4712") || strings.Contains(text, "defunct"); {
			text, _ = c.exec(ctx, t, "early", "--", "ps", "-eo", "args")
		}
	})
}
