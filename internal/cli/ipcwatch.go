package cli

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// watchEvery is how often listings are compared: fast enough for eyes, and a listing takes well under a millisecond.
const watchEvery = 200 * time.Millisecond

func watchFlags(ipc.Kind) string { return "every count timeout o" }

func watchAbout(kind ipc.Kind) string {
	const after = " First comes the line\nwatching. A line begins with + for a new object, - for one that is gone, ~ for a change."
	switch kind {
	case ipc.KindQueue:
		return "The kernel tells of a message that arrives in the named queue while it is empty (mq_notify(3)); one process at\n" +
			"a time can ask for that. Everything else is seen by looking every now and then: --every." + after
	case ipc.KindShared, ipc.KindNamedSem:
		return "inotify(7) tells of files that come, go and are written to. It doesn't see what is stored through a mapping, and\n" +
			"a semaphore's value is: such changes are seen by looking every now and then: --every." + after
	}
	return "System V objects notify nobody: there is no call to wait for a change of them. So this lists them every now and\n" +
		"then (--every) and compares; what comes and goes in between isn't seen." + after
}

// change is what happened to an object. It is a line of text, or of JSON.
type change struct {
	Event   string         `json:"event"` // watching, appeared, gone, changed, notified
	Object  *ipc.Object    `json:"object,omitempty"`
	Changes map[string]any `json:"changes,omitempty"` // field: [before, now]
	text    string
}

// watch prints what changes, until a signal comes: that is how it is meant to end.
func (c *ipcCall) watch() error {
	every := c.c.Duration("every")
	if every <= 0 {
		return usage(c.path, fmt.Errorf("--every %s: want a time to come", every))
	}
	var only *object
	if len(c.args) > 0 {
		o, err := c.object(c.args[0])
		if err != nil {
			return err
		}
		only = &o
	}
	ctx, cancel := stdcontext.WithCancel(c.ctx)
	wake, over, err := c.wakers(ctx, only)
	defer over()
	defer cancel()
	if err != nil {
		return err
	}
	before, err := c.snapshot(only)
	if err != nil {
		return err
	}
	if err := c.tell(change{Event: "watching", text: "watching"}); err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	left := c.c.Int64("count")
	for {
		var found []change
		select {
		case <-ctx.Done():
			if cause := stdcontext.Cause(c.ctx); !errors.As(cause, new(signalled)) {
				return &os.PathError{Op: "watch", Path: string(c.kind), Err: cause}
			}
			return errWatched
		case w := <-wake:
			if w.Event != "" {
				found = append(found, w)
			}
		case <-tick.C:
		}
		now, err := c.snapshot(only)
		if err != nil {
			return err
		}
		found = append(found, compare(before, now)...)
		before = now
		for _, ch := range found {
			if err := c.tell(ch); err != nil {
				return err
			}
			if left--; left == 0 {
				return errWatched
			}
		}
	}
}

// errWatched ends a watch in order: all was said, and nothing is left to print.
var errWatched = &failure{code: 0}

// tell prints a line at once.
func (c *ipcCall) tell(ch change) error {
	if c.c.String("output") == "json" {
		line, err := json.Marshal(ch)
		if err != nil {
			return err
		}
		c.u.printf("%s\n", line)
	} else {
		c.u.printf("%s\n", cleanString(ch.text))
	}
	return exit(c.u.flush())
}

// objectID tells objects apart that had the same name one after the other.
type objectID struct {
	kind  ipc.Kind
	id    int
	name  string
	inode uint64
}

func (c *ipcCall) snapshot(only *object) (map[objectID]ipc.Object, error) {
	all, err := ipc.List()
	seen := map[objectID]ipc.Object{}
	for _, o := range all {
		if o.Kind == c.kind && (only == nil || only.is(o)) {
			seen[objectID{o.Kind, o.ID, o.Name, o.Inode}] = o
		}
	}
	if !errors.Is(err, ipc.ErrNoMQueue) || c.kind != ipc.KindQueue {
		return seen, nil // what can't be listed of the other kinds is not our business
	}
	if only == nil {
		return nil, withHint("podlab ipc mq watch /NAME works without", "%s: %w", c.path, err)
	}
	if o, err := queueObject(only.name); err == nil {
		seen[objectID{o.Kind, 0, o.Name, o.Inode}] = o
	}
	return seen, nil
}

