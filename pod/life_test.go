package pod

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A timeline is one life, a line per event: when, what happened -> what Next asks for. A life that begins does so at 0s and is alive.
var timelines = []struct {
	name   string
	policy Policy
	lines  string
}{
	{"the kubelet's backoff: at once, then 10 s doubling to 300 s", Policy{Restart: Always}, `
		5s     exited 1   -> start
		5s     started    ->
		6s     exited 1   -> wake@16s
		15.9s  tick       ->
		16s    tick       -> start
		16s    started    ->
		17s    exited 1   -> wake@37s
		37s    tick       -> start
		37s    started    ->
		37s    exited 1   -> wake@1m17s
		1m17s  tick       -> start
		1m17s  started    ->
		1m17s  exited 1   -> wake@2m37s
		2m37s  tick       -> start
		2m37s  started    ->
		2m37s  exited 1   -> wake@5m17s
		5m17s  tick       -> start
		5m17s  started    ->
		5m17s  exited 1   -> wake@10m17s
		10m17s tick       -> start
		10m17s started    ->
		10m20s exited 1   -> wake@15m20s`},
	{"the wait counts from the end, however late the tick", Policy{Restart: Always}, `
		1s     exited 1   -> start
		1s     started    ->
		2s     exited 1   -> wake@12s
		40s    tick       -> start
		40s    started    ->
		41s    exited 1   -> wake@1m1s`},
	{"more than ten minutes since the restart: all is forgotten", Policy{Restart: Always}, `
		1s     exited 1   -> start
		1s     started    ->
		10m1s  exited 1   -> wake@10m11s
		10m11s tick       -> start
		10m11s started    ->
		20m12s exited 1   -> start
		20m12s started    ->
		20m13s exited 1   -> wake@20m23s`},
	{"Always backs off from exit 0 too", Policy{Restart: Always}, `
		1s     exited 0   -> start
		1s     started    ->
		2s     exited 0   -> wake@12s`},
	{"OnFailure ends with the first success", Policy{Restart: OnFailure}, `
		1s     exited 3   -> start
		1s     started    ->
		2s     exited 0   ->
		3s     tick       ->
		3s     begin      ->`},
	{"Never", Policy{Restart: Never}, `
		1s     exited 3   ->
		9m     tick       ->`},
	{"a command that isn't there backs off like one that fails", Policy{Restart: OnFailure}, `
		1s     exited 1          -> start
		1s     start-failed 127  -> wake@11s
		11s    tick              -> start
		11s    start-failed 126  -> wake@31s`},
	{"stop: SIGTERM, grace, SIGKILL", Policy{Grace: 30 * time.Second}, `
		10s    stop       -> TERM wake@40s
		20s    tick       ->
		40s    tick       -> KILL
		41s    tick       ->
		41s    signal 9   ->`},
	{"stop: who ends in time is not killed, nor restarted", Policy{Restart: Always, Grace: 30 * time.Second}, `
		10s    stop       -> TERM wake@40s
		12s    exited 0   ->
		40s    tick       ->`},
	{"a grace of 0 kills at once, one of 1 s is made 2 s", Policy{}, `
		10s    stop 1s    -> TERM wake@12s
		11s    stop 0s    -> KILL
		11s    signal 9   ->`},
	{"a second stop shrinks what is left, and never extends it", Policy{}, `
		0s     stop 30s   -> TERM wake@30s
		1s     stop 60s   ->
		2s     stop 5s    -> wake@7s
		3s     stop 20s   ->
		7s     tick       -> KILL
		8s     stop 0s    ->`},
	{"a second Ctrl-C", Policy{Grace: 30 * time.Second}, `
		1s     stop       -> TERM wake@31s
		2s     kill       -> KILL
		3s     kill       ->
		3s     signal 9   ->`},
	{"stop while backing off: over at once", Policy{}, `
		1s     exited 1   -> start
		1s     started    ->
		2s     exited 1   -> wake@12s
		3s     stop 30s   ->
		12s    tick       ->`},
	{"stop while being born: the signal waits for the process", Policy{}, `
		1s     exited 1   -> start
		2s     stop 30s   ->
		3s     started    -> TERM wake@32s
		32s    tick       -> KILL`},
	{"stop while being born, for longer than the grace", Policy{}, `
		1s     exited 1   -> start
		2s     stop 5s    ->
		7s     tick       ->
		9s     started    -> KILL
		9s     signal 9   ->`},
	{"stop while being born, and the birth fails", Policy{}, `
		1s     exited 1          -> start
		2s     stop 5s           ->
		3s     start-failed 127  ->
		9s     tick              ->`},
	{"a grace of 2^63 ns from now is for ever, not the past", Policy{Grace: never}, `
		10s    stop       -> TERM
		9000h  tick       ->
		9000h  kill       -> KILL`},
}

