package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podlab/podlab/docs"
)

func TestNarratorLine(t *testing.T) {
	n := &narrator{u: &ui{}, wide: 7}
	why := firstSentence(docs.Steps()["proc.mount"].Why)
	if why == "" || strings.Count(why, ". ") > 0 {
		t.Fatalf("proc.mount: got %q, want one sentence", why)
	}
	for _, c := range []struct {
		d    done
		want string
	}{
		{done{who: "web/app", key: "proc.mount", doc: "proc.mount", calls: []string{`mount("proc", "/proc")`}, took: 61 * time.Microsecond},
			"web/app  proc.mount                     0.061 ms  mount(\"proc\", \"/proc\")  # " + why + "\n"},
		{done{who: "web", key: "x[a]", doc: "no such key", calls: []string{"a()", "b()"}, took: time.Second},
			"web      x[a]                        1000.000 ms  a(); b()\n"},
		{done{who: "web", key: "x", took: 0, err: errors.New("EPERM\x1b")},
			"web      x                              0.000 ms  (no system call of its own)  ! EPERM\\x1b\n"},
	} {
		if got := n.line(c.d); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestTimings(t *testing.T) {
	var x timings
	x.phase("read", 500*time.Microsecond)
	x.step(done{who: "web", key: "clone", calls: []string{"clone3()"}, took: time.Millisecond})
	x.step(done{who: "web/app", key: "proc.mount", calls: []string{"mount()"}, took: time.Millisecond})
	x.step(done{who: "web", key: "uts.hostname", calls: []string{"sethostname()"}, took: 2 * time.Millisecond})
	want := `PHASE   TIME
read       0.500 ms

PROCESS   STEP            TIME          CALLS
web       clone              1.000 ms   1
web       uts.hostname       2.000 ms   1
web       (all of them)      3.000 ms   2
web/app   proc.mount         1.000 ms   1
web/app   (all of them)      1.000 ms   1
`
	if got := x.render(false); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestFoldCalls(t *testing.T) {
	long := "write(<fd>, \"" + strings.Repeat("x", 1000) + "\", 1000)"
	got := foldCalls([]string{"a(1)", "b(1)", "b(2)", "b(3)", "b(4)", "b(5)", "c(1)", "c(2)", long})
	want := []string{"a(1)", "b(1)", "… and 4 more b", "c(1)", "c(2)", long[:360] + "… (1021 bytes)"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("foldCalls (-want +got):\n%s", d)
	}
}
