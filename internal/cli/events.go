package cli

import (
	stdcontext "context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/pod"
)

// podWatch is told what happens to one pod, by one goroutine, and says what people need to know of it.
type podWatch struct {
	r      *runner
	pod    string
	births int // containers that haven't run yet
	isUp   bool
	last   time.Duration
	code   int // of the latest end of a container
}

func (w *podWatch) event(e pod.Event) {
	who := w.pod
	if e.Container != "" {
		who += "/" + e.Container
	}
	switch e.Kind {
	case pod.EventStep:
		d := done{who: who, key: e.Step.Key, doc: e.Step.Doc(), calls: e.Calls, took: e.Took, err: e.Err}
		if w.r.narrator != nil {
			w.r.narrator.step(d)
		}
		w.r.times.step(d)
	case pod.EventNote:
		w.r.u.note("note: %s: %s", who, e.Msg)
	case pod.EventStage:
		w.phase("plan, prepare, the pod stage runs", e.At)
	case pod.EventStarted:
		if w.births--; w.births == 0 {
			w.phase("all containers run", e.At)
			w.up()
		}
	case pod.EventFailed:
		w.births-- // it never will
		w.code = e.Code
		w.r.u.fail(context(w.r.args.where("run"), e.Err))
	case pod.EventExited:
		w.code = e.Code
	case pod.EventBackOff:
		w.r.u.note("%s: exit code %d, starts again in %s (CrashLoopBackOff)", who, w.code, seconds(e.Took.Round(time.Second)))
	case pod.EventDown:
		w.phase("the containers have ended", e.At-e.Took)
		w.phase("everything is gone", e.At)
	}
}

// up: the pod runs, or has run.
func (w *podWatch) up() {
	if !w.isUp {
		w.isUp = true
		w.r.podUp()
	}
}

// phase is over at a time since the pod began.
func (w *podWatch) phase(name string, at time.Duration) {
	w.r.times.phase(w.pod+": "+name, at-w.last)
	w.last = at
}

// howItEnded says why a pod failed. What kept a container from starting has been said by then.
func howItEnded(st pod.Status) string {
	var how []string
	for _, c := range st.Containers {
		l := c.Life
		switch {
		case l.Code == 0 || l.Reason == "" || l.Reason == "StartError":
		case l.Reason == "OOMKilled":
			how = append(how, c.Name+" was killed: out of memory")
		case l.Signal != 0:
			how = append(how, fmt.Sprintf("%s was killed by %s", c.Name, unix.SignalName(unix.Signal(l.Signal))))
		default:
			how = append(how, fmt.Sprintf("%s ended with exit code %d", c.Name, l.Code))
		}
	}
	text := string(st.Phase)
	if st.Reason != "" {
		text += " (" + st.Reason + ")"
	} else if len(how) == 0 {
		return ""
	}
	if len(how) > 0 {
		text += ": " + strings.Join(how, ", ")
	}
	return text
}

func errorsIsCanceled(err error) bool { return errors.Is(err, stdcontext.Canceled) }
