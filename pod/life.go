package pod

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// RestartPolicy says which ends of a container are followed by another start. The zero value is Always, as in the API.
type RestartPolicy string

// The three policies of v1 Pod spec.restartPolicy.
const (
	Always    RestartPolicy = "Always"
	OnFailure RestartPolicy = "OnFailure"
	Never     RestartPolicy = "Never"
)

// The kubelet's numbers. There is no jitter.
const (
	firstBackoff = 10 * time.Second  // the wait after the second end; the first restart comes at once
	maxBackoff   = 300 * time.Second // doubling stops here
	backoffReset = 600 * time.Second // who ran longer than this starts afresh; fixed, not twice the maximum
	minGrace     = 2 * time.Second   // a SIGTERM is worth at least this before SIGKILL
)

// Policy is what the manifest says about how containers live and end.
type Policy struct {
	Restart  RestartPolicy
	Grace    time.Duration // terminationGracePeriodSeconds
	Deadline time.Duration // activeDeadlineSeconds, from the pod's beginning; 0 is none
}

// State of one container's life: Unborn, then a circle Starting, Alive, BackingOff, and Ended, which has no way out.
type LifeState string

// A container has a process, or is about to, in Starting and Alive only.
const (
	Unborn     LifeState = ""            // never started yet
	Starting   LifeState = "starting"    // told to start; no answer yet
	Alive      LifeState = "alive"       // its process runs
	BackingOff LifeState = "backing off" // ended, will start again
	Ended      LifeState = "ended"       // for good
)

// StopCause is why nothing may start any more.
type StopCause string

// NotStopped is the cause of a life that goes on.
const (
	NotStopped   StopCause = ""
	StopAsked    StopCause = "asked"            // a person, a signal
	StopDeadline StopCause = "DeadlineExceeded" // activeDeadlineSeconds
)

// Life is all that is known of one container's life, as a value. Times count from the pod's beginning.
// Only Policy.Next changes it.
type Life struct {
	State      LifeState
	Starts     int           // starts so far, the one under way included
	StartedAt  time.Duration // of the latest start that worked
	FinishedAt time.Duration // of the latest end
	Code       int           // of the latest end: the exit code, or 128 + signal
	Signal     int           // of the latest end: what killed it, or 0
	Reason     string        // of the latest end, in Kubernetes' words; "" before the first

	Backoff  time.Duration // what the next restart has to wait; 0 is "at once"
	RaisedAt time.Duration // when Backoff was last raised: at the latest restart

	Stop   StopCause     // set once, by the first Stop or Kill
	KillAt time.Duration // when its patience ends, once Stop is set
	Killed bool          // SIGKILL has been asked for
}

// LifeEventKind is a kind of LifeEvent.
type LifeEventKind string

// What can happen to a container. Events that make no sense in a state (a late Tick, a second Begin) change nothing.
const (
	LifeBegin       LifeEventKind = "begin"        // it is its turn to start
	LifeStarted     LifeEventKind = "started"      // execve has happened
	LifeStartFailed LifeEventKind = "start failed" // Code: 127 not found, 126 not executable, 125 podlab's own, 128 other
	LifeExited      LifeEventKind = "exited"       // Code or Signal; OOM
	LifeTick        LifeEventKind = "tick"         // time has passed; at the time Due names, or at any other
	LifeStop        LifeEventKind = "stop"         // SIGTERM, and SIGKILL after Grace
	LifeKill        LifeEventKind = "kill"         // SIGKILL now
)

// PodGrace as LifeEvent.Grace means the pod's own terminationGracePeriodSeconds.
const PodGrace time.Duration = -1

// LifeEvent is something that happened At a time since the pod began. The clock is data: it can be scaled, or made up by a test.
type LifeEvent struct {
	Kind   LifeEventKind
	At     time.Duration
	Code   int
	Signal int
	OOM    bool          // the kernel's OOM killer did it; a 137 alone doesn't tell
	Grace  time.Duration // of LifeStop: 0 kills at once
	Cause  StopCause     // of LifeStop and LifeKill; "" is StopAsked
}

// ActionKind is a kind of Action.
type ActionKind string

// What Next may ask the supervisor to do.
const (
	DoStart  ActionKind = "start"  // start the container's process; answer with LifeStarted or LifeStartFailed
	DoSignal ActionKind = "signal" // send Signal to the container's main process
	DoWake   ActionKind = "wake"   // send LifeTick At that time; a later DoWake replaces it. Due(lives) says the same for all containers
)

// Action is something to be done now.
type Action struct {
	Kind   ActionKind
	Signal unix.Signal
	At     time.Duration
}

