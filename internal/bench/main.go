package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := bench(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(args []string, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "ipc":
			return ipcBench(args[1:], out)
		case "play":
			return play(args[1:], out)
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 60, "rounds")
	// A kernel that had nothing to do for 20 ms answers as it does to a person; a hot loop hides what that costs.
	idle := flags.Duration("idle", 20*time.Millisecond, "rest before each run")
	n := flags.Int("containers", 2, "containers of the pod")
	podlab := flags.String("podlab", "", "podlab's binary; built from this checkout otherwise")
	inside := flags.String("inside", "", "work directory, where the mounts are private already")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *inside == "" {
		return outside(args, *podlab, out)
	}
	w := work{dir: *inside, podlab: filepath.Join(*inside, "podlab")}
	if err := w.hideUnified(); err != nil {
		return err
	}
	return measure(w.subjects(*n), *rounds, *idle, out)
}

// outside prepares a work directory and starts this program again in a mount
// namespace of its own, so that what is mounted and hidden concerns nobody.
func outside(args []string, podlab string, out io.Writer) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("the peers are driven as root")
	}
	dir, err := os.MkdirTemp("", "podlab-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := work{dir: dir, podlab: filepath.Join(dir, "podlab")}
	if err := w.prepare(podlab); err != nil {
		return err
	}
	self := exec.Command("/proc/self/exe", append([]string{"-inside", dir}, args...)...)
	self.Stdout, self.Stderr = out, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return self.Run()
}

// measure runs every subject once a round and prints a table in Markdown.
func measure(subjects []subject, rounds int, idle time.Duration, out io.Writer) error {
	took := make([][]float64, len(subjects))
	for round := -2; round < rounds; round++ { // the first two fill caches and aren't counted
		for _, i := range rand.Perm(len(subjects)) {
			<-time.After(idle)
			begin := time.Now()
			if err := subjects[i].run(); err != nil {
				return fmt.Errorf("%s: %w", subjects[i].name, err)
			}
			if round >= 0 {
				took[i] = append(took[i], time.Since(begin).Seconds()*1000)
			}
		}
	}
	fmt.Fprintln(out, "| subject | median ms | p10–p90 | × floor | podlab ÷ it |")
	fmt.Fprintln(out, "|---|---|---|---|---|")
	for i, s := range subjects {
		fmt.Fprintf(out, "| %s | %.1f | %.1f–%.1f | %.2f | %.2f |\n", s.name, quantile(took[i], 0.5), quantile(took[i], 0.1), quantile(took[i], 0.9),
			pairs(took[i], took[0]), pairs(took[1], took[i]))
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d rounds, %v of rest before each run, Linux %s.\n", rounds, idle, unix.ByteSliceToString(uname.Release[:]))
	return nil
}

// pairs is the median of a/b within each round.
func pairs(a, b []float64) float64 { return quantile(ratios(a, b), 0.5) }

func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return r
}

func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}
