package inventory_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/cgroup"
	"github.com/podlab/podlab/internal/inventory"
	"github.com/podlab/podlab/internal/testenv"
	"github.com/podlab/podlab/ipc"
)

// Each page is paid for by the group of who touched it first, whoever made the segment and whoever touches it later.
// When that group is removed, its parent pays.
func TestWhoPays(t *testing.T) {
	testenv.Need(t, "root", os.Geteuid() == 0, "running as an ordinary user, who isn't told")
	host, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	own, ok := host.Hierarchy("memory")
	testenv.Need(t, "memory-cgroup", ok && own.Create, "no group can be made in the memory hierarchy")
	group := filepath.Join(own.Dir, fmt.Sprintf("podlab-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(group) // if it is still there

	r := run(t, "")
	a := r.play("a", "touch")
	a.says("attached")
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(a.pid)), 0); err != nil {
		t.Fatal(err)
	}
	b := r.play("b", "touch")
	b.says("attached")
	touch := func(p *player, page int) {
		p.tell(strconv.Itoa(page))
		p.says("touched")
	}
	touch(a, 0)
	touch(a, 1)
	touch(b, 1) // paid for already
	touch(b, 3)
	base := filepath.Base(group)
	page := int64(os.Getpagesize())
	got := item(t, r.take(), ipc.KindShm)
	ours := func(p inventory.Payer) bool { return filepath.Base(p.Cgroup) == base }
	if len(got.Payers) != 2 || !ours(got.Payers[0]) || got.Payers[0].Bytes != 2*page || !slices.Equal(got.Payers[0].Containers, []string{"a"}) ||
		ours(got.Payers[1]) || got.Payers[1].Bytes != page || !slices.Equal(got.Payers[1].Containers, []string{"a", "b"}) {
		t.Errorf("got %+v %q, want two pages for %s and one for its parent", got.Payers, got.PayersWhy, base)
	}

	a.end()
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := unix.Rmdir(group) // EBUSY until the process is quite gone
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	// The kernel goes on calling it the payer, by a number that nothing has any more, until it has quite given it up.
	for deadline := time.Now().Add(10 * time.Second); ; {
		got = item(t, r.take(), ipc.KindShm)
		if len(got.Payers) == 1 || time.Now().After(deadline) {
			break
		}
	}
	if len(got.Payers) != 1 || ours(got.Payers[0]) || got.Payers[0].Bytes != 3*page {
		t.Errorf("got %+v %q, want all three for the parent", got.Payers, got.PayersWhy)
	}
}
