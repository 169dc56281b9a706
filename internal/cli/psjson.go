package cli

import (
	"strconv"
	"time"

	"github.com/podlab/podlab/pod"
)

// What of a v1 PodList the state of pods can fill: names as in k8s.io/api/core/v1, and nothing made up. What podlab
// has beside that is in annotations.

type v1List struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   struct{} `json:"metadata"`
	Items      []v1Pod  `json:"items"`
}

type v1Pod struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   v1Meta   `json:"metadata"`
	Spec       v1Spec   `json:"spec"`
	Status     v1Status `json:"status"`
}

type v1Meta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid,omitempty"`
	Created     *v1Time           `json:"creationTimestamp"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type v1Spec struct {
	Containers []v1Container `json:"containers"`
}

type v1Container struct {
	Name string `json:"name"`
}

type v1Status struct {
	Phase      string              `json:"phase"`
	Reason     string              `json:"reason,omitempty"`
	Message    string              `json:"message,omitempty"`
	Started    *v1Time             `json:"startTime,omitempty"`
	Containers []v1ContainerStatus `json:"containerStatuses,omitempty"`
}

type v1ContainerStatus struct {
	Name     string  `json:"name"`
	Ready    bool    `json:"ready"`
	Started  bool    `json:"started"`
	Restarts int     `json:"restartCount"`
	State    v1State `json:"state"`
	Last     v1State `json:"lastState"`
}

// v1State has one of the three, or none.
type v1State struct {
	Waiting    *v1Waiting    `json:"waiting,omitempty"`
	Running    *v1Running    `json:"running,omitempty"`
	Terminated *v1Terminated `json:"terminated,omitempty"`
}

type v1Waiting struct {
	Reason string `json:"reason,omitempty"`
}

type v1Running struct {
	Started *v1Time `json:"startedAt"`
}

type v1Terminated struct {
	ExitCode int     `json:"exitCode"`
	Reason   string  `json:"reason,omitempty"`
	Message  string  `json:"message,omitempty"`
	Started  *v1Time `json:"startedAt"`
	Finished *v1Time `json:"finishedAt"`
}

// v1Time is written as the API server does: in UTC, whole seconds.
type v1Time struct{ time.Time }

func (t v1Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05Z"`)), nil
}

func timeOf(t time.Time) *v1Time {
	if t.IsZero() {
		return nil
	}
	return &v1Time{t}
}

func podList(all []pod.Entry) v1List {
	l := v1List{APIVersion: "v1", Kind: "PodList", Items: []v1Pod{}}
	for _, e := range all {
		l.Items = append(l.Items, podOf(e))
	}
	return l
}

func podOf(e pod.Entry) v1Pod {
	s := e.State
	p := v1Pod{APIVersion: "v1", Kind: "Pod", Spec: v1Spec{Containers: []v1Container{}},
		Metadata: v1Meta{Name: e.Name, Namespace: e.Namespace, UID: s.UID, Created: timeOf(s.Started), Annotations: map[string]string{"podlab/directory": e.Path}},
		Status:   v1Status{Phase: string(s.Phase), Started: timeOf(s.Started)}}
	switch {
	case !e.Alive:
		p.Status.Phase, p.Status.Reason = "Unknown", "Lost"
		p.Status.Message = "its podlab was killed, and nothing of it runs; podlab rm " + e.Name + " removes what it left"
	case e.Err != nil:
		p.Status.Phase, p.Status.Message = "Unknown", e.Err.Error()
	default:
		p.Metadata.Annotations["podlab/status"] = s.Status
		p.Metadata.Annotations["podlab/supervisor-pid"] = strconv.Itoa(s.Supervisor)
		p.Metadata.Annotations["podlab/stage-pid"] = strconv.Itoa(s.Stage.Pid)
		if w := wideCells(e); w[1] != "-" {
			p.Metadata.Annotations["podlab/ipc-namespace"], p.Metadata.Annotations["podlab/net-namespace"] = w[1], w[2]
		}
	}
	for _, n := range containerNames(e) {
		p.Spec.Containers = append(p.Spec.Containers, v1Container{n})
		p.Status.Containers = append(p.Status.Containers, containerOf(n, s.Containers[n], e.Alive))
	}
	return p
}

func containerOf(name string, c pod.ContainerState, alive bool) v1ContainerStatus {
	s := v1ContainerStatus{Name: name, Restarts: c.Restarts}
	ended := &v1Terminated{ExitCode: c.ExitCode, Started: timeOf(c.Started), Finished: timeOf(c.Finished)}
	switch {
	case c.State == "Terminated":
		ended.Reason = c.Reason
		s.State.Terminated = ended
		return s
	case !alive: // the kubelet's words for a container that it doesn't find any more
		s.State.Terminated = &v1Terminated{ExitCode: 137, Reason: "ContainerStatusUnknown", Message: "podlab was killed, and the container with it", Started: timeOf(c.Started)}
		return s
	case c.State == "Running":
		s.Ready, s.Started = true, true
		s.State.Running = &v1Running{timeOf(c.Started)}
		if c.Restarts > 0 {
			ended.Started = nil // that of the run before isn't kept
		}
	default:
		s.State.Waiting = &v1Waiting{c.Reason}
	}
	if !c.Finished.IsZero() {
		s.Last.Terminated = ended
	}
	return s
}
