package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// watcher ends a run from outside: at a signal, at a timeout, or when nobody reads its output any more. The first
// signal and the timeout stop the pods as Kubernetes does, with grace; a second signal kills them.
type watcher struct {
	u      *ui
	what   string          // "web", "3 pods"
	grace  time.Duration   // between SIGTERM and SIGKILL: the longest of the pods'
	stop   func(kill bool) // called by one goroutine; kill at most after stop or alone
	broken chan error      // see pipe
	quit   chan struct{}
	over   sync.WaitGroup
	code   int // of the run, if it was ended from outside: the first cause counts
}

// watch begins to watch; done ends it.
func (u *ui) watch(pods []string, grace, timeout time.Duration, stop func(kill bool)) *watcher {
	w := &watcher{u: u, what: strings.Join(pods, ", "), grace: grace, stop: stop, broken: make(chan error, 1), quit: make(chan struct{})}
	if len(pods) > 3 {
		w.what = fmt.Sprintf("%d pods", len(pods))
	}
	caught := make(chan os.Signal, 4)
	// With a handler for SIGPIPE, a write to a closed standard output is EPIPE instead of podlab's sudden death, and
	// the pods get cleared away: pipe. Whoever wants SIGHUP ignored (nohup) gets it ignored.
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(caught, signals...)
	w.over.Go(func() {
		defer signal.Stop(caught)
		var late <-chan time.Time
		if timeout > 0 {
			t := time.NewTimer(timeout)
			defer t.Stop()
			late = t.C
		}
		for {
			select {
			case s := <-caught:
				w.signal(s)
			case <-late:
				w.timeout(timeout)
			case err := <-w.broken:
				w.unread(err)
			case <-w.quit:
				return
			}
		}
	})
	return w
}

// end notes why the run ends, and tells whether that is the first reason.
func (w *watcher) end(code int) bool {
	if w.code != 0 {
		return false
	}
	w.code = code
	return true
}

func (w *watcher) signal(s os.Signal) {
	n, ok := s.(syscall.Signal)
	if !ok || n == syscall.SIGPIPE {
		return // the write has failed as well, and its writer calls pipe
	}
	if !w.end(codeSignal + int(n)) {
		w.u.note("killing %s", w.what)
		w.stop(true)
		return
	}
	kill := "a second signal kills"
	if n == syscall.SIGINT {
		kill = "press Ctrl-C again to kill"
	}
	w.u.note("stopping %s (grace %s; %s)", w.what, seconds(w.grace), kill)
	w.stop(false)
}

func (w *watcher) timeout(after time.Duration) {
	if w.end(codeTimeout) {
		w.u.note("stopping %s after %s, as --timeout says (grace %s)", w.what, after, seconds(w.grace))
		w.stop(false)
	}
}

// pipe is told that standard output can't be written to. There is nobody left to run the pods for.
func (w *watcher) pipe(err error) {
	select {
	case w.broken <- err:
	default: // told already
	}
}

// unread ends a run whose output goes nowhere. A reader that went away, as head(1) does, isn't worth a word.
func (w *watcher) unread(err error) {
	switch {
	case errors.Is(err, syscall.EPIPE):
		w.end(codePipe)
	case w.end(codeOwn):
		w.u.fail(context("standard output", bareErrno(err)))
	}
	w.stop(true)
}

// done ends the watch and is the exit code of a run that was ended from outside, else 0.
func (w *watcher) done() int {
	close(w.quit)
	w.over.Wait()
	return w.code
}

// seconds is a duration as people say it: "30 s".
func seconds(d time.Duration) string {
	if d >= time.Second && d%time.Second == 0 {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return d.String()
}
