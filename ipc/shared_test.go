package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestShared(t *testing.T) {
	s, name := newShared(t, 5000, 0o600)
	if n, err := s.Size(); n != 5000 || err != nil {
		t.Fatalf("got %d, %v, want 5000 bytes", n, err)
	}
	other, err := OpenShared(name, 5000, Open{})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, other.Close)
	mem, err := s.Map(false)
	if err != nil {
		t.Fatal(err)
	}
	view, err := other.Map(true)
	if err != nil {
		t.Fatal(err)
	}
	if len(mem.Data) != 5000 || !bytes.Equal(mem.Data, make([]byte, 5000)) {
		t.Errorf("got %d bytes, want 5000 of 0", len(mem.Data))
	}
	copy(mem.Data[4096:], "hello")
	if got := string(view.Data[4096:4101]); got != "hello" {
		t.Errorf("got %q through the other mapping", got)
	}
	buf := make([]byte, 5)
	if _, err := other.ReadAt(buf, 4096); string(buf) != "hello" || err != nil {
		t.Errorf("got %q, %v by reading", buf, err)
	}
	if _, err := other.WriteAt([]byte("J"), 4096); err != nil || mem.Data[4096] != 'J' {
		t.Errorf("got %q, %v, want what was written", mem.Data[4096], err)
	}
	wantErr(t, RemoveShared(name), nil, "", "")
	wantErr(t, RemoveShared(name), unix.ENOENT, "shm_unlink", name)
	if got := string(view.Data[4096:4101]); got != "Jello" { // the memory outlives its name
		t.Errorf("got %q after the name was removed", got)
	}
	wantErr(t, mem.Detach(), nil, "", "")
	wantErr(t, view.Detach(), nil, "", "")
	wantErr(t, s.Close(), nil, "", "")
	wantErr(t, s.Close(), os.ErrClosed, "close", name)
	_, err = s.Map(true)
	wantErr(t, err, os.ErrClosed, "fstat", name)
}

func TestSharedErrors(t *testing.T) {
	_, name := newShared(t, 100, 0o600)
	_, err := OpenShared(name, 1, Open{Create: true, Exclusive: true})
	wantErr(t, err, unix.EEXIST, "shm_open", name)
	_, err = OpenShared(name, 101, Open{Create: true})
	wantErr(t, err, unix.EINVAL, "shm_open", name) // it has fewer
	_, err = OpenShared(name, -1, Open{})
	wantErr(t, err, unix.EINVAL, "shm_open", name)
	_, err = OpenShared("/none-such", 0, Open{})
	wantErr(t, err, unix.ENOENT, "shm_open", "/none-such")

	reader, err := OpenShared(name, 0, Open{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, reader.Close)
	_, err = reader.Map(false)
	wantErr(t, err, unix.EACCES, "mmap", name)
	wantErr(t, reader.Resize(50), unix.EINVAL, "ftruncate", name) // a descriptor to read
	_, err = reader.WriteAt([]byte("x"), 0)
	wantErr(t, err, unix.EBADF, "write", name)

	writer, err := OpenShared(name, 0, Open{})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, writer.Close)
	wantErr(t, writer.Resize(0), nil, "", "")
	_, err = writer.Map(false)
	wantErr(t, err, unix.EINVAL, "mmap", name) // nothing to map
}

// What others put into /dev/shm, where everybody may, is neither followed nor waited for.
func TestSharedIsARegularFile(t *testing.T) {
	put := func(make func(path string) error) string {
		name := objectName()
		if err := make(shmDir + name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(shmDir + name) }) // it is there
		return name
	}
	link := put(func(path string) error { return os.Symlink("/etc/passwd", path) })
	fifo := put(func(path string) error { return unix.Mkfifo(path, 0o600) })
	dir := put(func(path string) error { return os.Mkdir(path, 0o700) })
	for _, o := range []Open{{}, {ReadOnly: true}, {Create: true}} {
		_, err := OpenShared(link, 0, o)
		wantErr(t, err, unix.ELOOP, "shm_open", link)
		_, err = OpenShared(fifo, 0, o)
		wantErr(t, err, unix.EINVAL, "shm_open", fifo)
		_, err = OpenShared(dir, 0, o)
		if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
			t.Errorf("a directory: got %v", err)
		}
	}
	for _, name := range []string{link, fifo, dir} {
		_, err := OpenShared(name, 0, Open{Create: true, Exclusive: true})
		wantErr(t, err, unix.EEXIST, "shm_open", name)
	}
}

