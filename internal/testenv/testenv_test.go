package testenv

import (
	"fmt"
	"runtime"
	"testing"
)

// recorder is a testing.TB that ends its goroutine as a real one does and remembers how.
type recorder struct {
	testing.TB
	how string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(f string, a ...any) {
	r.how = "fatal " + fmt.Sprintf(f, a...)
	runtime.Goexit()
}
func (r *recorder) Skipf(f string, a ...any) {
	r.how = "skip " + fmt.Sprintf(f, a...)
	runtime.Goexit()
}

func TestNeed(t *testing.T) {
	for _, c := range []struct {
		must string
		ok   bool
		want string
	}{
		{"", true, ""},
		{"all", true, ""},
		{"", false, "skip userns: off here"},
		{"root, cgroup2", false, "skip userns: off here"},
		{"root, userns", false, "fatal userns: off here (PODLAB_MUST says this machine has it)"},
		{"all", false, "fatal userns: off here (PODLAB_MUST says this machine has it)"},
	} {
		t.Setenv("PODLAB_MUST", c.must)
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			Need(r, "userns", c.ok, "off here")
		}()
		<-done
		if r.how != c.want {
			t.Errorf("PODLAB_MUST=%q ok=%v: got %q, want %q", c.must, c.ok, r.how, c.want)
		}
	}
}
