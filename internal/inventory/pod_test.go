package inventory_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podlab/podlab/internal/inventory"
	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
	_ "github.com/podlab/podlab/ns/stage" // the test binary is its own pod stage
	"github.com/podlab/podlab/pod"
	"github.com/podlab/podlab/pod/spec"
)

// TestMain is also what Take starts, and what runs in the containers of the tests.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		var err error
		switch os.Args[1] {
		case inventory.Verb:
			err = inventory.Serve(os.Stdin, os.Stdout)
		case "make":
			err = makeAll()
		case "attach":
			err = attachAll()
		case "touch":
			err = touch()
		case "create":
			_, err = create()
			if err == nil {
				err = hold("created")
			}
		default:
			os.Exit(m.Run())
		}
		if err != nil {
			fmt.Println("failed:", err) // read by the test, instead of what it waits for
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const pages = 4

// key is of this run alone: some pods of the tests share the host's namespace.
var key = testKey()

func testKey() ipc.Key {
	if n, err := strconv.Atoi(os.Getenv("TEST_KEY")); err == nil {
		return ipc.Key(n) // of the test that has started us
	}
	return ipc.Key(0x7000_0000 + os.Getpid())
}

func create() (ipc.Shm, error) {
	return ipc.GetShm(key, pages*os.Getpagesize(), ipc.Get{Create: true, Exclusive: true, Perm: 0o600})
}

// makeAll makes an object of each kind, with two pages of each kind of memory, and holds them.
func makeAll() error {
	page := os.Getpagesize()
	shm, err := create()
	if err != nil {
		return err
	}
	seg, err := shm.Attach(false)
	if err != nil {
		return err
	}
	seg.Data[0], seg.Data[page] = 1, 1
	set, err := ipc.GetSem(key, 2, ipc.Get{Create: true, Perm: 0o600})
	if err != nil {
		return err
	}
	if err := set.SetValues([]int{3, 4}); err != nil {
		return err
	}
	msg, err := ipc.GetMsg(key, ipc.Get{Create: true, Perm: 0o600})
	if err != nil {
		return err
	}
	if err := msg.TrySend(ipc.Message{Type: 1, Data: []byte("hello")}); err != nil {
		return err
	}
	o := ipc.Open{Create: true, Exclusive: true, Perm: 0o600}
	q, err := ipc.OpenQueue("/test", o, &ipc.QueueAttr{MaxMessages: 2, MessageSize: 16})
	if err != nil {
		return err
	}
	if err := q.TrySend([]byte("hello"), 0); err != nil {
		return err
	}
	memory, err := ipc.OpenShared("/test", int64(pages*page), o)
	if err != nil {
		return err
	}
	if _, err := memory.WriteAt(make([]byte, 2*page), 0); err != nil {
		return err
	}
	if _, err := ipc.OpenSemaphore("/test", 7, o); err != nil {
		return err
	}
	return hold("made")
}

// attachAll uses what the other container has made.
func attachAll() error {
	shm, err := ipc.GetShm(key, 0, ipc.Get{})
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := shm.Attach(true); err != nil {
			return err
		}
	}
	memory, err := ipc.OpenShared("/test", 0, ipc.Open{})
	if err != nil {
		return err
	}
	if _, err := memory.Map(false); err != nil {
		return err
	}
	return hold("attached")
}

// touch touches the pages of a segment that it is told to.
func touch() error {
	shm, err := ipc.GetShm(key, pages*os.Getpagesize(), ipc.Get{Create: true, Perm: 0o600})
	if err != nil {
		return err
	}
	seg, err := shm.Attach(false)
	if err != nil {
		return err
	}
	fmt.Println("attached")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println("touched") {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		seg.Data[n*os.Getpagesize()] = 1
	}
	return nil
}