// Many make the same object at once: all have the same one, and nobody sees it without its size.
func TestSharedRace(t *testing.T) {
	for range 50 {
		name := objectName()
		removeLater(t, name, RemoveShared)
		var all sync.WaitGroup
		var made atomic.Int32
		inodes := make([]uint64, 16)
		for i := range inodes {
			all.Go(func() {
				s, err := OpenShared(name, 4096, Open{Create: true, Exclusive: i%4 == 0, Perm: 0o600})
				if i%4 == 0 && errors.Is(err, unix.EEXIST) {
					s, err = OpenShared(name, 4096, Open{})
				} else if i%4 == 0 && err == nil {
					made.Add(1)
				}
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				inodes[i] = inode(t, s.file)
			})
		}
		all.Wait()
		for _, n := range inodes {
			if n != inodes[0] {
				t.Fatalf("got inodes %d, want one object", inodes)
			}
		}
		if made.Load() > 1 {
			t.Fatalf("%d have made it exclusively", made.Load())
		}
	}
}

func inode(t testing.TB, f *os.File) uint64 {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Error(err)
	}
	return st.Ino
}

// A maker that dies before the object is complete leaves no file behind, and nothing in the way of the next.
func TestSharedCrash(t *testing.T) {
	for _, role := range []string{"shared-crash", "semaphore-crash"} {
		name := objectName()
		before := files(t)
		p := start(t, -1, role, name)
		p.says("half made")
		p.kill()
		for file := range files(t) {
			if !before[file] && filepath.Base(file) == name[1:] {
				t.Errorf("%s left %s", role, file)
			}
		}
		s, err := OpenShared(name, 10, Open{Create: true, Exclusive: true, Perm: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		wantErr(t, s.Close(), nil, "", "")
		wantErr(t, RemoveShared(name), nil, "", "")
	}
}

func files(t testing.TB) map[string]bool {
	names, err := filepath.Glob(shmDir + "/*" + namePrefix() + "*")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, n := range names {
		all[n] = true
	}
	return all
}

// sharedCrashRole stands still with a file that has no name yet.
func sharedCrashRole(args []string) error {
	file, err := component(args[0], "")
	if err != nil {
		return err
	}
	_, err = makeFile(file, Open{Perm: 0o600}, func(fd int) error {
		fmt.Println("half made")
		_, err := io.Copy(io.Discard, os.Stdin) // until the parent kills it, or is gone
		return err
	})
	return err
}

func TestSharedOfAnotherUser(t *testing.T) {
	needRoot(t)
	for perm, want := range map[os.FileMode][3]string{
		0o600: {"rw EACCES", "r EACCES", "create EACCES"},
		0o644: {"rw EACCES", "r ", "create EACCES"},
		0o666: {"rw ", "r ", "create "}, // also where fs.protected_regular forbids O_CREAT
	} {
		s, name := newShared(t, 1, perm)
		if err := s.file.Chmod(perm); err != nil {
			t.Fatal(err)
		}
		p := start(t, otherUID(), "shared-open", name)
		for _, w := range want {
			p.says(w)
		}
	}
}

func sharedOpenRole(args []string) error {
	for _, c := range []struct {
		name string
		o    Open
	}{{"rw", Open{}}, {"r", Open{ReadOnly: true}}, {"create", Open{Create: true}}} {
		s, err := OpenShared(args[0], 1, c.o)
		if err == nil {
			err = s.Close()
		}
		fmt.Println(c.name, ErrnoName(err))
	}
	return nil
}

// The umask applies to what has no name at first, too. It is the process's; no test runs beside this one.
func TestSharedUmask(t *testing.T) {
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	s, _ := newShared(t, 1, 0o666)
	if st, err := s.Stat(); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v, want 0640", st.Mode(), err)
	}
}
