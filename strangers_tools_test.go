package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

// ipcmk, ipcs, ipcrm and lsipc of util-linux know System V only, up to 2.40.

// tool is a kind in the words of util-linux.
type tool struct {
	kind, flag, Key string   // ipcs -m, ipcrm -M KEY
	make            []string // ipcmk
	use             []string // podlab ipc KIND …: what ipcs shows of it afterwards
	shows           string   // the line of ipcs, after key, id, owner and mode
}

var utilLinux = []tool{
	{"shm", "-m", "-M", []string{"-M", "4096"}, []string{"write", "hello"}, `4096 +0`},
	{"sem", "-s", "-S", []string{"-S", "2"}, []string{"set", "3,4"}, `2`},
	{"msg", "-q", "-Q", []string{"-Q"}, []string{"send", "hello"}, `5 +1`},
}

func needUtilLinux(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ipcs", "ipcmk", "ipcrm", "lsipc"} {
		_, err := exec.LookPath(name)
		testenv.Need(t, "util-linux", err == nil, "no "+name)
	}
}

func TestUtilLinux(t *testing.T) {
	needUtilLinux(t)
	p := strangerPods(t, false)
	for _, u := range utilLinux {
		t.Run(u.kind, func(t *testing.T) {
			p := p.of(t)
			p.theirs(u)
			p.ours(u)
		})
	}
	t.Run("attached", func(t *testing.T) { p.of(t).attached() })
	t.Run("limits", func(t *testing.T) { p.of(t).limits() })
}

// theirs is an object that ipcmk makes.
func (p pods) theirs(u tool) {
	p.t.Helper()
	made := p.does("one/app", append([]string{"ipcmk", "-p", "0600"}, u.make...)...)
	id := made[strings.LastIndexByte(made, ' ')+1:]
	p.does("one/pull", append([]string{"podlab", "ipc", u.kind, u.use[0], "id:" + id}, u.use[1:]...)...)
	line := regexp.MustCompile(`(?m)^(0x[0-9a-f]{8}) +` + id + ` +\w+ +600 +` + u.shows + ` *$`)
	key := line.FindStringSubmatch(p.does("one/app", "ipcs", u.flag))
	if key == nil {
		p.t.Fatalf("ipcs %s doesn't show what podlab did to %s:\n%s", u.flag, id, p.does("one/app", "ipcs", u.flag))
	}
	p.sees(u, key[1], id)
	p.does("one/pull", "podlab", "ipc", u.kind, "rm", key[1])
	p.lacks("one/app", u, key[1], id)
}

// ours is one that podlab makes.
func (p pods) ours(u tool) {
	p.t.Helper()
	const key = "0xdec0de02"
	p.does("one/pull", toolbox(u.kind, "make", key)...)
	line := regexp.MustCompile(`(?m)^` + key + ` +(\d+) +\w+ +600 `).FindStringSubmatch(p.does("one/app", "ipcs", u.flag))
	if line == nil {
		p.t.Fatalf("ipcs %s doesn't list %s:\n%s", u.flag, key, p.does("one/app", "ipcs", u.flag))
	}
	p.sees(u, key, line[1])
	p.does("one/app", "ipcrm", u.Key, key)
	p.lacks("one/app", u, key, line[1])
}

// sees wants that all tools see an object in its pod, before and after they don't from another one.
func (p pods) sees(u tool, key, id string) {
	p.t.Helper()
	control := func() {
		p.t.Helper()
		p.does("one/app", "lsipc", u.flag, "-i", id)
		p.does("one/app", "ipcs", u.flag, "-i", id)
		p.does("one/pull", "podlab", "ipc", u.kind, "stat", key)
	}
	control()
	p.lacks("two/app", u, key, id)
	control()
}

// lacks wants that nobody sees the object from there.
func (p pods) lacks(where string, u tool, key, id string) {
	p.t.Helper()
	if all := p.does(where, "ipcs", u.flag); strings.Contains(all, "0x") {
		p.t.Fatalf("%s: ipcs %s: want nothing\n%s", where, u.flag, all)
	}
	if all := p.does(where, "lsipc", u.flag, "--noheadings"); strings.Contains(all, key) {
		p.t.Fatalf("%s: lsipc %s: want no %s\n%s", where, u.flag, key, all)
	}
	for _, command := range [][]string{{"ipcs", u.flag, "-i", id}, {"lsipc", u.flag, "-i", id}} {
		if r := p.exec(where, command...); !strings.Contains(r.stderr, "id "+id+" not found") {
			p.t.Fatalf("%s: %q: want id %s not found\n%s%s", where, command, id, r.stdout, r.stderr)
		}
	}
	for _, command := range [][]string{{"ipcrm", u.Key, key}, {"ipcrm", u.flag, id}} {
		if r := p.exec(where, command...); r.code != 1 || !strings.Contains(r.stderr, "invalid") {
			p.t.Fatalf("%s: %q: want an invalid key or id, and code 1\n%s%s", where, command, r.stdout, r.stderr)
		}
	}
	p.refused(where, "ENOENT", "podlab", "ipc", u.kind, "stat", key)
	p.refused(where, "EINVAL", "podlab", "ipc", u.kind, "stat", "id:"+id)
}

