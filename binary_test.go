package main_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/podlab/podlab/internal/testenv"
)

// What is tested here is the program as a user gets it: built once, run as a
// process of its own. PODLAB_BINARY names one that is built already.
var built struct {
	sync.Once
	dir, file string
	out       []byte
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // the temporary folder is cleaned by others too
	}
	os.Exit(code)
}

// podlab returns the path of the program.
func podlab(t *testing.T) string {
	t.Helper()
	if file := os.Getenv("PODLAB_BINARY"); file != "" {
		return file
	}
	_, err := exec.LookPath("go")
	testenv.Need(t, "go", err == nil, "the go command isn't on PATH")
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "podlab-test"); built.err != nil {
			return
		}
		built.file = filepath.Join(built.dir, "podlab")
		cmd := exec.Command("go", "build", "-o", built.file, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		built.out, built.err = cmd.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("go build: %v\n%s", built.err, built.out)
	}
	return built.file
}

// result is what a command left behind.
type result struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

// run runs podlab with a state directory of its own.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return runIn(t, stateDir(t), podlab(t), args...)
}

func runIn(t *testing.T, root, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "PODLAB_ROOT="+root, "NO_COLOR=1", "PATH="+filepath.Dir(podlab(t))+":"+os.Getenv("PATH"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", program, args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %q: still running after a minute\n%s%s", program, args, &stdout, &stderr)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(begin)}
}

// stateDir is a name for a state directory; podlab makes it, 0700, at its first use.
func stateDir(t *testing.T) string { return filepath.Join(t.TempDir(), "state") }
