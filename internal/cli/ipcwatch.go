package cli

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

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
	w := &watchers{c: c, wake: make(chan change), ids: map[int]bool{}}
	if len(c.args) > 0 {
		o, err := c.object(c.args[0])
		if err != nil {
			return err
		}
		w.only = &o
	}
	var cancel stdcontext.CancelFunc
	w.ctx, cancel = stdcontext.WithCancel(c.ctx)
	defer w.running.Wait()
	defer cancel()
	if err := w.watchFiles(); err != nil {
		return err
	}
	before, err := w.snapshot()
	if err != nil {
		return err
	}
	if err := c.tell(change{Event: "watching", text: "watching"}); err != nil {
		return err
	}
	return w.loop(before, every, c.c.Int64("count"))
}

// loop tells of what differs between one look and the next, count times or until its context ends.
func (w *watchers) loop(before map[objectID]ipc.Object, every time.Duration, count int64) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var found []change
		select {
		case <-w.ctx.Done():
			if cause := stdcontext.Cause(w.c.ctx); !errors.As(cause, new(signalled)) {
				return &os.PathError{Op: "watch", Path: string(w.c.kind), Err: cause}
			}
			return errWatched
		case ch := <-w.wake:
			if ch.Event != "" {
				found = append(found, ch)
			}
		case <-tick.C:
		}
		now, err := w.snapshot()
		if err != nil {
			return err
		}
		found = append(found, compare(before, now)...)
		before = now
		for _, ch := range found {
			if err := w.c.tell(ch); err != nil {
				return err
			}
			if count--; count == 0 {
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
			all = append(all, change{Event: "appeared", Object: &o, text: fmt.Sprintf("+ %s%s, mode %s, owner %s", watchName(o), sizeOf(o), octal(o.Mode), ownerName(o.UID))})
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

// sizeOf is what a new object is like, where its kind has sizes.
func sizeOf(o ipc.Object) string {
	switch o.Kind {
	case ipc.KindShm, ipc.KindShared:
		return fmt.Sprintf(", %d bytes", o.Size)
	case ipc.KindSem, ipc.KindNamedSem:
		return fmt.Sprintf(", %s %s", plural(len(o.Values), "value"), valuesOf(o))
	case ipc.KindQueue:
		return fmt.Sprintf(", %d messages of %d bytes", o.MaxMessages, o.MessageSize)
	}
	return ""
}

func watchName(o ipc.Object) string {
	if !o.Kind.SystemV() {
		return string(o.Kind) + " " + o.Name
	}
	return string(o.Kind) + " " + nameOf(o) + " id:" + strconv.Itoa(o.ID)
}
