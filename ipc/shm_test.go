package ipc

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func newShm(t testing.TB, size int) Shm {
	t.Helper()
	s, err := GetShm(Private, size, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, s, s.Remove)
	return s
}

func attach(t testing.TB, s Shm, readOnly bool) *Segment {
	t.Helper()
	seg, err := s.Attach(readOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := seg.Detach(); err != nil {
			t.Error(err)
		}
	})
	return seg
}

// newKey returns a key that no object has, as far as can be known.
func newKey() Key {
	for {
		if k := Key(rand.Uint32()); k != Private {
			return k
		}
	}
}

func TestShm(t *testing.T) {
	began := time.Now().Truncate(time.Second)
	k := newKey()
	s, err := GetShm(k, 5000, Get{Create: true, Exclusive: true, Perm: 0o640 | fs.ModeDir})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, s, s.Remove)
	if _, err := GetShm(k, 5000, Get{Create: true, Exclusive: true}); err != nil {
		wantErr(t, err, unix.EEXIST, "shmget", "key "+k.String())
	} else {
		t.Error("made twice")
	}
	if again, err := GetShm(k, 0, Get{Perm: 0o600}); again != s || err != nil {
		t.Errorf("found by its key: got %v and %v, want %v", again, err, s)
	}
	st, err := s.Stat()
	want := ShmStat{
		Perm:       Permissions{Key: k, UID: os.Geteuid(), GID: os.Getegid(), CUID: os.Geteuid(), CGID: os.Getegid(), Mode: 0o640},
		Size:       5000,
		CreatorPid: os.Getpid(),
		ChangeTime: st.ChangeTime,
	}
	if err != nil || st != want || st.ChangeTime.Before(began) {
		t.Errorf("got %+v and %v, want %+v, changed since %v", st, err, want, began)
	}

	w, r := attach(t, s, false), attach(t, s, true)
	if len(w.Data) != 5000 || slices.ContainsFunc(w.Data, func(b byte) bool { return b != 0 }) {
		t.Errorf("got %d bytes, or not all zero, want 5000", len(w.Data))
	}
	copy(w.Data[4995:], "hello")
	if got := string(r.Data[4995:]); got != "hello" {
		t.Errorf("got %q, want hello", got)
	}
	if st, err = s.Stat(); err != nil || st.Attached != 2 || st.LastPid != os.Getpid() || st.AttachTime.Before(began) || !st.DetachTime.IsZero() {
		t.Errorf("attached twice: got %+v and %v", st, err)
	}
	for range 2 { // the second does nothing
		if err := w.Detach(); err != nil || w.Data != nil {
			t.Errorf("got %d bytes and %v, want none", len(w.Data), err)
		}
	}
	if st, err = s.Stat(); err != nil || st.Attached != 1 || st.DetachTime.Before(began) {
		t.Errorf("detached once: got %+v and %v", st, err)
	}
	if err := s.SetPerm(-1, -1, 0o400); err != nil {
		t.Error(err)
	}
	if st, err = s.Stat(); err != nil || st.Perm.Mode != 0o400 || st.Perm.UID != os.Geteuid() {
		t.Errorf("mode set to 0400: got %+v and %v", st.Perm, err)
	}
}

