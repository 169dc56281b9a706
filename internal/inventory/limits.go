package inventory

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/podlab/podlab/ipc"
	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
)

// Limits is what the IPC namespace of a pod allows.
type Limits struct {
	IPC uint64 `json:"ipcNamespace"` // inode number
	ipc.Limits
	Notes []string `json:"notes,omitempty"` // what couldn't be read, and why
}

// TakeLimits reads the limits of a pod that runs. RLIMIT_MSGQUEUE is what its containers' processes are born with.
func TakeLimits(ctx context.Context, s pod.State) (Limits, error) {
	a, _, err := answerOf(ctx, s, request{Stage: s.Stage, Limits: true})
	if err != nil {
		return Limits{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	return a.Limits, nil
}

// readLimits reads those of this process's namespace, which is the stage's. The files below /proc/sys are those of who
// opens them, on whatever mount of proc.
func readLimits(stage int) (Limits, error) {
	_, its, err := joined(stage)
	if err != nil {
		return Limits{}, err
	}
	all, err := ipc.ReadLimits()
	l := Limits{IPC: its[ns.IPC], Limits: all}
	if err != nil {
		l.Notes = strings.Split(err.Error(), "\n")
	}
	// prlimit(2) asks for the same user or CAP_SYS_RESOURCE; the file may be read by everybody.
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", stage))
	if err != nil {
		return l, gone(err)
	}
	l.MsgQueueBytes, l.MsgQueueBytesMax, err = parseMsgQueue(string(text))
	return l, err
}

// parseMsgQueue finds the line "Max msgqueue size  819200  819200  bytes" of proc_pid_limits(5).
func parseMsgQueue(text string) (soft, hard uint64, err error) {
	for line := range strings.SplitSeq(text, "\n") {
		rest, ok := strings.CutPrefix(line, "Max msgqueue size")
		f := strings.Fields(rest)
		if !ok || len(f) < 2 {
			continue
		}
		if soft, err = parseLimit(f[0]); err != nil {
			return 0, 0, err
		}
		hard, err = parseLimit(f[1])
		return soft, hard, err
	}
	return 0, 0, fmt.Errorf("/proc/PID/limits: no line of RLIMIT_MSGQUEUE")
}

func parseLimit(word string) (uint64, error) {
	if word == "unlimited" {
		return math.MaxUint64, nil
	}
	return strconv.ParseUint(word, 10, 64)
}
