package inventory_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/inventory"
	"github.com/podlab/podlab/internal/testenv"
	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
)

func item(t *testing.T, inv inventory.Inventory, k ipc.Kind) inventory.Item {
	t.Helper()
	i := slices.IndexFunc(inv.Items, func(it inventory.Item) bool { return it.Object.Kind == k })
	if i < 0 {
		t.Fatalf("no %s in %+v", k, inv)
	}
	return inv.Items[i]
}

func TestTake(t *testing.T) {
	r := run(t, "")
	maker, end := r.in("a", "make", "made")
	user, _ := r.in("b", "attach", "attached")
	first := r.take()
	if len(first.Notes) != 0 || first.SharedIPC || len(first.Items) != 6 || first.Pod != "test" {
		t.Errorf("got %+v, want six objects and nothing to say", first)
	}
	if len(first.Mounts) != 1 || !slices.Equal(first.Mounts[0].Containers, []string{"a", "b"}) {
		t.Errorf("got %+v, want one /dev/shm", first.Mounts)
	}
	who := func(all []inventory.User) (s string) {
		for _, u := range all {
			s += fmt.Sprintf("%d %s mapped %d open %d, ", u.PID, u.Container, u.Mapped, u.Open)
		}
		return s
	}
	shm := item(t, first, ipc.KindShm)
	if c := shm.Creator; c == nil || c.PID != maker || c.Container != "a" || c.Gone {
		t.Errorf("shm: got creator %+v, want %d in a", c, maker)
	}
	if got, want := who(shm.Users), fmt.Sprintf("%d a mapped 1 open 0, %d b mapped 2 open 0, ", maker, user); got != want || shm.Unseen != 0 {
		t.Errorf("shm: got %q and %d unseen, want %q", got, shm.Unseen, want)
	}
	if got, want := who(item(t, first, ipc.KindShared).Users), fmt.Sprintf("%d a mapped 0 open 1, %d b mapped 1 open 1, ", maker, user); got != want {
		t.Errorf("posix-shm: got %q, want %q", got, want)
	}
	if got, want := who(item(t, first, ipc.KindNamedSem).Users), fmt.Sprintf("%d a mapped 1 open 0, ", maker); got != want {
		t.Errorf("posix-sem: got %q, want %q", got, want)
	}
	mq := item(t, first, ipc.KindQueue)
	if got, want := who(mq.Users), fmt.Sprintf("%d a mapped 0 open 1, ", maker); got != want || mq.Object.Messages != 1 {
		t.Errorf("mq: got %q, %+v, want %q", got, mq.Object, want)
	}
	for _, k := range []ipc.Kind{ipc.KindSem, ipc.KindMsg} {
		if it := item(t, first, k); len(it.Last) != 1 || it.Last[0].PID != maker || it.Last[0].Container != "a" || it.Creator != nil || it.CreatorWhy == "" {
			t.Errorf("%s: got last %+v, creator %+v %q, want %d in a", k, it.Last, it.Creator, it.CreatorWhy, maker)
		}
	}
	if set := item(t, first, ipc.KindSem); !slices.Equal(set.Object.Values, []int{3, 4}) {
		t.Errorf("sem: got %+v", set.Object)
	}
	wantPayers(t, shm, 2)
	wantPayers(t, item(t, first, ipc.KindShared), 2)
	wantPayers(t, item(t, first, ipc.KindNamedSem), 1)
	for _, it := range first.Items {
		if it.Object.UID != 0 || it.HostUID != os.Geteuid() {
			t.Errorf("%s: got owner %d, on the host %d, want 0 and %d", it.Object.Kind, it.Object.UID, it.HostUID, os.Geteuid())
		}
	}

	// Looking has changed nothing that can be seen.
	second := r.take()
	for i, it := range second.Items {
		a, b := first.Items[i].Object, it.Object
		a.AccessTime, b.AccessTime = time.Time{}, time.Time{}
		if got, want := fmt.Sprintf("%+v", b), fmt.Sprintf("%+v", a); got != want {
			t.Errorf("looked at twice: got\n%s, want\n%s", got, want)
		}
	}

	// The maker ends. What it made stays, and is paid for by whom it was.
	end()
	third := r.take()
	shm = item(t, third, ipc.KindShm)
	if c := shm.Creator; c == nil || c.PID != maker || !c.Gone || c.Container != "a" {
		t.Errorf("shm: got creator %+v, want %d, gone, of a", c, maker)
	}
	for _, k := range []ipc.Kind{ipc.KindSem, ipc.KindMsg} {
		if it := item(t, third, k); len(it.Last) != 1 || it.Last[0].PID != maker || !it.Last[0].Gone || it.Last[0].Container != "a" {
			t.Errorf("%s: got last %+v, want %d, gone, of a", k, it.Last, maker)
		}
	}
	if got, want := who(shm.Users), fmt.Sprintf("%d b mapped 2 open 0, ", user); got != want {
		t.Errorf("shm: got %q, want %q", got, want)
	}
	wantPayers(t, shm, 2)
}

