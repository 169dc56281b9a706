package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/podlab/podlab/internal/testenv"
	"github.com/podlab/podlab/ipc"
	_ "github.com/podlab/podlab/ns/stage" // the test binary is podlab, so it must be the stage as well
)

// TestMain makes the test binary podlab, where it is called by that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"podlab": func() { os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/*.txt. They know two more commands:
//
//	exits CODE COMMAND…    run it, and want that exit code
//	need FEATURE           skip without it, unless PODLAB_MUST says it is there: root, or a program's name
//
// and $EXAMPLES, the directory of the examples, and $NAME, a name for IPC objects that no other script has. What has
// this name at the end is removed.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("PODLAB_UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			name := fmt.Sprintf("podlab-test-%d-%s", os.Getpid(), filepath.Base(e.WorkDir))
			e.Defer(func() { removeObjects(name) })
			e.Defer(func() { stopPods(e.WorkDir + "/state") })
			e.Vars = append(e.Vars, "NAME="+name, "EXAMPLES="+examples, "PODLAB_ROOT="+e.WorkDir+"/state", "TERM=xterm")
			e.Values["t"] = e.T()
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"need":  need,
		},
	})
}

// removeObjects removes what a script has left under its name: mostly nothing, so that errors say nothing.
func removeObjects(name string) {
	_, _, _ = ipc.RemoveQueue("/"+name), ipc.RemoveShared("/"+name), ipc.RemoveSemaphore("/"+name)
	key, err := ipc.ParseKey(name)
	if err != nil {
		panic(err)
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
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		got = ee.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Logf("stdout:\n%sstderr:\n%s", ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

func need(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: need FEATURE")
	}
	ok, why := false, "not on PATH"
	switch args[0] {
	case "root":
		ok, why = os.Geteuid() == 0, "run by an ordinary user"
	default:
		_, err := exec.LookPath(args[0])
		ok = err == nil
	}
	if !ok && testenv.Must(args[0]) {
		ts.Fatalf("%s: %s (PODLAB_MUST says this machine has it)", args[0], why)
	}
	if !ok {
		script := ts.Value("t").(testscript.T) // no testing.TB, so testenv.Need can't be asked
		script.Skip(args[0] + ": " + why)
	}
}

// Every verb has a help text with a session in it, and every script is about something that exists.
func TestEveryCommandIsExplained(t *testing.T) {
	explained(t, newUI(os.Stdin, os.Stdout, os.Stderr), "", entries())
}

// explained looks at all, and at what is below them.
func explained(t *testing.T, u *ui, above string, all []entry) {
	var seen []string
	for _, e := range all {
		v, _ := find(all, above, e.name)
		c := v.command(u)
		below := subentries(v.path)
		if c.Description == "" || e.summary == "" || c.Action == nil && below == nil {
			t.Errorf("%s: no description, no summary or no action", v.path)
		}
		if slices.Contains(seen, e.name) {
			t.Errorf("%s: twice", v.path)
		}
		seen = append(append(seen, e.name), e.aliases...)
		for _, name := range []string{"color", "root", "help", "h"} {
			if _, ok := indexFlags(c.Flags)[name]; !ok {
				t.Errorf("%s: no --%s", v.path, name)
			}
		}
		explained(t, u, v.path, below)
	}
}