// attached: ipcs counts podlab's attachment, and sees that ipcrm's victim lives as long as it is held (shmctl(2), IPC_RMID).
func (p pods) attached() {
	p.t.Helper()
	const key = "0xdec0de03"
	hold := p.starts("one/pull", "podlab", "ipc", "shm", "create", key, "--hold")
	hold.says("^holding$")
	if all := p.does("one/app", "ipcs", "-m"); !regexp.MustCompile(`(?m)^` + key + ` +\d+ +\w+ +600 +4096 +1 *$`).MatchString(all) {
		p.t.Errorf("ipcs -m: want %s with one attachment\n%s", key, all)
	}
	p.does("one/app", "ipcrm", "-M", key)
	p.refused("one/app", "ENOENT", "podlab", "ipc", "shm", "stat", key)
	if all := p.does("one/app", "ipcs", "-m"); !regexp.MustCompile(`(?m)^0x00000000 +\d+ +\w+ +600 +4096 +1 +dest *$`).MatchString(all) {
		p.t.Errorf("ipcs -m: want a removed segment with one attachment\n%s", all)
	}
	if rest, code := hold.ends(); code != 0 {
		p.t.Errorf("podlab ipc shm create --hold: code %d\n%s", code, rest)
	}
	if all := p.does("one/app", "ipcs", "-m"); strings.Contains(all, "0x") {
		p.t.Errorf("ipcs -m: want nothing\n%s", all)
	}
}

// limits wants of podlab what lsipc reads.
func (p pods) limits() {
	p.t.Helper()
	var l struct {
		Limits []struct {
			Sysctl, Field string
			Value         json.Number
		}
	}
	if err := json.Unmarshal([]byte(p.does("one/pull", "podlab", "ipc", "limits", "-o", "json")), &l); err != nil {
		p.t.Fatal(err)
	}
	ours := map[string]string{}
	for _, limit := range l.Limits {
		name := limit.Field
		if name == "" {
			name = strings.ToUpper(strings.TrimPrefix(limit.Sysctl, "kernel."))
		}
		ours[name] = limit.Value.String()
	}
	for line := range strings.Lines(p.does("one/app", "lsipc", "--noheadings", "--bytes", "-o", "RESOURCE,LIMIT")) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] == "SHMMIN" || f[0] == "SEMVMX" { // constants of the kernel's, not of a namespace
			continue
		}
		if strings.HasPrefix(f[0], "MQU") || strings.HasPrefix(f[0], "MSG") && f[0] != "MSGMNI" && f[0] != "MSGMAX" && f[0] != "MSGMNB" {
			continue // POSIX queues, since util-linux 2.41, by other names
		}
		if ours[f[0]] != f[1] {
			p.t.Errorf("%s: podlab says %q, lsipc %q", f[0], ours[f[0]], f[1])
		}
		delete(ours, f[0])
	}
	for _, name := range []string{"SHMMAX", "SHMALL", "SHMMNI", "MSGMAX", "MSGMNB", "MSGMNI", "SEMMSL", "SEMMNS", "SEMOPM", "SEMMNI"} {
		if _, left := ours[name]; left {
			p.t.Errorf("lsipc says nothing of %s", name)
		}
	}
}

// Who waits is woken by the other side's library: a futex for POSIX semaphores, so both must agree on every bit.
func TestStrangersWake(t *testing.T) {
	p := strangerPods(t, false)
	for _, s := range strangers {
		for _, kind := range s.kinds {
			if !isSemaphore(kind) {
				continue
			}
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				s.need(t)
				p, theirs, ours := p.of(t), side{"one/app", s.does, ""}, side{"one/pull", toolbox, ""}
				p.wakes(kind, theirs, ours)
				p.wakes(kind, ours, theirs)
			})
		}
	}
}

