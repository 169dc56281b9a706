package pod

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Lives to make pods of.
var (
	unborn   = Life{}
	starting = Life{State: Starting, Starts: 1}
	alive    = Life{State: Alive, Starts: 1}
	crashing = Life{State: BackingOff, Starts: 2, FinishedAt: 5 * time.Second, Code: 7, Reason: "Error", Backoff: 10 * time.Second}
	again    = Life{State: Starting, Starts: 2, FinishedAt: 5 * time.Second, Code: 7, Reason: "Error", Backoff: 10 * time.Second}
	done     = Life{State: Ended, Starts: 1, FinishedAt: 3 * time.Second, Reason: "Completed"}
	broken   = Life{State: Ended, Starts: 1, FinishedAt: 4 * time.Second, Code: 3, Reason: "Error"}
	killed   = Life{State: Ended, Starts: 1, FinishedAt: 9 * time.Second, Code: 137, Signal: 9, Reason: "OOMKilled"}
	missing  = Life{State: Ended, Starts: 1, FinishedAt: 1 * time.Second, Code: 127, Reason: "StartError"}
	stopping = Life{State: Alive, Starts: 1, Stop: StopAsked, KillAt: 30 * time.Second}
	late     = Life{State: Ended, Starts: 1, FinishedAt: 9 * time.Second, Reason: "Completed", Stop: StopDeadline}
	lateKill = Life{State: Ended, Starts: 1, FinishedAt: 8 * time.Second, Code: 143, Signal: 15, Reason: "Error", Stop: StopDeadline}
	ending9  = Life{State: Alive, Starts: 1, Stop: StopDeadline}
)

// The kubelet's getPhase table and kubectl's STATUS column; first is the container that failed first.
func TestOutcome(t *testing.T) {
	tests := []struct {
		lives  []Life
		column string // at 6s
		want   Outcome
	}{
		{[]Life{unborn, unborn}, "ContainerCreating", Outcome{Phase: Pending, FirstFailed: -1}},
		{[]Life{alive, starting}, "ContainerCreating", Outcome{Phase: Pending, FirstFailed: -1}},
		{[]Life{done, starting}, "Completed", Outcome{Phase: Pending, FirstFailed: -1}},
		{[]Life{alive, alive}, "Running", Outcome{Phase: Running, FirstFailed: -1}},
		{[]Life{alive, done}, "NotReady", Outcome{Phase: Running, FirstFailed: -1}},
		{[]Life{alive, broken}, "Error", Outcome{Phase: Running, FirstFailed: 1}},
		{[]Life{alive, crashing}, "CrashLoopBackOff", Outcome{Phase: Running, FirstFailed: 1}},
		{[]Life{crashing, done}, "CrashLoopBackOff", Outcome{Phase: Running, FirstFailed: 0}},
		{[]Life{again}, "ContainerCreating", Outcome{Phase: Running, FirstFailed: 0}},
		{[]Life{alive, stopping}, "Terminating", Outcome{Phase: Running, FirstFailed: -1}},
		{[]Life{done, done}, "Completed", Outcome{Phase: Succeeded, Over: true, FirstFailed: -1}},
		{[]Life{done, broken}, "Completed", Outcome{Phase: Failed, Over: true, FirstFailed: 1, ExitCode: 3}},
		{[]Life{killed, broken}, "OOMKilled", Outcome{Phase: Failed, Over: true, FirstFailed: 1, ExitCode: 3}},
		{[]Life{killed, done}, "OOMKilled", Outcome{Phase: Failed, Over: true, FirstFailed: 0, ExitCode: 137}},
		{[]Life{missing, killed}, "StartError", Outcome{Phase: Failed, Over: true, FirstFailed: 0, ExitCode: 127}},
		{[]Life{late, ending9}, "Terminating", Outcome{Phase: Running, FirstFailed: -1}},
		{[]Life{late, late}, "Completed", Outcome{Phase: Failed, Reason: "DeadlineExceeded", Over: true, FirstFailed: -1, ExitCode: 124}},
		{[]Life{late, lateKill}, "Completed", Outcome{Phase: Failed, Reason: "DeadlineExceeded", Over: true, FirstFailed: 1, ExitCode: 143}},
	}
	for _, tt := range tests {
		var p Policy
		if diff := cmp.Diff(tt.want, p.Outcome(tt.lives)); diff != "" {
			t.Errorf("outcome of %+v (-want +got):\n%s", tt.lives, diff)
		}
		if got := p.Column(tt.lives, 6*time.Second); got != tt.column {
			t.Errorf("column of %+v: got %s, want %s", tt.lives, got, tt.column)
		}
	}
}

func TestWords(t *testing.T) {
	got := crashing.Words(6 * time.Second)
	want := Words{State: "Waiting", Reason: "CrashLoopBackOff", Left: 9 * time.Second, Message: "back-off 10s restarting, 9s left"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := crashing.Words(time.Hour).Left; got != 0 {
		t.Errorf("a late look sees %v left, want 0", got)
	}
	if got := crashing.Restarts(); got != 1 {
		t.Errorf("got %d restarts, want 1", got)
	}
}

// pods in time: what a supervisor does with Orders, Due and Next, with processes that end when they are told.
func TestPodInTime(t *testing.T) {
	p := Policy{Restart: Always, Grace: 5 * time.Second, Deadline: 60 * time.Second}
	lives := make([]Life, 2)
	now := time.Duration(0)
	feed := func(i int, e LifeEvent) {
		e.At = now
		var do []Action
		if lives[i], do = p.Next(lives[i], e); len(do) > 0 && do[0].Kind == DoStart {
			lives[i], _ = p.Next(lives[i], LifeEvent{Kind: LifeStarted, At: now})
		}
	}
	orders := func() (n int) {
		for _, o := range p.Orders(lives, now) {
			n++
			feed(o.Container, o.Event)
		}
		return n
	}
	if n := orders(); n != 2 || orders() != 0 {
		t.Fatalf("got %d orders at the beginning and more when asked again, want 2 and none", n)
	}
	if at, ok := p.Due(lives); !ok || at != p.Deadline {
		t.Fatalf("due at %v %v, want the deadline", at, ok)
	}
	feed(1, LifeEvent{Kind: LifeExited, Code: 1}) // starts at once
	feed(1, LifeEvent{Kind: LifeExited, Code: 1}) // backs off
	if at, _ := p.Due(lives); at != 10*time.Second {
		t.Fatalf("due at %v, want the end of the backoff", at)
	}
	now = p.Deadline
	if n := orders(); n != 2 {
		t.Fatalf("got %d orders at the deadline, want 2", n)
	}
	if at, _ := p.Due(lives); at != 65*time.Second {
		t.Fatalf("due at %v, want the end of the grace", at)
	}
	now = 61 * time.Second
	feed(0, LifeEvent{Kind: LifeExited, Signal: 15})
	if at, ok := p.Due(lives); ok {
		t.Fatalf("all over, and due at %v", at)
	}
	want := Outcome{Phase: Failed, Reason: "DeadlineExceeded", Over: true, FirstFailed: 1, ExitCode: 1}
	if diff := cmp.Diff(want, p.Outcome(lives)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if orders() != 0 {
		t.Error("orders to the dead")
	}
}
