package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podlab/podlab/internal/testenv"
)

// Strangers are programs that nobody wrote for podlab and that use IPC by their own libraries. Whatever they make,
// podlab's toolbox in a sibling container must be able to use, and the other way round; another pod sees none of it.

// stranger is a program that takes KIND VERB NAME [TEXT], as testdata/strangers/stranger.c explains.
type stranger struct {
	name    string
	kinds   []string
	command []string
	missing func() string // why it can't run here, or ""
}

var systemV, posix = []string{"shm", "sem", "msg"}, []string{"mq", "posix-shm", "posix-sem"}

var strangers = []stranger{
	{"cc", slices.Concat(systemV, posix), []string{"/strangers/stranger"}, lacks("cc", "--version")},
	{"perl", systemV, []string{"/usr/bin/perl", "/strangers/stranger.pl"}, lacks("/usr/bin/perl", "-MIPC::SysV", "-e1")},
	{"python3-sysv-ipc", systemV, []string{"/usr/bin/python3", "/strangers/stranger_sysv.py"}, lacks("/usr/bin/python3", "-c", "import sysv_ipc")},
	{"python3-posix-ipc", posix, []string{"/usr/bin/python3", "/strangers/stranger_posix.py"}, lacks("/usr/bin/python3", "-c", "import posix_ipc")},
	{"python3", posix, []string{"/usr/bin/python3", "/strangers/stranger_stdlib.py"}, lacks("/usr/bin/python3", "-c", "import _multiprocessing, _posixshmem, ctypes")},
}

// lacks runs a command that succeeds where a program is installed.
func lacks(name string, args ...string) func() string {
	return func() string {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			return strings.TrimSpace(name + " " + strings.Join(args, " ") + ": " + err.Error() + ": " + lastLine(string(out)))
		}
		return ""
	}
}

func (s stranger) need(t *testing.T) {
	t.Helper()
	why := s.missing()
	testenv.Need(t, s.name, why == "", why)
}

// does is the command line for a verb on an object.
func (s stranger) does(kind, verb, name string, text ...string) []string {
	return slices.Concat(s.command, []string{kind, verb, name}, text)
}

// words are podlab's verbs, for a kind or for all.
var words = map[string]string{
	"make": "create", "remove": "rm",
	"shm put": "write", "posix-shm put": "write", "shm take": "read", "posix-shm take": "read",
	"sem put": "post", "posix-sem put": "post", "sem take": "wait", "posix-sem take": "wait",
	"msg put": "send", "mq put": "send", "msg take": "receive", "mq take": "receive",
}

// likeStrangers makes objects as the strangers do. Queues of ten messages of 8 KiB, the default, use up what a user may
// have: getrlimit(2), RLIMIT_MSGQUEUE.
var likeStrangers = map[string][]string{
	"sem": {"--value", "0"}, "posix-sem": {"--value", "0"}, "mq": {"--max-messages", "4", "--message-size", "64"},
}

// toolbox is the command line of podlab for the same.
func toolbox(kind, verb, name string, text ...string) []string {
	word := words[verb]
	if word == "" {
		word = words[kind+" "+verb]
	}
	line := []string{"podlab", "ipc", kind, word, name}
	switch {
	case verb == "make":
		return append(line, likeStrangers[kind]...)
	case isSemaphore(kind):
		return line // there is nothing but one to post
	}
	return append(line, text...)
}

func isSemaphore(kind string) bool { return strings.HasSuffix(kind, "sem") }

// strangersDir is a directory of the strangers, for a volume; the C program is there if there is a compiler.
func strangersDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask: other users of a pod look into it
		t.Fatal(err)
	}
	sources, err := filepath.Glob("testdata/strangers/*")
	if err != nil || len(sources) == 0 {
		t.Fatalf("testdata/strangers: got %q, %v", sources, err)
	}
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(source)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("cc"); err == nil {
		out, err := exec.Command("cc", "-O2", "-Wall", "-Werror", "-o", filepath.Join(dir, "stranger"), "testdata/strangers/stranger.c", "-lrt", "-pthread").CombinedOutput()
		if err != nil {
			t.Fatalf("cc: %v\n%s", err, out)
		}
	}
	return dir
}

