package ipc

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestComponent(t *testing.T) {
	long := func(n int) string { return "/" + strings.Repeat("a", n) }
	for _, c := range []struct {
		name   string
		plain  error // of queues and shared memory
		prefix error // of semaphores
	}{
		{"/jobs", nil, nil},
		{"/jobs\n", nil, nil},
		{"/-", nil, nil},
		{"/...", nil, nil},
		{"/ü", nil, nil},
		{"/\xff", nil, nil},
		{"/sem.a", nil, nil},
		{"", unix.EINVAL, unix.EINVAL},
		{"/", unix.EINVAL, unix.EINVAL},
		{"jobs", unix.EINVAL, unix.EINVAL},
		{"//jobs", unix.EINVAL, unix.EINVAL},
		{"/a/b", unix.EINVAL, unix.EINVAL},
		{"/a/", unix.EINVAL, unix.EINVAL},
		{"/../etc/passwd", unix.EINVAL, unix.EINVAL},
		{"/a\x00b", unix.EINVAL, unix.EINVAL},
		{"/.", unix.EINVAL, nil}, // sem.. is a file
		{"/..", unix.EINVAL, nil},
		{long(251), nil, nil},
		{long(252), nil, unix.ENAMETOOLONG},
		{long(255), nil, unix.ENAMETOOLONG},
		{long(256), unix.ENAMETOOLONG, unix.ENAMETOOLONG},
		{long(5000), unix.ENAMETOOLONG, unix.ENAMETOOLONG},
	} {
		for prefix, want := range map[string]error{"": c.plain, semPrefix: c.prefix} {
			file, err := component(c.name, prefix)
			if !errors.Is(err, want) || want == nil && (err != nil || file != prefix+c.name[1:]) {
				t.Errorf("%.20q, prefix %q: got %q, %v, want %v", c.name, prefix, file, err, want)
			}
		}
	}
}

// Names at the limit are the kernel's limit.
func TestNamesAtTheLimit(t *testing.T) {
	at := func(n int) string { return (objectName() + strings.Repeat("x", n))[:n+1] }
	o := Open{Create: true, Exclusive: true, Perm: 0o600}

	name := at(255)
	q, err := OpenQueue(name, o, &QueueAttr{MaxMessages: 1, MessageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, q.Close)
	wantErr(t, RemoveQueue(name), nil, "", "")
	if _, err := mqOpen(name[1:]+"x", unix.O_RDONLY, 0, nil); err != unix.ENAMETOOLONG {
		t.Errorf("a name of 256 bytes: the kernel says %v, want %v", err, unix.ENAMETOOLONG)
	}
	_, err = OpenQueue(name+"x", o, nil)
	wantErr(t, err, unix.ENAMETOOLONG, "mq_open", name+"x")
	wantErr(t, RemoveQueue(name+"x"), unix.ENAMETOOLONG, "mq_unlink", name+"x")

	s, err := OpenShared(name, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s.Close)
	wantErr(t, RemoveShared(name), nil, "", "")
	_, err = OpenShared(name+"x", 1, o)
	wantErr(t, err, unix.ENAMETOOLONG, "shm_open", name+"x")
	wantErr(t, RemoveShared(name+"x"), unix.ENAMETOOLONG, "shm_unlink", name+"x")

	name = at(251)
	m, err := OpenSemaphore(name, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, m.Close)
	wantErr(t, RemoveSemaphore(name), nil, "", "")
	_, err = OpenSemaphore(name+"x", 1, o)
	wantErr(t, err, unix.ENAMETOOLONG, "sem_open", name+"x")
	wantErr(t, RemoveSemaphore(name+"x"), unix.ENAMETOOLONG, "sem_unlink", name+"x")
}

// FuzzNames holds component against the kernel, which takes as a queue's name what is a component, and nothing else.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"/a", "a", "//a", "/", "", "/.", "/..", "/a/b", "/a\x00", "/" + strings.Repeat("x", 256)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, prefix := range []string{"", semPrefix} {
			file, err := component(name, prefix)
			if err == nil && (file != prefix+name[1:] || strings.ContainsAny(file, "/\x00") || file == "." || file == ".." || len(file) > unix.NAME_MAX) {
				t.Fatalf("%q is no component of a path", file)
			}
			if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENAMETOOLONG) {
				t.Fatalf("%q: %v has no errno of its own", name, err)
			}
		}
		rest, ok := strings.CutPrefix(name, "/")
		if !ok || strings.Contains(rest, "\x00") {
			return // what the C library refuses, or can't be said to the kernel
		}
		_, ours := component(name, "")
		fd, kernel := mqOpen(rest, unix.O_RDONLY|unix.O_CLOEXEC, 0, nil)
		if kernel == nil {
			_ = unix.Close(fd) // somebody's queue, by chance
		}
		// An empty name is ENOENT, as is a queue that isn't there.
		if takes := kernel == nil || kernel == unix.EACCES && ours == nil || kernel == unix.ENOENT && rest != ""; takes != (ours == nil) {
			t.Errorf("%q: we say %v, the kernel %v", name, ours, kernel)
		}
	})
}
