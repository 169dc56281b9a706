package pod

import (
	"fmt"
	"time"
)

// Words are how Kubernetes shows a container: state.waiting, state.running or state.terminated, with a reason.
type Words struct {
	State   string        // Waiting, Running, Terminated
	Reason  string        // CrashLoopBackOff, ContainerCreating; Completed, Error, OOMKilled, StartError
	Message string        // of CrashLoopBackOff
	Left    time.Duration // of CrashLoopBackOff: until the next start
}

// Words derives what kubectl would show at a time. Kubernetes has more words than a life has states; they live here only.
func (l Life) Words(at time.Duration) Words {
	switch l.State {
	case Alive:
		return Words{State: "Running"}
	case Ended:
		return Words{State: "Terminated", Reason: l.Reason}
	case BackingOff:
		left := max(0, l.backoffEnd()-at)
		return Words{State: "Waiting", Reason: "CrashLoopBackOff", Left: left,
			Message: fmt.Sprintf("back-off %v restarting, %v left", l.Backoff, left.Round(time.Second))}
	}
	return Words{State: "Waiting", Reason: "ContainerCreating"}
}

// Restarts is the RESTARTS column: the starts after the first.
func (l Life) Restarts() int { return max(0, l.Starts-1) }

// ending is an end's exit code, signal and reason, as containerd puts them.
func ending(e LifeEvent) (code, signal int, reason string) {
	code = e.Code
	if e.Kind == LifeStartFailed {
		if code == 0 {
			code = 128
		}
		return code, 0, "StartError"
	}
	if e.Signal != 0 {
		code = 128 + e.Signal
	}
	switch {
	case e.OOM:
		return code, e.Signal, "OOMKilled"
	case code == 0:
		return 0, 0, "Completed"
	}
	return code, e.Signal, "Error"
}

// Column is the STATUS column of kubectl get pods: one word for a whole pod, by printPod's rules.
func (p Policy) Column(lives []Life, at time.Duration) string {
	o := p.Outcome(lives)
	column := string(o.Phase)
	if o.Reason != "" {
		column = o.Reason
	}
	running, stopping := false, false
	for i := len(lives) - 1; i >= 0; i-- { // the first container has the last word
		if w := lives[i].Words(at); w.Reason != "" {
			column = w.Reason
		}
		running = running || lives[i].State == Alive
		stopping = stopping || lives[i].Stop != NotStopped
	}
	switch {
	case stopping && !o.Over:
		return "Terminating"
	case column == "Completed" && running:
		return "NotReady" // some containers are done, others run
	}
	return column
}
