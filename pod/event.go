package pod

import (
	"io"
	"os"
	"time"

	"github.com/podlab/podlab/ns"
)

// EventKind says what an Event is about.
type EventKind string

const (
	EventNote    EventKind = "note"     // something is different here from a cluster: Msg
	EventStep    EventKind = "step"     // a step is done: Step, Calls, Took
	EventStage   EventKind = "stage"    // the pod stage runs: Pid
	EventStarted EventKind = "started"  // a container's program runs: Pid
	EventFailed  EventKind = "failed"   // a container didn't start: Err, Code
	EventExited  EventKind = "exited"   // a container ended: Code, Signal
	EventBackOff EventKind = "back-off" // it will start again in Took
	EventStop    EventKind = "stop"     // the pod is being stopped: Msg says why, Took is the grace
	EventDown    EventKind = "down"     // everything is gone; Took is how long that took
)

// Event is something that happened to a pod, for whoever watches.
type Event struct {
	Kind      EventKind
	At        time.Duration // since Run was called
	Pod       string
	Container string // "" is the pod itself
	Step      ns.Step
	Calls     []string // the step's system calls, as strace prints them
	Took      time.Duration
	Pid       int // on the host
	Code      int // exit code, or 128 + Signal
	Signal    int
	Err       error
	Msg       string
}

// Options are what Run needs beside the manifest.
type Options struct {
	Rootfs   string                                        // PlanOptions.Rootfs
	Restart  string                                        // PlanOptions.Restart
	Without  ns.Kinds                                      // PlanOptions.Without
	Trace    bool                                          // report every step (EventStep)
	Watch    func(Event)                                   // called from one goroutine, never after Run has returned
	Output   func(container string, stderr bool) io.Writer // where a container's lines go; called at every start
	Logs     bool                                          // their lines go to files in the pod's directory, too, see Handle.Log
	Stdin    *os.File                                      // for the containers with stdin: true; nil is /dev/null
	Detached bool                                          // the control socket is there before the first container
	Kill     <-chan struct{}                               // closed: SIGKILL at once. ctx's end is the gentle way
}

// Status is how a pod ended.
type Status struct {
	Phase       Phase
	Reason      string
	FirstFailed string // the container that failed first
	ExitCode    int    // what `podlab run` exits with
	Containers  []ContainerStatus
}

// ContainerStatus is how a container ended.
type ContainerStatus struct {
	Name     string
	Life     Life
	Restarts int
}
