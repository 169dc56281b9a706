package matrix

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// TestMain makes the test binary a probe, where it is called by that name: probe SETUP.
func TestMain(m *testing.M) {
	if os.Args[0] == "probe" {
		os.Exit(probeMain(os.Args[1]))
	}
	os.Exit(m.Run())
}

// A box is what a probe of the tests lives in.
type box struct {
	Flags uintptr     // of clone(2): new namespaces
	Binds [][2]string // mounted in this order, in a mount namespace of its own
	Tmpfs []string    // and then a new file system here
	Lo    bool        // bring lo up
	UID   int         // 0: the caller
}

// probeMain sets the box up from inside, and is a probe there.
func probeMain(setup string) int {
	var b box
	err := json.Unmarshal([]byte(setup), &b)
	if err == nil {
		err = b.enter()
	}
	if err == nil {
		err = unix.SetNonblock(0, true)
	}
	if err == nil {
		err = Serve(context.Background(), os.NewFile(0, "stdin"), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (b box) enter() error {
	if b.Flags&unix.CLONE_NEWNS != 0 {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("private: %w", err)
		}
	}
	for _, m := range b.Binds {
		if err := unix.Mount(m[0], m[1], "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", m[1], err)
		}
	}
	for _, dir := range b.Tmpfs {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("tmpfs %s: %w", dir, err)
		}
	}
	if !b.Lo {
		return nil
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

// start starts a probe in the box, and ends it with the test.
func (b box) start(t *testing.T) (*Link, *os.Process) {
	t.Helper()
	l, p := b.spawn(t)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("probe: %v", err)
		}
	})
	return l, p
}

// spawn starts a probe that the test will end.
func (b box) spawn(t *testing.T) (*Link, *os.Process) {
	t.Helper()
	setup, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"probe", string(setup)}
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // the race detector sleeps a second at every exit
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: b.Flags, Pdeathsig: syscall.SIGTERM}
	if b.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(b.UID), Gid: uint32(b.UID)}
	}
	if b.Flags != 0 && os.Getuid() != 0 {
		testenv.Need(t, "userns", userNamespaces(), "an ordinary user can't make a user namespace here")
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	l, err := Spawn(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return l, cmd.Process
}

func userNamespaces() bool {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return cmd.Run() == nil
}

// at is a viewpoint in the box.
func (b box) at(t *testing.T, column Column, name string) Viewpoint {
	t.Helper()
	l, _ := b.start(t)
	return Viewpoint{Column: column, Name: name, Link: l}
}

// process takes the signals of this package's tests.
type process struct{ *os.Process }

func (p process) Signal(sig unix.Signal) error { return p.Process.Signal(sig) }

func rowIndex(id string) int {
	return slices.IndexFunc(Rows(), func(r Row) bool { return r.ID == id })
}

// do has a probe do something that must work.
func do(t *testing.T, l *Link, r request) answer {
	t.Helper()
	a, err := l.ask(t.Context(), r)
	if err != nil || a.Error != "" {
		t.Fatalf("%s %s: %v %s", r.Do, r.Row, err, a.Error)
	}
	return a
}

// picture is a report as a text: a line per row, ✓ or the errno per cell, and ! where the judgement isn't good.
func picture(r *Report) string {
	var b strings.Builder
	for _, l := range r.Rows {
		b.WriteString(l.ID + ":")
		if l.Why != "" {
			b.WriteString(" " + l.Why)
		}
		for _, c := range l.Cells {
			word := c.Measured.Errno
			if c.Measured.Reached {
				word = "✓"
			}
			if c.Judgement != AsPredicted {
				word += "!"
			}
			b.WriteString(" " + word)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// rowsOf is the picture that is wanted: the cells of each row, by what it follows.
func rowsOf(ipcRows, shmRows, abstract, socket, tcp string) string {
	var b strings.Builder
	for _, r := range Rows() {
		cells := map[Follows]string{FollowsIPC: ipcRows, FollowsShm: shmRows, FollowsVolume: socket}[r.Follows]
		switch r.ID {
		case "abstract":
			cells = abstract
		case "tcp":
			cells = tcp
		}
		b.WriteString(r.ID + ": " + cells + "\n")
	}
	return b.String()
}

// why is what a report says of its bad cells and rows.
func why(r *Report) string {
	var b strings.Builder
	for _, l := range r.Rows {
		for i, c := range l.Cells {
			if c.Judgement != AsPredicted {
				b.WriteString(l.ID + " from " + r.Viewers[i].Name + ": " + string(c.Judgement) + ": " + c.Why + "\n")
			}
		}
	}
	return b.String() + strconv.Itoa(r.Verdict.AsPredicted) + " of " + strconv.Itoa(r.Verdict.Cells)
}
