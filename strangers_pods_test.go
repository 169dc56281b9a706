package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pods are detached pods below one state directory, which end with the test.
type pods struct {
	t    *testing.T
	root string
}

// podHeader begins a pod whose containers follow.
func podHeader(name string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  containers:\n"
}

// startPods runs the pods of a manifest.
func startPods(t *testing.T, manifest string, flags ...string) pods {
	t.Helper()
	p := pods{t, stateDir(t)}
	file := filepath.Join(t.TempDir(), "pods.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.of(t).stop(regexp.MustCompile(`metadata: {name: (\w+)`).FindAllStringSubmatch(manifest, -1)) })
	r := p.run(append([]string{"run", "-d", file}, flags...)...)
	if r.code != 0 {
		t.Fatalf("podlab run -d: code %d\n%s%s%s", r.code, manifest, r.stdout, r.stderr)
	}
	return p
}

// of is the same pods in a subtest.
func (p pods) of(t *testing.T) pods { return pods{t, p.root} }

// stop ends what runs. It is called when the test's own context has ended.
func (p pods) stop(names [][]string) {
	args := []string{"stop", "--grace", "0s"}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(p.root, "default_"+name[1])); err == nil {
			args = append(args, name[1])
		}
	}
	if len(args) == 3 {
		return
	}
	if out, err := p.late(args...); err != nil {
		p.t.Errorf("podlab %q: %v\n%s", args, err, out)
	}
}

// late runs podlab when the test's own context may have ended.
func (p pods) late(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, podlab(p.t), args...)
	cmd.Env = append(os.Environ(), "PODLAB_ROOT="+p.root)
	return cmd.CombinedOutput()
}

// run runs podlab on the host.
func (p pods) run(args ...string) result {
	p.t.Helper()
	return runIn(p.t, p.root, podlab(p.t), args...)
}

// exec runs a command in a container, POD/CONTAINER.
func (p pods) exec(where string, command ...string) result {
	p.t.Helper()
	return p.run(append([]string{"exec", where, "--"}, command...)...)
}

// does wants that a command succeeds, and returns what it prints.
func (p pods) does(where string, command ...string) string {
	p.t.Helper()
	r := p.exec(where, command...)
	if r.code != 0 {
		p.t.Fatalf("%s: %q: got code %d, want 0\n%s%s", where, command, r.code, r.stdout, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// prints wants that, and exactly this on standard output.
func (p pods) prints(where, want string, command ...string) {
	p.t.Helper()
	if got := p.does(where, command...); got != want {
		p.t.Fatalf("%s: %q: got %q, want %q", where, command, got, want)
	}
}

// refused wants code 1 and an errno on standard error, and nothing else.
func (p pods) refused(where, errno string, command ...string) {
	p.t.Helper()
	r := p.exec(where, command...)
	if r.code != 1 || r.stdout != "" || !regexp.MustCompile(`\b`+errno+`\b`).MatchString(r.stderr) {
		p.t.Fatalf("%s: %q: got code %d, want 1 and %s\n%s%s", where, command, r.code, errno, r.stdout, r.stderr)
	}
}

// running is a command in a container that goes on, with its output.
type running struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Scanner
	in  io.Closer
}

// starts begins a command in a container. Standard input stays open until it is waited for.
func (p pods) starts(where string, command ...string) *running {
	p.t.Helper()
	return p.begins(append([]string{"exec", "-i", where, "--"}, command...)...)
}

// follows reads the log of a container.
func (p pods) follows(where string) *running {
	p.t.Helper()
	return p.begins("logs", "-f", where)
}

// begins is podlab on the host.
func (p pods) begins(args ...string) *running {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, podlab(p.t), args...)
	cmd.Env = append(os.Environ(), "PODLAB_ROOT="+p.root, "NO_COLOR=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	in, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { cancel(); _ = cmd.Wait() }) // a second Wait only says so
	return &running{p.t, cmd, bufio.NewScanner(out), in}
}

// says reads lines until one matches.
func (r *running) says(pattern string) {
	r.t.Helper()
	want := regexp.MustCompile(pattern)
	var seen strings.Builder
	for r.out.Scan() {
		if want.MatchString(r.out.Text()) {
			return
		}
		fmt.Fprintln(&seen, r.out.Text())
	}
	r.t.Fatalf("%q ended without a line like %q:\n%s", r.cmd.Args, pattern, &seen)
}

// ends closes standard input, waits and returns the rest of the output.
func (r *running) ends() (rest string, code int) {
	r.t.Helper()
	_ = r.in.Close() // a program that has ended has no reader
	var b strings.Builder
	for r.out.Scan() {
		fmt.Fprintln(&b, r.out.Text())
	}
	_ = r.cmd.Wait() // the code tells
	return b.String(), r.cmd.ProcessState.ExitCode()
}