// hold says that all is done, and keeps it until standard input ends.
func hold(what string) error {
	fmt.Println(what)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// running is a pod with the containers a and b.
type running struct {
	t      *testing.T
	handle *pod.Handle
}

const manifest = `
apiVersion: v1
kind: Pod
metadata: {name: test}
spec:
  SPEC
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: a, command: [sh, -c, "echo ready; exec sleep 1000"]}
  - {name: b, command: [sh, -c, "echo ready; exec sleep 1000"]}
`

func run(t *testing.T, more string, without ...ns.Kind) *running {
	t.Helper()
	return runManifest(t, strings.Replace(manifest, "SPEC", more, 1), without...)
}

// runHostile is run with another command for b, in YAML.
func runHostile(t *testing.T, command string) *running {
	t.Helper()
	head, _, _ := strings.Cut(strings.Replace(manifest, "SPEC", "", 1), "  - {name: b")
	return runManifest(t, head+"  - {name: b, command: "+command+"}\n")
}

func runManifest(t *testing.T, text string, without ...ns.Kind) *running {
	t.Helper()
	in, _, err := spec.Parse("test.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := pod.OpenRoot(filepath.Join(t.TempDir(), "root"))
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{}, 4) // of each container: it says so, and the supervisor knows that it runs
	watch := func(e pod.Event) {
		if e.Kind == pod.EventStarted {
			ready <- struct{}{}
		}
	}
	kill, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := pod.Run(context.Background(), root, in.Pods[0], in, pod.Options{Detached: true, Kill: kill, Without: ns.Of(without...), Watch: watch, Output: func(string, bool) io.Writer { return signaller(ready) }})
		done <- err
	}()
	t.Cleanup(func() {
		close(kill)
		<-done
		_ = root.Close() // only made for the test
	})
	for range cap(ready) {
		select {
		case <-ready:
		case err := <-done:
			done <- err
			t.Fatalf("the pod has ended: %v", err)
		case <-time.After(30 * time.Second):
			t.Fatal("the pod isn't ready")
		}
	}
	h, err := pod.Open(root, in.Pods[0].Namespace, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // only asked through
	return &running{t, h}
}

type signaller chan struct{}

func (s signaller) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "ready") {
		s <- struct{}{}
	}
	return len(p), nil
}

// player is a process that plays a role in a container.
type player struct {
	pid int // on the host
	t   *testing.T
	x   *pod.Execution
	in  *os.File
	out *os.File
	say *bufio.Scanner
}

// play starts a role in a container.
func (r *running) play(container, role string) *player {
	t := r.t
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inR.Close()
	defer outW.Close() // the other process has its own
	x, err := r.handle.Exec(t.Context(), pod.ExecOptions{Container: container, Self: true, Command: []string{"test", role}, Env: []string{fmt.Sprintf("TEST_KEY=%d", key)}, Stdin: inR, Stdout: outW, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	p := &player{pid: x.Pid, t: t, x: x, in: inW, out: outR, say: bufio.NewScanner(outR)}
	t.Cleanup(p.end)
	return p
}

// in is play, until the role says that.
func (r *running) in(container, role, says string) (pid int, end func()) {
	r.t.Helper()
	p := r.play(container, role)
	p.says(says)
	return p.pid, p.end
}

func (p *player) says(want string) {
	p.t.Helper()
	if !p.say.Scan() || p.say.Text() != want {
		p.t.Fatalf("got %q, %v, want %q", p.say.Text(), p.say.Err(), want)
	}
}

func (p *player) tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

// end ends the process, once.
func (p *player) end() {
	if p.x == nil {
		return
	}
	_ = p.in.Close()
	_, _, _ = p.x.Wait(context.Background()) // its end is all that counts
	_ = p.x.Close()
	_ = p.out.Close()
	p.x = nil
}

func (r *running) take() inventory.Inventory {
	r.t.Helper()
	s, err := r.handle.State(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	inv, err := inventory.Take(r.t.Context(), s)
	if err != nil {
		r.t.Fatal(err)
	}
	return inv
}