// wakes has a make a semaphore and wait for it, three times over, and b post.
func (p pods) wakes(kind string, a, b side) {
	p.t.Helper()
	name := nameOf(kind)
	p.does(a.where, a.does(kind, "make", name)...)
	var waiting []*running
	for range 3 {
		waiting = append(waiting, p.starts(a.where, a.does(kind, "take", name)...))
	}
	for p.waiters(kind, name) < 3 { // runIn and the test have a deadline
	}
	for range waiting {
		p.does(b.where, b.does(kind, "put", name, "one")...)
	}
	for _, w := range waiting {
		if rest, code := w.ends(); rest != "took 1\n" || code != 0 {
			p.t.Errorf("%s: %q: got %q, code %d, want took 1", a.where, w.cmd.Args, rest, code)
		}
	}
	p.prints("one/pull", "0", "podlab", "ipc", kind, "get", name)
	if n := p.waiters(kind, name); n != 0 {
		p.t.Errorf("%s: %d still waiting", kind, n)
	}
	p.does(b.where, b.does(kind, "remove", name)...)
}

// waiters is how many wait for a semaphore to go up, by the kernel's or glibc's count.
func (p pods) waiters(kind, name string) int {
	p.t.Helper()
	var state struct {
		Waiting    int
		Semaphores []struct{ WaitingUp int }
	}
	if err := json.Unmarshal([]byte(p.does("one/pull", "podlab", "ipc", kind, "get", name, "-o", "json")), &state); err != nil {
		p.t.Fatal(err)
	}
	for _, s := range state.Semaphores {
		state.Waiting += s.WaitingUp
	}
	return state.Waiting
}

// A pod doesn't suspend ordinary rights: another user in it is refused what the mode refuses.
func TestStrangersOfAnotherUser(t *testing.T) {
	testenv.Need(t, "subid", os.Getuid() == 0 || hasFeature("userns.range"), "this user has one id")
	p := strangerPods(t, true)
	for _, s := range strangers {
		for _, kind := range s.kinds {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				s.need(t)
				p, theirs, ours := p.of(t), side{"one/user", s.does, ""}, side{"one/pull", toolbox, ""}
				p.keepsOut(kind, ours, theirs)
				p.keepsOut(kind, side{"one/pull", s.does, ""}, side{"one/user", toolbox, ""})
			})
		}
	}
}

// files are where a mode is changed; System V has none.
var files = map[string]string{"mq": "/dev/mqueue", "posix-shm": "/dev/shm", "posix-sem": "/dev/shm/sem."}

// keepsOut has a make an object, which b, another user, may use only once its owner, root, has said so, and may never remove.
func (p pods) keepsOut(kind string, a, b side) {
	p.t.Helper()
	name, got := nameOf(kind), "mine"
	if isSemaphore(kind) {
		got = "took 1"
	}
	p.does(a.where, a.does(kind, "make", name)...)
	p.does(a.where, a.does(kind, "put", name, "mine")...)
	p.refused(b.where, "EACCES", b.does(kind, "take", name)...)
	if dir := files[kind]; dir != "" {
		p.does("one/pull", "chmod", "666", strings.Replace(dir+name, "./", ".", 1))
	} else {
		p.does("one/pull", "podlab", "ipc", kind, "chmod", name, "666")
	}
	p.prints(b.where, got, b.does(kind, "take", name)...)
	// Only an owner removes: shmctl(2); and /dev/shm and the directory of the queues are sticky. Which of the two errnos, the
	// kernel's parts and Python's modules don't agree upon.
	p.refused(b.where, "E(PERM|ACCES)", b.does(kind, "remove", name)...)
	p.does(a.where, a.does(kind, "remove", name)...)
}

// Root of a pod is kept out of System V, without CAP_IPC_OWNER, but CAP_DAC_OVERRIDE opens files: capabilities(7).
func TestRootOfAPod(t *testing.T) {
	testenv.Need(t, "subid", os.Getuid() == 0 || hasFeature("userns.range"), "this user has one id")
	p := strangerPods(t, true)
	for _, kind := range slices.Concat(systemV, posix) {
		name := nameOf(kind)
		p.does("one/user", toolbox(kind, "make", name)...)
		p.does("one/user", toolbox(kind, "put", name, "mine")...)
		if files[kind] == "" {
			p.refused("one/app", "EACCES", toolbox(kind, "take", name)...)
		} else {
			p.does("one/app", toolbox(kind, "take", name)...)
		}
	}
}
