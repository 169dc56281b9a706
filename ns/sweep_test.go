package ns

import (
	"os"
	"os/exec"
	"testing"
)

// A sweep of the caller's own namespace would be the end of everything: it
// picks nobody, and neither does one of a namespace that nobody knows.
func TestSweepSparesTheCallersNamespace(t *testing.T) {
	own, err := Inspect(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []Kind{Mnt, PID, Net} {
		for _, inode := range []uint64{own[k], 0} {
			pick := InNamespace(k, inode)
			for _, pid := range pids() {
				if pick(pid) {
					t.Fatalf("%v %d: picked process %d", k, inode, pid)
				}
			}
		}
	}
}

func TestChildOf(t *testing.T) {
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if pick := ChildOf(os.Getpid()); !pick(cmd.Process.Pid) || pick(os.Getpid()) || pick(1) {
		t.Error("got something else than the child")
	}
	Sweep(func(pid int) bool { return pid == cmd.Process.Pid && ChildOf(os.Getpid())(pid) })
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("got %v; want signal: killed", err)
	}
	if ChildOf(os.Getpid())(cmd.Process.Pid) {
		t.Error("a child that has been waited for is picked")
	}
}
