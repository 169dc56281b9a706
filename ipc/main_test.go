package ipc

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain fails the run if it leaves anything behind: objects of any kind, mappings, descriptors, children. Others
// make objects on this machine at the same time, so only what this process or its children have made counts.
func TestMain(m *testing.M) {
	maps.Copy(roles, posixRoles)
	if role := os.Getenv("PODLAB_IPC_ROLE"); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Println("failed:", err) // read by the parent, instead of what it waits for
			os.Exit(1)
		}
		os.Exit(0)
	}
	fds := openFiles()
	code := m.Run()
	left := leftovers()
	for fd, file := range openFiles() {
		if fds[fd] != file {
			left = append(left, "descriptor "+fd+": "+file)
		}
	}
	for _, l := range left {
		fmt.Println("left behind:", l)
		code = 1
	}
	os.Exit(code)
}

// roles are what this binary does as a child of a test. A role talks to its parent in lines, and ends when its
// standard input does.
var roles = map[string]func(args []string) error{
	"stranger": roleStranger,
	"owner":    roleOwner,
	"hold":     roleHold,
	"create":   roleCreate,
	"deaf":     roleDeaf,
	"echo sem": roleEchoSem,
	"echo msg": roleEchoMsg,
}

// made is what this process has made, for leftovers to look for.
var made = struct {
	sync.Mutex
	pids   map[string]bool // this process and its children
	sysv   map[string]bool // "shm 3"
	queues []string        // "/podlab-test-1-2"
	names  int
}{pids: map[string]bool{fmt.Sprint(os.Getpid()): true}, sysv: map[string]bool{}}

// objectName returns a name for a POSIX object of this run that no other has.
func objectName() string {
	made.Lock()
	defer made.Unlock()
	made.names++
	name := fmt.Sprintf("/%s%d", namePrefix(), made.names)
	made.queues = append(made.queues, name)
	return name
}

func namePrefix() string { return fmt.Sprintf("podlab-test-%d-", os.Getpid()) }

// mine notes that a test has made an object, and has the test's end remove it.
func mine[ID ~int](t testing.TB, kind Kind, id ID, remove func() error) {
	made.Lock()
	made.sysv[fmt.Sprintf("%s %d", kind, int(id))] = true
	made.Unlock()
	t.Cleanup(func() {
		if err := remove(); err != nil && ErrnoName(err) != "EINVAL" && ErrnoName(err) != "EIDRM" { // those: the test removed it
			t.Error(err)
		}
	})
}

// leftovers lists what is still there of what this process has made.
func leftovers() (left []string) {
	made.Lock()
	defer made.Unlock()
	for _, kind := range []string{"shm", "sem", "msg"} {
		table, _ := os.ReadFile("/proc/sysvipc/" + kind) // none in a kernel without System V: then there are no objects either
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 7 && f[0] != "key" && (made.sysv[kind+" "+f[1]] || slices.ContainsFunc(users(kind, f), func(pid string) bool { return made.pids[pid] })) {
				left = append(left, kind+" "+f[1]+", key "+f[0])
			}
		}
	}
	files, _ := filepath.Glob("/dev/shm/*" + namePrefix() + "*")
	left = append(left, files...)
	for _, name := range made.queues {
		// By its name, because an mqueue file system need not be mounted.
		if fd, err := mqOpen(name[1:], unix.O_RDONLY|unix.O_CLOEXEC, 0, nil); err == nil {
			_ = unix.Close(fd) // it was only asked for
			left = append(left, "message queue "+name)
		}
	}
	own, _ := os.ReadFile("/proc/self/maps")
	for line := range strings.Lines(string(own)) {
		if strings.Contains(line, "/SYSV") || strings.Contains(line, "/dev/shm/") {
			left = append(left, "mapping "+strings.TrimSpace(line))
		}
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err == nil {
		left = append(left, fmt.Sprintf("a child (%d)", pid))
	}
	return left
}

// users returns the processes that a line of /proc/sysvipc names; for a set of semaphores it names none.
func users(kind string, f []string) []string {
	switch kind {
	case "shm":
		return f[4:5] // cpid
	case "msg":
		return f[5:7] // lspid, lrpid
	}
	var id, n int
	_, _ = fmt.Sscan(f[1], &id) // the kernel's own numbers
	_, _ = fmt.Sscan(f[3], &n)
	var pids []string
	for num := range n {
		if pid, err := Sem(id).LastPid(num); err == nil && pid != 0 {
			pids = append(pids, fmt.Sprint(pid))
		}
	}
	return pids
}

// openFiles lists this process's descriptors, without those that the runtime makes when it first needs them.
func openFiles() map[string]string {
	open := map[string]string{}
	names, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range names {
		file, err := os.Readlink(name)
		if err == nil && !strings.HasPrefix(file, "anon_inode:[event") { // [eventpoll], [eventfd]
			open[filepath.Base(name)] = file
		}
	}
	maps.DeleteFunc(open, func(_, file string) bool { return strings.HasSuffix(file, "/fd") }) // of the listing itself
	return open
}

// process is this binary as another process.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// start runs a role. uid -1 is our own; another one takes root.
func start(t testing.TB, uid int, role string, args ...string) *process {
	t.Helper()
	// Not by its path: go test builds into a directory that other users may not enter.
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "PODLAB_IPC_ROLE="+role)
	cmd.Stderr = os.Stderr
	if uid != -1 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	made.Lock()
	made.pids[fmt.Sprint(cmd.Process.Pid)] = true
	made.Unlock()
	p := &process{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	return p
}

// line returns the next line that the process says.
func (p *process) line() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("the other process ended: %v", p.out.Err())
	}
	return p.out.Text()
}

// says fails the test unless the next line is want.
func (p *process) says(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("the other process says %q, want %q", got, want)
	}
}

// kill ends the process by SIGKILL, if it still runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // gone already is as well
	_ = p.cmd.Wait()         // killed, as it says
}

// The test of the test.
func TestLeftoversAreFound(t *testing.T) {
	shm, err := GetShm(Private, 100, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Remove()
	seg, err := shm.Attach(true)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Detach()
	sem, err := GetSem(Private, 3, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer sem.Remove()
	if err := sem.SetValue(2, 1); err != nil {
		t.Fatal(err)
	}
	msg, err := GetMsg(Private, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer msg.Remove()
	if err := msg.TrySend(Message{Type: 1}); err != nil {
		t.Fatal(err)
	}
	file := "/dev/shm/sem." + objectName()[1:]
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	got := strings.Join(leftovers(), "\n")
	for _, want := range []string{
		fmt.Sprintf("shm %d,", shm), fmt.Sprintf("sem %d,", sem), fmt.Sprintf("msg %d,", msg), file, "mapping ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant a line with %q", got, want)
		}
	}
}