func TestTimelines(t *testing.T) {
	for _, tl := range timelines {
		t.Run(tl.name, func(t *testing.T) {
			l, _ := tl.policy.Next(Life{}, LifeEvent{Kind: LifeBegin})
			l, _ = tl.policy.Next(l, LifeEvent{Kind: LifeStarted})
			for line := range strings.Lines(strings.TrimSpace(tl.lines)) {
				event, want, _ := strings.Cut(line, "->")
				var do []Action
				l, do = tl.policy.Next(l, parseEvent(t, event))
				if got := actions(do); got != strings.TrimSpace(want) {
					t.Fatalf("%s: got %q, want %q; life %+v", strings.TrimSpace(event), got, strings.TrimSpace(want), l)
				}
			}
		})
	}
}

// parseEvent reads "5s exited 1".
func parseEvent(t *testing.T, line string) LifeEvent {
	f := append(strings.Fields(line), "")
	at, err := time.ParseDuration(f[0])
	if err != nil {
		t.Fatal(err)
	}
	e := LifeEvent{At: at, Kind: LifeEventKind(strings.ReplaceAll(f[1], "-", " "))}
	switch f[1] {
	case "exited", "start-failed":
		e.Code, err = strconv.Atoi(f[2])
	case "signal":
		e.Kind = LifeExited
		e.Signal, err = strconv.Atoi(f[2])
	case "stop":
		if e.Grace = PodGrace; f[2] != "" {
			e.Grace, err = time.ParseDuration(f[2])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// actions writes "TERM wake@40s".
func actions(do []Action) string {
	var words []string
	for _, a := range do {
		switch a.Kind {
		case DoSignal:
			words = append(words, strings.TrimPrefix(unix.SignalName(a.Signal), "SIG"))
		case DoWake:
			words = append(words, fmt.Sprint("wake@", a.At))
		default:
			words = append(words, string(a.Kind))
		}
	}
	return strings.Join(words, " ")
}

// FuzzLife gives a life any events in any order: what holds then, holds always. Two bytes make an event.
func FuzzLife(f *testing.F) {
	for _, seed := range []string{"b0s0x1s0x1t9s0x1", "b0s0T3t9k0x9", "b0T0s0x1", "b0f1f1f1t9"} {
		f.Add(uint8(0), []byte(seed))
		f.Add(uint8(1), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, policy uint8, events []byte) {
		restarts := []RestartPolicy{Always, OnFailure, Never, ""}
		p := Policy{Restart: restarts[policy%4], Grace: time.Duration(policy/4) * time.Second}
		w := &world{t: t, p: p}
		for i := 0; i+1 < len(events); i += 2 {
			w.now += time.Duration(events[i+1]) * time.Second
			w.give(eventOf(events[i], events[i+1], w))
		}
		w.mustEnd()
	})
}

// world is a supervisor with one container, which obeys Next and checks it.
type world struct {
	t        *testing.T
	p        Policy
	l        Life
	now      time.Duration
	asked    bool // DoStart was asked for and not answered
	process  bool
	stopped  bool
	signaled []unix.Signal // of the process there is
}

func eventOf(kind, arg byte, w *world) LifeEvent {
	kinds := map[byte]LifeEventKind{'b': LifeBegin, 's': LifeStarted, 'f': LifeStartFailed, 'x': LifeExited, 'T': LifeStop, 'k': LifeKill}
	e := LifeEvent{Kind: kinds[kind], At: w.now, Grace: time.Duration(arg%64) * time.Second}
	switch {
	case e.Kind == LifeStarted && !w.asked, e.Kind == LifeStartFailed && !w.asked, e.Kind == LifeExited && !w.process, e.Kind == "":
		e.Kind = LifeTick // a supervisor doesn't invent births and deaths
	case e.Kind == LifeExited && arg%4 == 3:
		e.Signal = 9
	case e.Kind == LifeExited || e.Kind == LifeStartFailed:
		e.Code = int(arg % 4)
	}
	return e
}

func (w *world) give(e LifeEvent) {
	w.t.Helper()
	switch e.Kind {
	case LifeStarted:
		w.asked, w.process, w.signaled = false, true, nil
	case LifeStartFailed:
		w.asked = false
	case LifeExited:
		w.process = false
	case LifeStop, LifeKill:
		w.stopped = true
	}
	was := w.l
	var do []Action
	w.l, do = w.p.Next(w.l, e)
	for _, a := range do {
		w.obey(e, a)
	}
	if w.l.Backoff < 0 || w.l.Backoff > maxBackoff {
		w.t.Fatalf("backoff of %v", w.l.Backoff)
	}
	if was.Stop != NotStopped && w.l.KillAt > was.KillAt {
		w.t.Fatalf("%v extended the grace from %v to %v", e.Kind, was.KillAt, w.l.KillAt)
	}
	if was.State == Ended && w.l.State != Ended {
		w.t.Fatalf("%v brought the dead to life: %+v", e.Kind, w.l)
	}
	if has := w.l.State == Alive; has != w.process {
		w.t.Fatalf("life says process %v, there is %v: %+v", has, w.process, w.l)
	}
}

func (w *world) obey(e LifeEvent, a Action) {
	w.t.Helper()
	switch {
	case a.Kind == DoStart && (w.asked || w.process):
		w.t.Fatalf("%v starts a second process", e.Kind)
	case a.Kind == DoStart && w.stopped:
		w.t.Fatalf("%v starts a process after stop", e.Kind)
	case a.Kind == DoStart && w.l.Starts > 2 && w.now < w.l.FinishedAt+firstBackoff && w.l.Backoff != firstBackoff:
		w.t.Fatalf("restart %d after %v only", w.l.Starts, w.now-w.l.FinishedAt)
	case a.Kind == DoStart:
		w.asked = true
	case a.Kind == DoSignal && !w.process:
		w.t.Fatalf("%v signals nobody", e.Kind)
	case a.Kind == DoSignal && len(w.signaled) > 0 && a.Signal == w.signaled[len(w.signaled)-1]:
		w.t.Fatalf("%v sends %v twice", e.Kind, a.Signal)
	case a.Kind == DoSignal:
		w.signaled = append(w.signaled, a.Signal)
	case a.Kind == DoWake && a.At != w.l.due():
		w.t.Fatalf("wake at %v, due at %v", a.At, w.l.due())
	}
}

// mustEnd stops the container and lets time pass: three times later it is over, even if it ignores SIGTERM.
func (w *world) mustEnd() {
	w.t.Helper()
	w.give(LifeEvent{Kind: LifeStop, At: w.now, Grace: PodGrace})
	for range 3 {
		if w.asked {
			w.give(LifeEvent{Kind: LifeStarted, At: w.now})
		}
		if at, ok := w.p.Due([]Life{w.l}); ok {
			w.now = max(w.now, at)
			w.give(LifeEvent{Kind: LifeTick, At: w.now})
		}
		if n := len(w.signaled); w.process && n > 0 && w.signaled[n-1] == unix.SIGKILL {
			w.give(LifeEvent{Kind: LifeExited, At: w.now, Signal: 9})
		}
	}
	if w.l.State != Ended || w.process || w.asked {
		w.t.Fatalf("stopped, and not over: %+v", w.l)
	}
}
