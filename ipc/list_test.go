package ipc

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/internal/testenv"
)

// The kernel's own tables, of all three kinds, with values that only fit where they belong.
func TestParseSysV(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for _, c := range []struct {
		kind Kind
		text string
		want []Object
	}{
		{KindShm, "" +
			"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n" +
			"1785684595          3   600                  4096   101   102      2     1     2     3     4        11         12         13                  8192                 12288\n" +
			"-559038737          4  3640                     1     0     0      1     0     0     0     0         0          0          1                     0                     0\n",
			[]Object{
				{Kind: KindShm, Key: 0x6a6f6273, ID: 3, Mode: 0o600, Size: 4096, CreatorPid: 101, LastPid: 102, Attached: 2, UID: 1, GID: 2, CreatorUID: 3, CreatorGID: 4,
					AttachTime: at(11), DetachTime: at(12), ChangeTime: at(13), Resident: 8192, Swapped: 12288},
				{Kind: KindShm, Key: -559038737, ID: 4, Mode: 0o640, Size: 1, Attached: 1, ChangeTime: at(1), Removed: true, Locked: true},
			}},
		{KindSem, "" +
			"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n" +
			"         1          0   666         32     1     2     3     4          5          6\n",
			[]Object{{Kind: KindSem, Key: 1, Mode: 0o666, Semaphores: 32, UID: 1, GID: 2, CreatorUID: 3, CreatorGID: 4, OpTime: at(5), ChangeTime: at(6)}}},
		{KindMsg, "" +
			"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime later\n" +
			"         1          2   644           7          3    10    11     1     2     3     4          5          6          7    99\n",
			[]Object{{Kind: KindMsg, Key: 1, ID: 2, Mode: 0o644, Size: 7, Messages: 3, LastSendPid: 10, LastReceivePid: 11, UID: 1, GID: 2, CreatorUID: 3, CreatorGID: 4,
				SendTime: at(5), ReceiveTime: at(6), ChangeTime: at(7)}}},
		{KindMsg, "", nil},
		{KindMsg, "key msqid\n1\n", nil},
		{KindMsg, "key msqid\n1 x\n", nil},
	} {
		got, err := parseSysV([]byte(c.text), c.kind)
		if c.want == nil {
			if err == nil {
				t.Errorf("%q: got %v, want an error", c.text, got)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", c.kind, got, err, c.want)
		}
	}
}

func FuzzParseSysV(f *testing.F) {
	f.Add("key shmid perms\n1 2 600\n")
	f.Add("\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseSysV([]byte(text), KindShm)
		if lines := strings.Count(text, "\n"); len(all) > lines+1 || err == nil && text == "" {
			t.Errorf("got %d objects, %v, from %d lines", len(all), err, lines)
		}
	})
}

func TestParseQueueLine(t *testing.T) {
	for line, want := range map[string][2]int{
		"QSIZE:129        NOTIFY:2 SIGNO:0 NOTIFY_PID:8260 \n":          {129, 8260},
		"QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n": {0, 0},
		"":               {-1, 0},
		"QSIZE:x":        {-1, 0},
		"NOTIFY_PID:8\n": {-1, 0},
	} {
		size, pid, err := parseQueueLine(line)
		if want[0] == -1 && err == nil || want[0] >= 0 && (err != nil || size != int64(want[0]) || pid != want[1]) {
			t.Errorf("%q: got %d, %d, %v, want %v", line, size, pid, err, want)
		}
	}
}

// find returns the object of that kind and title.
func find(t *testing.T, all []Object, k Kind, match func(Object) bool) Object {
	t.Helper()
	for _, o := range all {
		if o.Kind == k && match(o) {
			return o
		}
	}
	t.Fatalf("no such %s in %+v", k, all)
	return Object{}
}

func named(name string) func(Object) bool { return func(o Object) bool { return o.Name == name } }

