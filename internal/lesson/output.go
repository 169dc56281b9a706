package lesson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// Columns is how wide podlab may write in a lesson, whatever the audience's
// terminal is: what is predicted is what everybody sees.
const Columns = 80

// maxOutput is the most that a command may print: a lesson is read by people.
const maxOutput = 1 << 20

// output keeps what a command prints, and passes it on.
type output struct {
	buf  bytes.Buffer // not embedded: its ReadFrom would be called in place of Write
	live io.Writer
	full func() // called when it is too much
	over bool
}

func (o *output) Write(p []byte) (int, error) {
	if o.buf.Len()+len(p) > maxOutput {
		if !o.over {
			o.over = true
			o.full()
		}
		return len(p), nil
	}
	if o.live != nil {
		_, _ = o.live.Write(p) // who shows it notices, and gives up
	}
	return o.buf.Write(p)
}

// show runs a command, with both of its streams into one pipe, so that lines
// stay in the order in which they were written. PODLAB_SCREEN tells podlab that
// whoever reads that pipe, and no other, shows it to people.
func (r *Run) show(cmd *exec.Cmd, out *output) (code int, err error) {
	from, to, err := os.Pipe()
	if err != nil {
		return -1, err
	}
	defer from.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(to.Fd()), &st); err != nil {
		return -1, errors.Join(&os.PathError{Op: "fstat", Path: "pipe", Err: err}, to.Close())
	}
	if r.Columns > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("PODLAB_SCREEN=%d:%d:%d:%t", st.Dev, st.Ino, r.Columns, r.Color))
	}
	cmd.Stdout, cmd.Stderr = to, to
	err = cmd.Start()
	_ = to.Close() // the child's is another
	if err != nil {
		return -1, err
	}
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, from)
		copied <- err
	}()
	err = cmd.Wait()
	// For output that a process in the background holds open.
	late := from.SetReadDeadline(time.Now().Add(cmd.WaitDelay))
	if copyErr := <-copied; errors.Is(copyErr, os.ErrDeadlineExceeded) {
		late = exec.ErrWaitDelay
	} else if copyErr != nil {
		late = copyErr
	}
	if err == nil {
		err = late
	}
	return cmd.ProcessState.ExitCode(), err
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Uncolored is a text without its colours (ECMA-48, 8.3.117).
func Uncolored(text string) string { return sgr.ReplaceAllString(text, "") }

// bar is how a container's line begins where podlab may colour it: "app │ ".
var bar = regexp.MustCompile(`(?m)^([a-z0-9/-]+ +)│ `)

// asPiped is what podlab would have printed into a pipe.
func asPiped(text string) string { return bar.ReplaceAllString(Uncolored(text), "$1| ") }
