package inventory

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
)

func TestParseMapping(t *testing.T) {
	for line, want := range map[string]mapping{
		"7f9d93c82000-7f9d93cc2000 rw-s 00000000 00:01 360457                     /SYSV6a6f6273 (deleted)": {"7f9d93c82000-7f9d93cc2000", 1, 360457, "/SYSV6a6f6273 (deleted)"},
		"7f0000000000-7f0000001000 r--s 00000000 00:51 2                          /dev/shm/a b":            {"7f0000000000-7f0000001000", unix.Mkdev(0, 0x51), 2, "/dev/shm/a b"},
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ":                                                 {"7f0000000000-7f0000001000", 0, 0, ""},
		"7ffd0000-7ffe0000 rw-p 00000000 00:00 0                          [stack]":                         {"7ffd0000-7ffe0000", 0, 0, ""},
	} {
		if got, ok := parseMapping(line); !ok || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", line, got, ok, want)
		}
	}
	for _, bad := range []string{"", "a b c d", "a b c d e", "a b c 00:01 -1", "a b c 0001 1", "a b c xx:01 1"} {
		if got, ok := parseMapping(bad); ok {
			t.Errorf("%q: got %+v, want it refused", bad, got)
		}
	}
}

// A file with the name of a segment, which anybody may map, is no segment.
func TestMappingKey(t *testing.T) {
	o := ipc.Object{Kind: ipc.KindShm, ID: 7, Dev: 0}
	real := mapping{dev: 1, inode: 7, path: "/SYSV00000007 (deleted)"}
	if got := real.key([]uint64{1}); got != keyOf(o) {
		t.Errorf("got %+v, want %+v", got, keyOf(o))
	}
	faked := mapping{dev: 2, inode: 7, path: "/SYSV00000007 (deleted)"}
	if got := faked.key([]uint64{1}); got == keyOf(o) {
		t.Errorf("got %+v, want it to be told from a segment", got)
	}
	memfd := mapping{dev: 1, inode: 7, path: "/memfd:x (deleted)"}
	if got := memfd.key([]uint64{1}); got == keyOf(o) {
		t.Errorf("got %+v, want it to be told from a segment", got)
	}
}

func TestParseStat(t *testing.T) {
	p, err := parseStat([]byte("42 (a) (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 5 6\n"))
	if err != nil || p.pid != 42 || p.parent != 7 || p.start != 1234 || p.name != "a) (b) c" {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range []string{"", "1 (a", "1 a) S 2", "1 (a) S 2 3", "x (a) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 5 6"} {
		if p, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v, want it refused", bad, p)
		}
	}
	self, err := readProcess(os.Getpid())
	if err != nil || self.parent != os.Getppid() || self.namespaces[ns.IPC] == 0 {
		t.Errorf("got %+v, %v, want this process", self, err)
	}
}