// One of each kind, listed as what it is.
func TestList(t *testing.T) {
	shm, err := GetShm(Private, 10000, Get{Perm: 0o640})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindShm, shm, shm.Remove)
	seg, err := shm.Attach(false)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Detach()
	seg.Data[0] = 1 // one page
	sem, err := GetSem(Private, 3, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindSem, sem, sem.Remove)
	wantErr(t, sem.SetValues([]int{4, 5, 6}), nil, "", "")
	msg, err := GetMsg(Private, Get{Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	mine(t, KindMsg, msg, msg.Remove)
	wantErr(t, msg.TrySend(Message{Type: 1, Data: []byte("12345")}), nil, "", "")
	memory, memoryName := newShared(t, 10000, 0o600)
	if _, err := memory.WriteAt([]byte("x"), 5000); err != nil {
		t.Fatal(err)
	}
	_, semName := newSemaphore(t, 7)

	all, err := List()
	if err != nil && !errors.Is(err, ErrNoMQueue) {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b Object) int { return slices.Index(Kinds(), a.Kind) - slices.Index(Kinds(), b.Kind) }) {
		t.Errorf("not sorted by kind: %+v", all)
	}
	id := func(n int) func(Object) bool { return func(o Object) bool { return o.ID == n } }
	o := find(t, all, KindShm, id(int(shm)))
	if o.Size != 10000 || o.Attached != 1 || o.Mode != 0o640 || o.CreatorPid != os.Getpid() || o.UID != os.Geteuid() || o.Resident != int64(os.Getpagesize()) ||
		o.AttachTime.IsZero() || !o.DetachTime.IsZero() || o.Removed || o.Title() != "id "+strconv.Itoa(int(shm)) {
		t.Errorf("shm: got %+v", o)
	}
	if o := find(t, all, KindSem, id(int(sem))); !slices.Equal(o.Values, []int{4, 5, 6}) || o.Semaphores != 3 || !slices.Equal(o.LastPids, []int{os.Getpid(), os.Getpid(), os.Getpid()}) {
		t.Errorf("sem: got %+v", o)
	}
	if o := find(t, all, KindMsg, id(int(msg))); o.Messages != 1 || o.Size != 5 || o.LastSendPid != os.Getpid() {
		t.Errorf("msg: got %+v", o)
	}
	o = find(t, all, KindShared, named(memoryName))
	if o.Size != 10000 || o.Resident != int64(os.Getpagesize()) || o.Mode != 0o600 || o.Inode != inode(t, memory.file) || o.Title() != memoryName {
		t.Errorf("posix-shm: got %+v", o)
	}
	if o := find(t, all, KindNamedSem, named(semName)); !slices.Equal(o.Values, []int{7}) || o.Waiting != 0 || o.Title() != semName {
		t.Errorf("posix-sem: got %+v", o)
	}

	wantErr(t, shm.Remove(), nil, "", "")
	if all, err = List(); err != nil && !errors.Is(err, ErrNoMQueue) {
		t.Fatal(err)
	}
	if o := find(t, all, KindShm, id(int(shm))); !o.Removed || o.Key != Private || o.Attached != 1 {
		t.Errorf("removed while attached: got %+v", o)
	}
}

func TestListQueues(t *testing.T) {
	dir, err := ownMQueue()
	if err == nil {
		_ = dir.Close() // it was only tried
	}
	testenv.Need(t, "root", err == nil, "an mqueue file system can't be mounted here")
	q, name := newQueue(t, &QueueAttr{MaxMessages: 3, MessageSize: 16})
	wantErr(t, q.TrySend([]byte("12345"), 0), nil, "", "")
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	o := find(t, all, KindQueue, named(name))
	if o.Size != 5 || o.Messages != 1 || o.MaxMessages != 3 || o.MessageSize != 16 || o.Mode != 0o600 || o.Inode != inode(t, q.File()) || o.NotifyPid != 0 {
		t.Errorf("got %+v", o)
	}
	n, err := q.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	all, err = List()
	if err != nil {
		t.Fatal(err)
	}
	if o := find(t, all, KindQueue, named(name)); o.NotifyPid != os.Getpid() {
		t.Errorf("got %+v, want us to be told", o)
	}
}

