package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "play" { // a player is the same program
		if err := play(os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Every game is played once in each place; how long it took is for docs/benchmarks.md.
func TestIPCBench(t *testing.T) {
	for feature, tool := range map[string]string{"cc": "cc", "go": "go", "util-linux": "taskset"} {
		_, err := exec.LookPath(tool)
		testenv.Need(t, feature, err == nil, "no "+tool)
	}
	t.Chdir("../..") // where it is run
	t.Setenv("TMPDIR", t.TempDir())
	var out strings.Builder
	if err := ipcBench([]string{"-rounds", "1", "-part", "100", "-podlab", os.Getenv("PODLAB_BINARY")}, &out); err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		row := `(?m)^\| ` + kind.name + ` \| \d+\.\d+ \| \d+\.\d+ \| \d+\.\d+ \| \d+\.\d+–\d+\.\d+ \| `
		if kind.c {
			row += `\d+\.\d+ \| \d+\.\d+ \| \d+\.\d+ \| \d+\.\d+ \|$`
		}
		if !regexp.MustCompile(row).MatchString(out.String()) {
			t.Errorf("no figures of %s:\n%s", kind.name, &out)
		}
	}
}

func TestPlay(t *testing.T) {
	for _, args := range [][]string{nil, {"sem", "drive", "many", "x"}, {"tea", "drive", "1", "x"}, {"sem", "serve", "1", "podlab-bench-nobody"}} {
		if err := play(args, os.Stdout); err == nil {
			t.Errorf("play %q: no error", args)
		}
	}
}