// strangerPods runs two pods: in "one" there are app, pull and, if wanted, user, who isn't root; in "two" app.
func strangerPods(t *testing.T, user bool, flags ...string) pods {
	t.Helper()
	var b strings.Builder
	container := func(name, context string) {
		fmt.Fprintf(&b, "  - {name: %s, command: [sleep, infinity], %svolumeMounts: [{name: strangers, mountPath: /strangers, readOnly: true}]}\n", name, context)
	}
	volume := "  volumes:\n  - {name: strangers, hostPath: {path: " + strangersDir(t) + ", type: Directory}}\n"
	b.WriteString(podHeader("one"))
	container("app", "")
	container("pull", "")
	if user {
		container("user", "securityContext: {runAsUser: 1234, runAsGroup: 1234}, ")
	}
	b.WriteString(volume + podHeader("two"))
	container("app", "")
	b.WriteString(volume)
	return startPods(t, b.String(), flags...)
}

func nameOf(kind string) string {
	if slices.Contains(systemV, kind) {
		return "0xdec0de01" // with the highest bit: key_t has a sign
	}
	return "/stranger"
}

func TestStrangers(t *testing.T) {
	p := strangerPods(t, false)
	for _, s := range strangers {
		for _, kind := range s.kinds {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				s.need(t)
				p := p.of(t)
				p.exchange(kind, side{"one/app", s.does, "two/app"}, side{"one/pull", toolbox, "two/app"})
				p.exchange(kind, side{"one/pull", toolbox, "two/app"}, side{"one/app", s.does, "two/app"})
			})
		}
	}
}

// side is a program in a container, and the container of another pod from which the same program looks.
type side struct {
	where string
	does  func(kind, verb, name string, text ...string) []string
	away  string
}

// exchange has a make an object, both give and take, nobody see it from the other pod, and b remove it.
func (p pods) exchange(kind string, a, b side) {
	p.t.Helper()
	name, got := nameOf(kind), func(text string) string {
		if isSemaphore(kind) {
			return "took 1"
		}
		return text
	}
	p.does(a.where, a.does(kind, "make", name)...)
	p.refused(a.where, "EEXIST", append(a.does(kind, "make", name), "--excl")...)
	p.does(b.where, b.does(kind, "put", name, "to the maker")...)
	p.prints(a.where, got("to the maker"), a.does(kind, "take", name)...)
	p.does(a.where, a.does(kind, "put", name, "from the maker")...)
	// What is there now is taken by the sibling only after the other pod has looked: the object was there at that moment.
	for _, from := range []side{a, b} {
		p.refused(from.away, "ENOENT", from.does(kind, "take", name)...)
		p.refused(from.away, "ENOENT", from.does(kind, "remove", name)...)
	}
	p.prints(b.where, got("from the maker"), b.does(kind, "take", name)...)
	p.does(b.where, b.does(kind, "remove", name)...)
	p.refused(a.where, "ENOENT", a.does(kind, "take", name)...)
	p.refused(b.where, "ENOENT", b.does(kind, "take", name)...)
}

// Each ✗ above can fail: built without IPC namespaces, pods share what follows one, and the same looks find it.
func TestStrangersWithoutIsolation(t *testing.T) {
	s := strangers[0]
	s.need(t)
	p := strangerPods(t, false, "--without", "ipc")
	for _, kind := range slices.Concat(systemV, []string{"mq"}) {
		name := fmt.Sprintf("0x%08x", 0xdec00000+os.Getpid()) // on this machine now, where others test too
		if kind == "mq" {
			name = fmt.Sprintf("/podlab-strangers-%d", os.Getpid())
		}
		t.Cleanup(func() { _, _ = p.late("ipc", kind, "rm", name) }) // gone already, if all went well
		p.does("one/app", s.does(kind, "make", name)...)
		for _, from := range []side{{"two/app", s.does, ""}, {"two/app", toolbox, ""}} {
			p.does("one/app", s.does(kind, "put", name, "to all")...)
			p.does(from.where, from.does(kind, "take", name)...)
		}
		p.does("two/app", toolbox(kind, "remove", name)...)
	}
	// Shared memory of POSIX follows the mount, which they still have.
	p.does("one/app", s.does("posix-shm", "make", "/stranger")...)
	p.refused("two/app", "ENOENT", s.does("posix-shm", "take", "/stranger")...)
}