// wantPayers: root is told who pays, and for how many pages; others are told why not.
func wantPayers(t *testing.T, it inventory.Item, pages int) {
	t.Helper()
	if os.Geteuid() != 0 {
		if it.PayersWhy == "" || it.Payers != nil {
			t.Errorf("%s: got payers %+v %q, want a reason", it.Object.Kind, it.Payers, it.PayersWhy)
		}
		return
	}
	_, err := os.Stat("/proc/kpagecgroup")
	testenv.Need(t, "root", err == nil, "there is no /proc/kpagecgroup")
	if len(it.Payers) != 1 || it.Payers[0].Bytes != int64(pages*os.Getpagesize()) || it.Payers[0].Inode == 0 || it.Payers[0].Cgroup == "" || it.PayersWhy != "" {
		t.Errorf("%s: got payers %+v %q, want one, for %d pages", it.Object.Kind, it.Payers, it.PayersWhy, pages)
	}
}

// With kernel.shm_rmid_forced a segment goes with its last detach: it must not be podlab's.
func TestTakeDestroysNothing(t *testing.T) {
	r := run(t, "securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: \"1\"}]}")
	maker, end := r.in("a", "create", "created")
	for range 2 {
		shm := item(t, r.take(), ipc.KindShm)
		if shm.Creator == nil || shm.Creator.PID != maker || shm.Object.Attached != 0 || shm.PayersWhy == "" || shm.Object.LastPid != 0 {
			t.Errorf("got %+v, want it untouched", shm)
		}
	}
	end()
	if inv := r.take(); len(inv.Items) != 0 {
		t.Errorf("got %+v, want nothing left: the control of this test", inv.Items)
	}
}

// A segment that nobody has attached any more is still somebody's to pay for.
func TestTakeOfWhatNobodyHas(t *testing.T) {
	r := run(t, "")
	_, end := r.in("a", "make", "made")
	end()
	inv := r.take()
	for _, it := range inv.Items {
		if len(it.Users) != 0 {
			t.Errorf("%s: got users %+v", it.Object.Kind, it.Users)
		}
	}
	wantPayers(t, item(t, inv, ipc.KindShm), 2)
	if after := item(t, r.take(), ipc.KindShm); after.Object.Resident != int64(2*os.Getpagesize()) {
		t.Errorf("got %d bytes in memory, want the two pages that were", after.Object.Resident)
	}
}

func TestTakeWithIDsOfItsOwn(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "running as an ordinary user, whose pods all have ids of their own")
	r := run(t, "hostUsers: false")
	r.in("a", "make", "made")
	inv := r.take()
	for _, it := range inv.Items {
		if it.Object.UID != 0 || it.HostUID == 0 || it.HostUID == -1 {
			t.Errorf("%s: got owner %d, on the host %d, want 0 and another", it.Object.Kind, it.Object.UID, it.HostUID)
		}
	}
	wantPayers(t, item(t, inv, ipc.KindShm), 2)
}

func TestTakeOfAHostIPCPod(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "running as an ordinary user, who has no hostIPC")
	r := run(t, "hostIPC: true")
	pid, _ := r.in("a", "create", "created")
	t.Cleanup(func() {
		if shm, err := ipc.GetShm(key, 0, ipc.Get{}); err == nil {
			_ = shm.Remove() // it is the host's, and nobody else's
		}
	})
	inv := r.take()
	i := slices.IndexFunc(inv.Items, func(it inventory.Item) bool { return it.Object.Kind == ipc.KindShm && it.Object.Key == key })
	if !inv.SharedIPC || i < 0 || inv.Items[i].Creator == nil || inv.Items[i].Creator.PID != pid || inv.Items[i].Creator.Container != "a" {
		t.Errorf("got %+v, want the host's namespace, and in it what a has made", inv)
	}
}

