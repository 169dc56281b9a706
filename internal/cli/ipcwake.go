package cli

import (
	stdcontext "context"
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// watchers look at the objects of one kind, or at one of them, and wake the loop before it is time for the next look
// where the kernel tells of a change.
type watchers struct {
	c       *ipcCall
	ctx     stdcontext.Context // ends what runs
	only    *object            // nil: all of the kind
	ids     map[int]bool       // of System V's that it was: a removed segment has lost its key, and is still there
	wake    chan change        // without an event: look now
	running sync.WaitGroup
	queue   *ipc.Queue // the only one, while it is there
	busy    bool       // said that somebody else is notified
}

// send wakes the loop, or is told that there is none any more.
func (w *watchers) send(ch change) bool {
	select {
	case w.wake <- ch:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// snapshot is the objects as they are now.
func (w *watchers) snapshot() (map[objectID]ipc.Object, error) {
	if w.c.kind == ipc.KindQueue && w.only != nil {
		return w.queueSnapshot()
	}
	all, err := ipc.List()
	if noQueueList(err) && w.c.kind == ipc.KindQueue {
		return nil, withHint("podlab ipc mq watch /NAME works without", "%s: %w", w.c.path, err)
	}
	seen := map[objectID]ipc.Object{}
	for _, o := range all {
		if o.Kind != w.c.kind {
			continue
		}
		if w.only == nil || w.only.is(o) || o.Removed && w.ids[o.ID] {
			if o.Kind.SystemV() {
				w.ids[o.ID] = true
			}
			seen[objectID{o.Kind, o.ID, o.Name, o.Inode}] = o
		}
	}
	return seen, nil // what can't be listed of the other kinds is not our business
}

// queueSnapshot asks one queue by its descriptor. It stays open: a close of any descriptor of the queue ends the
// process's registration to be notified (mq_close(3)), and listing the queues opens and closes them all.
func (w *watchers) queueSnapshot() (map[objectID]ipc.Object, error) {
	if w.queue != nil {
		o, linked, err := askQueue(w.queue, w.only.name)
		if err != nil {
			return nil, err
		}
		if linked {
			return map[objectID]ipc.Object{{o.Kind, 0, o.Name, o.Inode}: o}, nil
		}
		_ = w.queue.Close() // it has no name any more; there may be another one of this name
		w.queue = nil
	}
	q, err := ipc.OpenQueue(w.only.name, ipc.Open{ReadOnly: true}, nil)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	w.queue = q
	w.beNotified(q)
	return w.queueSnapshot()
}

// askQueue is what a queue says of itself, and whether it still has its name.
func askQueue(q *ipc.Queue, name string) (o ipc.Object, linked bool, err error) {
	a, err := q.Attr()
	if err != nil {
		return o, false, err
	}
	st, err := q.File().Stat()
	if err != nil {
		return o, false, err
	}
	o = ipc.Object{Kind: ipc.KindQueue, Name: name, Mode: st.Mode().Perm(), ModifyTime: st.ModTime(),
		Messages: int(a.Messages), MaxMessages: a.MaxMessages, MessageSize: a.MessageSize}
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		o.UID, o.GID, o.CreatorUID, o.CreatorGID, o.Inode, o.Dev = int(s.Uid), int(s.Gid), int(s.Uid), int(s.Gid), s.Ino, s.Dev
		linked = s.Nlink > 0
	}
	return o, linked, nil
}

// beNotified tells of each message that arrives in an empty queue, for as long as q is open.
func (w *watchers) beNotified(q *ipc.Queue) {
	n, err := q.Subscribe()
	if err != nil {
		if !w.busy {
			w.c.u.note("%s: %s: looking every now and then instead", w.c.path, w.c.explain(err))
		}
		w.busy = true
		return
	}
	name := w.only.name
	w.running.Go(func() {
		for {
			err := n.Wait(w.ctx)
			_ = n.Close() // used up, or of no use any more
			o := ipc.Object{Kind: ipc.KindQueue, Name: name}
			if err != nil || !w.send(change{Event: "notified", Object: &o, text: "! mq " + name + ": a message came into the empty queue (mq_notify)"}) {
				return
			}
			if n, err = q.Subscribe(); err != nil {
				return
			}
		}
	})
}

// watchFiles wakes the loop by inotify(7), where the objects are files in /dev/shm.
func (w *watchers) watchFiles() error {
	if !inDevShm(w.c.kind) {
		return nil
	}
	dir, err := watchDir("/dev/shm")
	if err != nil {
		return err
	}
	stop := stdcontext.AfterFunc(w.ctx, func() { _ = dir.Close() }) // ends the read
	w.running.Go(func() {
		defer stop()
		buf := make([]byte, 4096) // inotify(7): more than one event
		for {
			if _, err := dir.Read(buf); err != nil || !w.send(change{}) {
				return
			}
		}
	})
	return nil
}

// watchDir is an inotify descriptor for a directory's files.
func watchDir(path string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, &os.PathError{Op: "inotify_init1", Path: path, Err: err}
	}
	const what = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVE | unix.IN_MODIFY | unix.IN_ATTRIB
	if _, err := unix.InotifyAddWatch(fd, path, what); err != nil {
		_ = unix.Close(fd) // err is what counts
		return nil, &os.PathError{Op: "inotify_add_watch", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), "inotify "+path), nil
}