func TestIDMap(t *testing.T) {
	m := idMap{{0, 1000, 1}, {1, 300000, 65536}}
	for inside, outside := range map[int]int{0: 1000, 1: 300000, 65536: 365535} {
		if got := m.outside(inside); got != outside {
			t.Errorf("outside(%d): got %d, want %d", inside, got, outside)
		}
		if got := m.inside(outside); got != inside {
			t.Errorf("inside(%d): got %d, want %d", outside, got, inside)
		}
	}
	if got := m.outside(65537); got != -1 {
		t.Errorf("outside: got %d, want none", got)
	}
	if got := m.inside(0); got != overflowID {
		t.Errorf("inside: got %d, want %d", got, overflowID)
	}
	path := filepath.Join(t.TempDir(), "uid_map")
	if err := os.WriteFile(path, []byte("         0       1000          1\n         1     300000      65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readIDMap(path); err != nil || !slices.Equal(got, m) {
		t.Errorf("got %v, %v, want %v", got, err, m)
	}
	if err := os.WriteFile(path, []byte("0 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readIDMap(path); err == nil {
		t.Errorf("got %v, want it refused", got)
	}
}

// Which container a process is in: by its mount namespace, by its PID namespace where that doesn't tell, else by descent.
func TestAssign(t *testing.T) {
	at := func(pid, parent int, mnt, pidNS uint64) *process {
		return &process{pid: pid, parent: parent, namespaces: map[ns.Kind]uint64{ns.Mnt: mnt, ns.PID: pidNS}}
	}
	for _, c := range []struct {
		name  string
		procs []*process // a and b are 10 and 20
		want  map[int]string
	}{
		{"own namespaces", []*process{at(10, 1, 100, 101), at(20, 1, 200, 201), at(11, 10, 100, 101), at(21, 2, 200, 201), at(2, 1, 9, 9)},
			map[int]string{10: "a", 11: "a", 20: "b", 21: "b", 2: ""}},
		{"one mount namespace", []*process{at(10, 1, 100, 101), at(20, 1, 100, 201), at(11, 10, 100, 101), at(2, 1, 100, 9)},
			map[int]string{10: "a", 11: "a", 20: "b", 2: ""}},
		{"by descent", []*process{at(10, 1, 100, 101), at(20, 1, 100, 101), at(11, 10, 100, 101), at(12, 11, 100, 101), at(21, 20, 100, 101), at(2, 1, 100, 101), at(3, 3, 1, 1)},
			map[int]string{10: "a", 11: "a", 12: "a", 20: "b", 21: "b", 2: "", 3: ""}},
		{"not ours to look at", []*process{at(10, 1, 100, 101), at(20, 1, 200, 201), {pid: 11, parent: 10}, {pid: 2, parent: 1}},
			map[int]string{10: "a", 11: "a", 20: "b", 2: ""}},
	} {
		all := map[int]*process{}
		for _, p := range c.procs {
			all[p.pid] = p
		}
		assign(all, []box{{name: "a", first: all[10]}, {name: "b", first: all[20]}})
		for pid, want := range c.want {
			if got := all[pid].container; got != want {
				t.Errorf("%s: process %d: got %q, want %q", c.name, pid, got, want)
			}
		}
	}
}

// A descriptor of a process's directory is of that process, whoever gets its number later.
func TestProcessOpen(t *testing.T) {
	p, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !p.open() {
		t.Fatal(p.why)
	}
	if start, err := startTime(p.dir()); err != nil || start != p.start {
		t.Errorf("got %d, %v, want %d", start, err, p.start)
	}
	p.close()
	p.start++
	if p.open() || !errors.Is(p.why, unix.ESRCH) {
		t.Errorf("a process that began at another time: got %v, want %v", p.why, unix.ESRCH)
	}
}

func TestBegan(t *testing.T) {
	p, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	if d := st.ModTime().Sub(p.began()); d < -second || d > 600*second { // /proc/PID is as old as its first look-up
		t.Errorf("got %v, want it a little before %v", p.began(), st.ModTime())
	}
}

func TestParseMsgQueue(t *testing.T) {
	const head = "Limit                     Soft Limit           Hard Limit           Units     \n"
	for _, c := range []struct {
		text       string
		soft, hard uint64
		ok         bool
	}{
		{head + "Max msgqueue size         819200               unlimited            bytes     \nMax nice priority         0                    0                    \n", 819200, 1<<64 - 1, true},
		{head + "Max msgqueue size         0                    1                    bytes     \n", 0, 1, true},
		{head + "Max msgqueue size         many                 1                    bytes     \n", 0, 0, false},
		{head, 0, 0, false},
	} {
		soft, hard, err := parseMsgQueue(c.text)
		if soft != c.soft || hard != c.hard || (err == nil) != c.ok {
			t.Errorf("%q: got %d, %d, %v, want %d, %d", c.text, soft, hard, err, c.soft, c.hard)
		}
	}
}
