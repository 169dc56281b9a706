package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
)

// origins is the containers of processes that have ended, by what they did to an object.
//
// The kernel keeps who made a segment, not as a number but as the process it was, and that has a number in its own PID
// namespace and those above, and 0 elsewhere, also when it has ended (pid_namespaces(7)). So the same table, read in
// the PID namespace of each container, tells which of them a dead process was in.
type origins map[originKey]string

type originKey struct {
	kind ipc.Kind
	id   int
	pid  int // on the host
}

// pidsOf is all that the kernel says of an object's processes.
func pidsOf(o ipc.Object) []int {
	return append([]int{o.CreatorPid, o.LastPid, o.LastSendPid, o.LastReceivePid}, o.LastPids...)
}

// findOrigins asks in the containers, if there is anything to be asked.
func (l *looker) findOrigins() {
	l.origins = origins{}
	if !l.anyGone() {
		return
	}
	self, err := ns.Inspect(0)
	if err != nil {
		return // as look has not been told
	}
	asked := map[uint64]string{}
	for _, b := range l.boxes {
		id := b.first.namespaces[ns.PID]
		if _, again := asked[id]; again {
			asked[id] = "" // of several: says nothing
		} else if id != self[ns.PID] {
			asked[id] = b.name
		}
	}
	for _, b := range l.boxes {
		if asked[b.first.namespaces[ns.PID]] != b.name {
			continue
		}
		all, err := numbersIn(b.first)
		if err != nil {
			l.note("which of the processes that have ended were of %s: %v", b.name, err)
			continue
		}
		l.compare(all, b.name)
	}
}

// anyGone tells whether an object has to do with a process that isn't there.
func (l *looker) anyGone() bool {
	for _, it := range l.inv.Items {
		for _, pid := range pidsOf(it.Object) {
			if pid != 0 && (l.procs[pid] == nil || l.procs[pid].container == "") {
				return true
			}
		}
	}
	return false
}

// compare takes the objects as a container sees them: a process that has a number there was of it.
func (l *looker) compare(seen []ipc.Object, container string) {
	for _, o := range seen {
		for _, it := range l.inv.Items {
			if it.Object.Kind != o.Kind || it.Object.ID != o.ID || !o.Kind.SystemV() {
				continue
			}
			here, there := pidsOf(it.Object), pidsOf(o)
			for i := range min(len(here), len(there)) {
				if here[i] != 0 && there[i] != 0 {
					l.origins[originKey{o.Kind, o.ID, here[i]}] = container
				}
			}
		}
	}
}

// patience is how long an answer from within a container may take. Who looks from there has a number there, and the
// container's root may stop it.
const patience = 2 * time.Second

// numbersIn lists the System V objects as a process in p's PID namespace sees them: this program, once more.
func numbersIn(p *process) ([]ipc.Object, error) {
	question, err := json.Marshal(request{Numbers: true})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("no answer for %v", patience))
	defer cancel()
	type result struct {
		out []byte
		err error
	}
	done := make(chan result)
	go func() {
		// Never unlocked: this thread's children are born in another PID namespace, so it ends with the goroutine.
		runtime.LockOSThread()
		out, err := askIn(ctx, p, question)
		done <- result{out, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, r.err
	}
	var a answer
	if err := json.Unmarshal(r.out, &a); err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return a.Numbers, nil
}

// askIn joins this thread's children to come to p's PID namespace, and asks one of them.
func askIn(ctx context.Context, p *process, question []byte) ([]byte, error) {
	pidfd, err := openProcess(p.pid, p.start)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	if err := unix.Setns(pidfd, unix.CLONE_NEWPID); err != nil {
		return nil, fmt.Errorf("setns of its PID namespace: %w", err)
	}
	return ask(ctx, pidfd, 0, question)
}