// What was left out of a pod, as an experiment, is the caller's; the list says so and is right about the rest.
func TestTakeOfAnExperiment(t *testing.T) {
	for _, k := range []ns.Kind{ns.IPC, ns.Mnt, ns.PID, ns.User} {
		t.Run(k.String(), func(t *testing.T) {
			if k == ns.User {
				testenv.Need(t, "root", os.Geteuid() == 0, "running as an ordinary user, who can do nothing without a user namespace")
			}
			r := run(t, "", k)
			pid, end := r.in("a", "create", "created")
			inv := r.take()
			i := slices.IndexFunc(inv.Items, func(it inventory.Item) bool { return it.Object.Kind == ipc.KindShm && it.Object.Key == key })
			if inv.SharedIPC != (k == ns.IPC) || i < 0 || inv.Items[i].Creator == nil || inv.Items[i].Creator.PID != pid || inv.Items[i].Creator.Container != "a" {
				t.Errorf("got %+v, want what a has made", inv)
			}
			end()
			if k == ns.IPC {
				if err := ipc.Shm(inv.Items[i].Object.ID).Remove(); err != nil { // it is the host's
					t.Error(err)
				}
			}
		})
	}
}

// A process in a container can make a mount namespace of its own, and /dev/shm what it likes there: also a link to
// what only this machine has.
func TestTakeStaysInTheContainer(t *testing.T) {
	secret := t.TempDir()
	if err := os.WriteFile(secret+"/of-this-machine", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runHostile(t, `[unshare, -Urm, sh, -c, "mount -t tmpfs none /dev && ln -s `+secret+` /dev/shm && echo ready; exec sleep 1000"]`)
	inv := r.take()
	for _, it := range inv.Items {
		t.Errorf("got %+v, which is none of the container's", it.Object)
	}
	if !strings.Contains(strings.Join(inv.Notes, "\n"), "/dev/shm of b: ") || len(inv.Mounts) != 1 {
		t.Errorf("got notes %q and mounts %+v, want b's told of", inv.Notes, inv.Mounts)
	}
}

// Nothing is a lot to look through, if there is enough of it.
func TestTakeOfHugeFiles(t *testing.T) {
	r := runHostile(t, `[sh, -c, "truncate -s 50T /dev/shm/1 && truncate -s 50T /dev/shm/2 && echo ready; exec sleep 1000"]`)
	inv := r.take()
	if len(inv.Items) != 2 {
		t.Fatalf("got %+v, want two files", inv.Items)
	}
	for _, it := range inv.Items {
		if it.PayersWhy == "" || it.Payers != nil {
			t.Errorf("%s: got payers %+v, want none, and why", it.Object.Name, it.Payers)
		}
	}
}

// The root of a container may stop whatever has a number there. Looking ends all the same.
func TestTakeOfAContainerThatStopsUs(t *testing.T) {
	_, err := os.Stat("/usr/bin/perl")
	testenv.Need(t, "perl", err == nil, "there is no perl")
	r := runHostile(t, `[perl, -e, "$| = 1; print qq(ready\n); for (;;) { for $p (2..400) { kill STOP => $p } }"]`)
	_, end := r.in("a", "create", "created")
	end() // whose it was is what the containers are asked
	inv := r.take()
	if shm := item(t, inv, ipc.KindShm); shm.Creator == nil || !shm.Creator.Gone || shm.Creator.Container != "a" {
		t.Errorf("got creator %+v, want one that has ended, of a", shm.Creator)
	}
	if notes := strings.Join(inv.Notes, "\n"); notes != "" && notes != "which of the processes that have ended were of b: no answer for 2s" {
		t.Errorf("got %q", notes)
	}
}

func TestTakeOfAPodThatIsGone(t *testing.T) {
	s := pod.State{Name: "test", Stage: pod.Process{Pid: os.Getpid(), Start: 1}}
	if _, err := inventory.Take(t.Context(), s); err == nil || !strings.Contains(err.Error(), pod.ErrGone.Error()) {
		t.Errorf("got %v, want %v", err, pod.ErrGone)
	}
	s.Stage.Pid = 1<<22 + 1 // above PID_MAX_LIMIT
	if _, err := inventory.Take(t.Context(), s); err == nil {
		t.Errorf("got %v, want %v", err, unix.ESRCH)
	}
}
