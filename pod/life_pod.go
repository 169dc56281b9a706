package pod

import "time"

// Order between the containers of a pod is a function over their lives, apart from Next: containers know nothing of each other.
// Today there is little of it: all begin at once, and all stop at the deadline. Init containers and sidecars belong here.

// Order is an event that one container is to be given now.
type Order struct {
	Container int // index into the lives
	Event     LifeEvent
}

// Orders are the events that follow from the lives alone and from the time. They are to be fed to Next, each life its own; asked
// again after that, Orders has nothing more to say.
func (p Policy) Orders(lives []Life, at time.Duration) []Order {
	var orders []Order
	for i, l := range lives {
		switch {
		case l.State == Ended || l.Stop != NotStopped:
		case p.Deadline > 0 && at >= p.Deadline:
			stop := LifeEvent{Kind: LifeStop, At: at, Grace: PodGrace, Cause: StopDeadline}
			orders = append(orders, Order{i, stop})
		case l.State == Unborn:
			orders = append(orders, Order{i, LifeEvent{Kind: LifeBegin, At: at}})
		}
	}
	return orders
}

// Due is the earliest time at which a clock alone changes something: then every life is due a LifeTick, and Orders may have news.
func (p Policy) Due(lives []Life) (at time.Duration, ok bool) {
	at = never
	for _, l := range lives {
		at = min(at, l.due())
		if p.Deadline > 0 && l.State != Ended && l.Stop == NotStopped {
			at = min(at, p.Deadline)
		}
	}
	return at, at != never
}

// Phase is a pod's status.phase.
type Phase string

// The phases that a pod on one machine can have.
const (
	Pending   Phase = "Pending"
	Running   Phase = "Running"
	Succeeded Phase = "Succeeded"
	Failed    Phase = "Failed"
)

// Outcome is what the lives of a pod's containers add up to.
type Outcome struct {
	Phase       Phase
	Reason      string // status.reason: DeadlineExceeded or ""
	Over        bool   // nothing runs and nothing will
	FirstFailed int    // of those whose last end was a failure, the one that ended first; -1 if none did
	ExitCode    int    // of the run, once it is over
}

// deadlineCode is a run's exit code where the deadline passed and yet no container failed: timeout(1)'s.
const deadlineCode = 124

// Outcome is the kubelet's getPhase and what follows from it.
func (p Policy) Outcome(lives []Life) Outcome {
	o := Outcome{Phase: p.phase(lives), Over: true, FirstFailed: -1}
	deadline := false
	for i, l := range lives {
		o.Over = o.Over && l.State == Ended
		deadline = deadline || l.Stop == StopDeadline
		failed := l.State != Alive && l.Reason != "" && l.Code != 0
		if failed && (o.FirstFailed < 0 || l.FinishedAt < lives[o.FirstFailed].FinishedAt) {
			o.FirstFailed = i
		}
	}
	if !o.Over {
		return o
	}
	if deadline {
		o.Phase, o.Reason, o.ExitCode = Failed, string(StopDeadline), deadlineCode
	}
	if o.FirstFailed >= 0 {
		o.ExitCode = lives[o.FirstFailed].Code
	}
	return o
}

// phase by the kubelet's table. A container between two runs is "stopped" there, so CrashLoopBackOff is no phase: the pod is Running.
func (p Policy) phase(lives []Life) Phase {
	var waiting, running, ended, succeeded int
	for _, l := range lives {
		switch {
		case l.State == Alive:
			running++
		case l.Reason == "":
			waiting++ // never had an end: not started yet
		case l.State == Ended:
			ended++
			if l.Code == 0 {
				succeeded++
			}
		}
	}
	switch {
	case waiting > 0:
		return Pending
	case running > 0 || ended < len(lives):
		return Running
	case succeeded == len(lives):
		return Succeeded
	}
	return Failed
}