// A mount made in another IPC namespace shows that one's queues. mq_open(2) doesn't find them here.
func TestListForeignQueues(t *testing.T) {
	needRoot(t)
	q, name := newQueue(t, &QueueAttr{MaxMessages: 1, MessageSize: 1})
	dir, err := ownMQueue()
	testenv.Need(t, "root", err == nil, "an mqueue file system can't be mounted here")
	defer dir.Close()
	mount := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd()))
	if all, err := listQueues(mount); err != nil || foreign(mount, all) || find(t, all, KindQueue, named(name)).Inode != inode(t, q.File()) {
		t.Errorf("at home: got %+v, %v", all, err)
	}
	away := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is in another namespace, and ends with this goroutine
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			away <- err.Error()
			return
		}
		all, err := listQueues(mount)
		switch {
		case err != nil:
			away <- err.Error()
		case !foreign(mount, all):
			away <- "taken for its own"
		default:
			own, err := listOwnQueues(mount)
			if len(own) != 0 || err != nil {
				away <- "a new namespace has queues"
			}
			away <- ""
		}
	}()
	if got := <-away; got != "" {
		t.Error(got)
	}
}

// Places that aren't there, or hold something else, are told of, and hide nothing.
func TestListAt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "memory"), []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"sem.": semSize, "sem.short": semSize - 1, "sem.private": semSize} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := ListAt(Places{SysV: filepath.Join(dir, "none"), Shm: dir, MQueue: dir})
	if !errors.Is(err, ErrNoMQueue) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want what is missing", err)
	}
	var got []string
	for _, o := range all {
		got = append(got, string(o.Kind)+" "+o.Name)
	}
	if want := []string{"posix-shm /memory", "posix-shm /sem.", "posix-shm /sem.short", "posix-sem /private"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if o := find(t, all, KindNamedSem, named("/private")); !o.Unreadable || o.Values != nil {
		t.Errorf("not marked as shared: got %+v, want it unreadable", o)
	}
	if all, err := ListAt(Places{}); len(all) != 0 || err != nil {
		t.Errorf("nowhere: got %v, %v", all, err)
	}
}

func TestObjectJSON(t *testing.T) {
	for _, c := range []struct {
		o    Object
		want []string
	}{
		{Object{Kind: KindShm, Key: 0x6a6f6273, ID: 3, Mode: 0o640, Size: 4096, Attached: 2, ChangeTime: time.Unix(5, 0).UTC()},
			[]string{`"kind":"shm"`, `"key":"0x6a6f6273"`, `"id":3`, `"mode":"0640"`, `"size":4096`, `"attached":2`}},
		{Object{Kind: KindMsg, UID: 1000}, []string{`"key":"0x00000000"`, `"id":0`, `"mode":"0000"`, `"messages":0`, `"uid":1000`}},
		{Object{Kind: KindQueue, Name: "/jobs", Messages: 1}, []string{`"name":"/jobs"`, `"messages":1`}},
		{Object{Kind: KindNamedSem, Name: "/lock", Values: []int{0}}, []string{`"values":[0]`}},
	} {
		data, err := json.Marshal(c.o)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(data), want) {
				t.Errorf("got %s, want %s in it", data, want)
			}
		}
		if c.o.Name != "" && (strings.Contains(string(data), `"key"`) || strings.Contains(string(data), `"id"`)) {
			t.Errorf("got %s, want neither key nor id", data)
		}
		var back Object
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, c.o) {
			t.Errorf("got %+v, %v back, want %+v", back, err, c.o)
		}
	}
	var back Object
	for _, bad := range []string{`{"mode":"9"}`, `{"mode":""}`, `{"mode":"01000"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}
