package cli

import (
	stdcontext "context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/podlab/podlab/pod"
)

// stopPods ends what a script that failed has left running.
func stopPods(root string) {
	r, err := pod.OpenRoot(root)
	if err != nil {
		return // it had no pods
	}
	defer r.Close()
	all, _ := r.List()
	for _, e := range all {
		if h, err := pod.Open(r, e.Namespace, e.Name); err == nil {
			ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), 10*time.Second)
			_ = h.Stop(ctx, 0) // a lost one needs none
			cancel()
			_ = h.Close()
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Now()
	for span, want := range map[string]string{
		"0s": "0s", "-5s": "0s", "59s": "59s", "119s": "119s", "120s": "2m", "121s": "2m1s", "9m59s": "9m59s", "10m5s": "10m", "179m": "179m",
		"180m": "3h", "3h12m30s": "3h12m", "7h59m": "7h59m", "8h30m": "8h", "47h": "47h", "48h": "2d", "50h": "2d2h", "191h": "7d23h", "192h": "8d",
		"17519h": "729d", "17520h": "2y", "18000h": "2y20d", "70080h": "8y",
	} {
		d, err := time.ParseDuration(span)
		if err != nil {
			t.Fatal(err)
		}
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("%s: got %s, want %s", span, got, want)
		}
	}
	if got := age(time.Time{}, now); got != "-" {
		t.Errorf("never: got %s, want -", got)
	}
}

// entriesForTest are pods in all conditions that ps tells apart.
func entriesForTest(at time.Time) []pod.Entry {
	state := func(phase pod.Phase, status string, cs map[string]pod.ContainerState) pod.State {
		return pod.State{Started: at.Add(-time.Hour), UID: "u", Phase: phase, Status: status, Containers: cs}
	}
	running := pod.ContainerState{State: "Running", Started: at.Add(-time.Hour)}
	crash := pod.ContainerState{State: "Waiting", Reason: "CrashLoopBackOff", ExitCode: 3, Restarts: 4, Started: at.Add(-time.Minute), Finished: at.Add(-30 * time.Second)}
	done := pod.ContainerState{State: "Terminated", Reason: "Completed", Started: at.Add(-time.Hour), Finished: at.Add(-time.Minute)}
	return []pod.Entry{
		{Namespace: "default", Name: "web", Alive: true, State: state(pod.Running, "CrashLoopBackOff", map[string]pod.ContainerState{"app": running, "b": crash})},
		{Namespace: "default", Name: "half", Alive: true, State: state(pod.Running, "NotReady", map[string]pod.ContainerState{"app": running, "b": done})},
		{Namespace: "lab", Name: "gone", State: state(pod.Running, "Running", map[string]pod.ContainerState{"app": running})},
		{Namespace: "lab", Name: "new", Alive: true, Err: errors.New("no state")},
		{Namespace: "lab", Name: "ruin", Err: errors.New("no state")},
	}
}

func TestPodTable(t *testing.T) {
	at := time.Now()
	want := `NAMESPACE   NAME   READY   STATUS             RESTARTS      AGE   PID   IPC   NET
default     web    1/2     CrashLoopBackOff   4 (30s ago)   60m   -     -     -
default     half   1/2     NotReady           0             60m   -     -     -
lab         gone   0/1     Lost               0             60m   -     -     -
lab         new    -       Unknown            -             -     -     -     -
lab         ruin   -       Lost               -             -     -     -     -
`
	if got := podTable(entriesForTest(at), true, true, true, at).render(0, false); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	want = "gone   0/1   Lost      0   60m\nnew    -     Unknown   -   -\nruin   -     Lost      -   -\n"
	if got := podTable(entriesForTest(at)[2:], true, false, false, at).render(0, false); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The JSON is the API's: states are one of three, and what is not known isn't there.
func TestPodList(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	b, err := json.Marshal(podList(entriesForTest(at)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"default","uid":"u","creationTimestamp":"2026-01-02T02:04:05Z"`,
		`{"name":"app","ready":true,"started":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-02T02:04:05Z"}},"lastState":{}}`,
		`{"name":"b","ready":false,"started":false,"restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":3,"startedAt":"2026-01-02T03:03:05Z","finishedAt":"2026-01-02T03:03:35Z"}}}`,
		`"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-01-02T02:04:05Z","finishedAt":"2026-01-02T03:03:05Z"}},"lastState":{}}`,
		`"status":{"phase":"Unknown","reason":"Lost","message":"its podlab was killed, and nothing of it runs; podlab rm gone removes what it left","startTime":"2026-01-02T02:04:05Z"`,
		`"terminated":{"exitCode":137,"reason":"ContainerStatusUnknown"`,
		`"creationTimestamp":null`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("got %s, want in it %s", b, want)
		}
	}
}