// watched is what of an object is compared: its name in JSON, and its value.
var watched = []struct {
	name string
	of   func(ipc.Object) any
}{
	{"mode", func(o ipc.Object) any { return octal(o.Mode) }},
	{"uid", func(o ipc.Object) any { return o.UID }},
	{"size", func(o ipc.Object) any { return o.Size }},
	{"attached", func(o ipc.Object) any { return o.Attached }},
	{"messages", func(o ipc.Object) any { return o.Messages }},
	{"values", func(o ipc.Object) any { return spaced(o.Values) }},
	{"waiting", func(o ipc.Object) any { return o.Waiting }},
	{"notifyPid", func(o ipc.Object) any { return o.NotifyPid }},
	{"lastSendPid", func(o ipc.Object) any { return o.LastSendPid }},
	{"lastReceivePid", func(o ipc.Object) any { return o.LastReceivePid }},
	{"removed", func(o ipc.Object) any { return o.Removed }},
	{"written", func(o ipc.Object) any { return fileTime(o) }},
}

// fileTime is when a file was written to. That of a queue changes with each message, which is said already.
func fileTime(o ipc.Object) string {
	if o.Kind != ipc.KindShared {
		return ""
	}
	return o.ModifyTime.Local().Format("15:04:05.000")
}

func compare(before, now map[objectID]ipc.Object) []change {
	var all []change
	for id, o := range before {
		if _, ok := now[id]; !ok {
			all = append(all, change{Event: "gone", Object: &o, text: "- " + watchName(o)})
		}
	}
	for id, o := range now {
		was, ok := before[id]
		if !ok {
			all = append(all, change{Event: "appeared", Object: &o, text: fmt.Sprintf("+ %s, mode %s, owner %s", watchName(o), octal(o.Mode), ownerName(o.UID))})
			continue
		}
		ch := change{Event: "changed", Object: &o, Changes: map[string]any{}, text: "~ " + watchName(o)}
		sep := ": "
		for _, f := range watched {
			if a, b := f.of(was), f.of(o); a != b {
				ch.Changes[f.name] = []any{a, b}
				ch.text += fmt.Sprintf("%s%s %v → %v", sep, f.name, a, b)
				sep = ", "
			}
		}
		if len(ch.Changes) > 0 {
			all = append(all, ch)
		}
	}
	slices.SortFunc(all, func(a, b change) int { return compareText(a.text[1:], b.text[1:]) })
	return all
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func watchName(o ipc.Object) string {
	if !o.Kind.SystemV() {
		return string(o.Kind) + " " + o.Name
	}
	return string(o.Kind) + " " + nameOf(o) + " id:" + strconv.Itoa(o.ID)
}

// wakers start what tells of changes before the next look: inotify for files, mq_notify for a queue. over waits until they
// have ended, which they do with ctx.
func (c *ipcCall) wakers(ctx stdcontext.Context, only *object) (wake <-chan change, over func(), err error) {
	ch := make(chan change)
	var running sync.WaitGroup
	over = running.Wait
	send := func(w change) bool {
		select {
		case ch <- w:
			return true
		case <-ctx.Done():
			return false
		}
	}
	switch {
	case inDevShm(c.kind):
		dir, err := watchDir("/dev/shm")
		if err != nil {
			return ch, over, err
		}
		stop := stdcontext.AfterFunc(ctx, func() { _ = dir.Close() }) // ends the read
		running.Go(func() {
			defer stop()
			buf := make([]byte, 4096)
			for {
				if _, err := dir.Read(buf); err != nil || !send(change{}) {
					return
				}
			}
		})
	case c.kind == ipc.KindQueue && only != nil:
		q, err := ipc.OpenQueue(only.name, ipc.Open{ReadOnly: true}, nil)
		if err != nil {
			return ch, over, nil // it may come; looking will show it
		}
		running.Go(func() {
			defer func() { _ = q.Close() }() // read only
			c.notified(ctx, q, only.name, send)
		})
	}
	return ch, over, nil
}

// notified tells of each message that arrives in an empty queue.
func (c *ipcCall) notified(ctx stdcontext.Context, q *ipc.Queue, name string, send func(change) bool) {
	for {
		if err := q.Notify(ctx); err != nil {
			if ctx.Err() == nil {
				c.u.note("%s: %s; looking instead", c.path, err)
			}
			return
		}
		o := ipc.Object{Kind: ipc.KindQueue, Name: name}
		if !send(change{Event: "notified", Object: &o, text: "! mq " + name + ": a message has arrived in the empty queue (mq_notify)"}) {
			return
		}
	}
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