// Next is a container's whole life: what an event makes of it, and what is to be done about that. It is pure: it reads no clock and
// starts nothing. Whatever the events: DoStart is only asked for while there is no process, and never after a stop.
func (p Policy) Next(l Life, e LifeEvent) (Life, []Action) {
	wake := l.due()
	var do []Action
	switch e.Kind {
	case LifeBegin:
		if l.State == Unborn {
			l, do = l.start()
		}
	case LifeStarted:
		if l.State == Starting {
			l.State, l.StartedAt = Alive, e.At
			l, do = l.pressOn(e.At) // a stop that came while it was being born
		}
	case LifeStartFailed, LifeExited:
		if l.State == Starting || l.State == Alive {
			l, do = p.end(l, e)
		}
	case LifeTick:
		if l.State == BackingOff && e.At >= l.backoffEnd() {
			l, do = l.restart(e.At)
		} else if l.Stop != NotStopped && e.At >= l.KillAt {
			l, do = l.pressOn(e.At)
		}
	case LifeStop:
		l, do = p.stop(l, e, e.Grace)
	case LifeKill:
		l, do = p.stop(l, e, 0)
	}
	if at := l.due(); at != wake && at != never {
		do = append(do, Action{Kind: DoWake, At: at})
	}
	return l, do
}

// start asks for a process.
func (l Life) start() (Life, []Action) {
	l.State = Starting
	l.Starts++
	return l, []Action{{Kind: DoStart}}
}

// end is the end of a process, or of an attempt to have one: the kubelet backs off from both alike.
func (p Policy) end(l Life, e LifeEvent) (Life, []Action) {
	l.FinishedAt, l.Killed = e.At, false
	l.Code, l.Signal, l.Reason = ending(e)
	switch {
	case l.Stop != NotStopped || !p.restarts(l.Code):
		l.State = Ended
		return l, nil
	case l.Backoff == 0 || l.rested():
		return l.restart(e.At)
	}
	l.State = BackingOff
	return l, nil
}

// restart starts again and raises the wait of the restart after this one.
func (l Life) restart(at time.Duration) (Life, []Action) {
	if l.Backoff == 0 || l.rested() {
		l.Backoff = firstBackoff
	} else {
		l.Backoff = min(2*l.Backoff, maxBackoff)
	}
	l.RaisedAt = at
	return l.start()
}

// rested: so much time lies between the restart and the end after it that earlier ends no longer count.
func (l Life) rested() bool { return l.FinishedAt-l.RaisedAt > backoffReset }

// backoffEnd counts from the end of the process, not from when somebody noticed.
func (l Life) backoffEnd() time.Duration { return later(l.FinishedAt, l.Backoff) }

// restarts is the policy's answer to an exit code. A failed start is a failure.
func (p Policy) restarts(code int) bool {
	switch p.Restart {
	case Never:
		return false
	case OnFailure:
		return code != 0
	}
	return true
}

// stop forbids every further start and ends what runs. A second stop may shrink what is left of the grace, never extend it.
func (p Policy) stop(l Life, e LifeEvent, grace time.Duration) (Life, []Action) {
	if grace < 0 {
		grace = p.Grace
	}
	if grace > 0 {
		grace = max(grace, minGrace)
	}
	killAt := later(e.At, max(grace, 0))
	first := l.Stop == NotStopped
	if first {
		l.Stop, l.KillAt = e.Cause, killAt
		if l.Stop == NotStopped {
			l.Stop = StopAsked
		}
	}
	l.KillAt = min(l.KillAt, killAt)

	switch l.State {
	case Unborn: // what the kubelet writes into a deleted pod's status where it saw no process
		l.State, l.FinishedAt, l.Code, l.Reason = Ended, e.At, 137, "ContainerStatusUnknown"
	case BackingOff:
		l.State = Ended
	case Alive:
		if first || e.At >= l.KillAt {
			return l.pressOn(e.At)
		}
	}
	return l, nil // Starting: pressOn comes with LifeStarted
}

// pressOn sends a life that is being stopped the signal it has earned by now: SIGTERM, or SIGKILL once.
func (l Life) pressOn(at time.Duration) (Life, []Action) {
	switch {
	case l.Stop == NotStopped || l.State != Alive || l.Killed:
		return l, nil
	case at >= l.KillAt:
		l.Killed = true
		return l, []Action{{Kind: DoSignal, Signal: unix.SIGKILL}}
	}
	return l, []Action{{Kind: DoSignal, Signal: unix.SIGTERM}}
}

// never is the time of a life that waits for no clock.
const never = time.Duration(math.MaxInt64)

// due is when a life wants its next LifeTick.
func (l Life) due() time.Duration {
	switch {
	case l.State == BackingOff:
		return l.backoffEnd()
	case l.State == Alive && l.Stop != NotStopped && !l.Killed:
		return l.KillAt
	}
	return never
}

// later is at+d, but never wraps around: a manifest may ask for 2^63 seconds of grace.
func later(at, d time.Duration) time.Duration {
	if at > never-d {
		return never
	}
	return at + d
}