func TestShmErrors(t *testing.T) {
	k := newKey()
	s, err := GetShm(k, 100, Get{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, s, s.Remove)
	get := func(k Key, size int, g Get) func() error {
		return func() error {
			s, err := GetShm(k, size, g)
			if err == nil {
				mine(t, KindShm, s, s.Remove)
			}
			return err
		}
	}
	const none = Shm(0x7fffffff)
	free := newKey()
	for _, c := range []struct {
		name string
		do   func() error
		op   string
		path string
		want unix.Errno
	}{
		{"no such key", get(free, 0, Get{}), "shmget", "key " + free.String(), unix.ENOENT},
		{"exclusive alone makes nothing", get(free, 1, Get{Exclusive: true}), "shmget", "key " + free.String(), unix.ENOENT},
		{"size 0", get(Private, 0, Get{}), "shmget", "key 0x00000000", unix.EINVAL},
		{"size -1", get(Private, -1, Get{}), "shmget", "key 0x00000000", unix.EINVAL},
		{"greater than it is", get(k, 101, Get{}), "shmget", "key " + k.String(), unix.EINVAL},
		{"attach", func() error { _, err := none.Attach(false); return err }, "shmat", "id 2147483647", unix.EINVAL},
		{"attach -1", func() error { _, err := Shm(-1).Attach(false); return err }, "shmat", "id -1", unix.EINVAL},
		{"stat", func() error { _, err := none.Stat(); return err }, "shmctl", "id 2147483647", unix.EINVAL},
		{"set", func() error { return none.SetPerm(0, 0, 0) }, "shmctl", "id 2147483647", unix.EINVAL},
		{"set, ids kept", func() error { return none.SetPerm(-1, 0, 0) }, "shmctl", "id 2147483647", unix.EINVAL},
		{"remove", none.Remove, "shmctl", "id 2147483647", unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) { wantErr(t, c.do(), c.want, c.op, c.path) })
	}
}

// Removed while attached: no key any more, but there, for those who have it and those who know its identifier.
func TestShmRemovedWhileAttached(t *testing.T) {
	k := newKey()
	s, err := GetShm(k, 4096, Get{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, s, s.Remove)
	first := attach(t, s, false)
	first.Data[0] = 7
	if err := s.Remove(); err != nil {
		t.Fatal(err)
	}
	_, err = GetShm(k, 0, Get{})
	wantErr(t, err, unix.ENOENT, "shmget", "key "+k.String())
	st, err := s.Stat()
	if err != nil || st.Perm.Key != Private || !st.Dest || st.Attached != 1 || st.Perm.Mode != 0o600 {
		t.Errorf("got %+v and %v, want key 0, to be destroyed, attached once", st, err)
	}
	second := attach(t, s, true)
	if second.Data[0] != 7 {
		t.Errorf("got %d, want 7", second.Data[0])
	}
	// The key is free for another one.
	other, err := GetShm(k, 4096, Get{Create: true, Exclusive: true, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, other, other.Remove)
	if other == s {
		t.Errorf("got the identifier %v again", s)
	}
	for _, seg := range []*Segment{first, second} {
		if _, err := s.Stat(); err != nil {
			t.Errorf("before the last detach: %v", err)
		}
		if err := seg.Detach(); err != nil {
			t.Error(err)
		}
	}
	_, err = s.Stat()
	if ErrnoName(err) != "EINVAL" && ErrnoName(err) != "EIDRM" {
		t.Errorf("after the last detach: got %v, want EINVAL or EIDRM", err)
	}
}

// A segment outlives its creator, but not with shm_rmid_forced, which is not ours to set here.
func TestShmReadOnlyFaults(t *testing.T) {
	seg := attach(t, newShm(t, 1), true)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("written to a read-only segment")
		}
	}()
	seg.Data[0] = 1
}

// Two mappings are two addresses of the same memory, and atomic operations work across them.
func TestShmAtomic(t *testing.T) {
	const goroutines, rounds = 4, 10000
	s := newShm(t, 8)
	done := make(chan bool)
	for range goroutines {
		seg := attach(t, s, false)
		n := (*atomic.Uint64)(unsafe.Pointer(&seg.Data[0])) // shmat gives the beginning of a page
		go func() {
			for range rounds {
				n.Add(1)
			}
			done <- true
		}()
	}
	for range goroutines {
		<-done
	}
	seg := attach(t, s, true)
	if got := *(*uint64)(unsafe.Pointer(&seg.Data[0])); got != goroutines*rounds {
		t.Errorf("got %d, want %d", got, goroutines*rounds)
	}
}
