package cli

import (
	"bytes"
	stdcontext "context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ipc"
)

// ipcCall is one verb on one object, from its flags to what is said about it.
type ipcCall struct {
	u    *ui
	c    *cli.Context // the flags
	kind ipc.Kind
	path string // "ipc shm create"
	args []string

	subject object // what the last argument that was read names

	inputRead bool // standard input was the payload
	unmade    bool // what was made couldn't be made as it was asked for, and was removed again

	ctx    stdcontext.Context // ends at --timeout, and at a signal
	raw    io.Reader          // --raw: printed as it is
	text   string             // a text result: one or more lines
	fields fields             // the same for -o json
	result any                // for -o json in place of fields
	keep   []func() error     // lets go of the object, last first
}

// The causes that a wait can end for.
type (
	timedOut   time.Duration
	signalled  syscall.Signal
	fieldValue struct {
		name  string
		value any
	}
	fields []fieldValue
)

func (d timedOut) Error() string { return "timed out after " + time.Duration(d).String() }
func (s signalled) Error() string {
	return "stopped by " + unix.SignalName(syscall.Signal(s))
}

// MarshalJSON keeps the order in which the fields were added.
func (f fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(v.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", v.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// add appends a field of the JSON.
func (c *ipcCall) add(name string, value any) { c.fields = append(c.fields, fieldValue{name, value}) }

// say adds to the text result.
func (c *ipcCall) say(format string, args ...any) {
	c.text += cleanString(fmt.Sprintf(format, args...)) + "\n"
}

// addData adds what was read or received. The JSON has it as text, or in base64 where it is none.
func (c *ipcCall) addData(p []byte) {
	c.add("bytes", len(p))
	if utf8.Valid(p) {
		c.add("text", string(p))
	} else {
		c.add("base64", base64.StdEncoding.EncodeToString(p))
	}
	if c.c.Bool("raw") {
		c.raw = bytes.NewReader(p)
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(p), "\n"), "\n") {
		c.say("%s", line)
	}
}

// do runs a verb, prints its result, and holds the object if that was asked for.
func (c *ipcCall) do(run func(*ipcCall) error) (err error) {
	output := c.c.String("output")
	if output != "text" && output != "json" {
		return usage(c.path, oneOf("-o", output, "text", "json"))
	}
	if err := c.checkTimeout(); err != nil {
		return err
	}
	// What was typed as a mode is what is meant. System V objects know no umask at all.
	syscall.Umask(0)
	signals, stop := untilSignal()
	defer stop()
	ctx, cancel := signals, stdcontext.CancelFunc(func() {})
	if d := c.c.Duration("timeout"); d > 0 {
		ctx, cancel = stdcontext.WithTimeoutCause(signals, d, timedOut(d))
	}
	defer cancel()
	c.ctx = ctx
	defer func() {
		for i := len(c.keep) - 1; i >= 0; i-- {
			if e := c.keep[i](); e != nil && err == nil {
				err = c.explain(e)
			}
		}
	}()
	if err := run(c); err != nil {
		return c.explain(err)
	}
	if !c.c.Bool("hold") {
		return c.print(output, false)
	}
	if err := c.print(output, true); err != nil {
		return err
	}
	return hold(c.u, signals, c.inputRead)
}

// checkTimeout refuses a --timeout that is over before it begins. 0 could mean for ever as well as not at all.
func (c *ipcCall) checkTimeout() error {
	d := c.c.Duration("timeout")
	if !c.c.IsSet("timeout") || d > 0 {
		return nil
	}
	f := &failure{code: codeOwn, err: usage(c.path, fmt.Errorf("--timeout %s: want a time to come", d)), hint: "without --timeout it waits for as long as it takes"}
	if _, ok := indexFlags(c.c.Command.Flags)["no-wait"]; ok {
		f.hint = "--no-wait doesn't wait at all"
	}
	return f
}

// print prints the result. All of it goes out at once, before a hold: whoever reads a line knows that the object is held.
func (c *ipcCall) print(output string, holding bool) error {
	switch {
	case output == "json":
		if holding {
			c.add("holding", true)
		}
		if c.result == nil {
			c.result = c.fields
		}
		if err := c.u.json(c.result); err != nil {
			return err
		}
	case c.raw != nil:
		if err := c.copyRaw(); err != nil {
			return err
		}
	default:
		c.u.printf("%s", c.text)
		if holding {
			c.u.printf("holding\n")
		}
	}
	if holding {
		return exit(c.u.flush())
	}
	return nil
}

// copyRaw prints bytes as they are.
func (c *ipcCall) copyRaw() error {
	if _, err := io.Copy(c.u.outw, c.raw); err != nil && c.u.outErr == nil {
		c.u.outErr = err // told when standard output is flushed
	}
	return nil
}

// untilSignal is a context that ends at the first SIGINT, SIGTERM, SIGQUIT or SIGHUP; stop ends the watch for them.
func untilSignal() (ctx stdcontext.Context, stop func()) {
	ctx, cancel := stdcontext.WithCancelCause(stdcontext.Background())
	caught, over := make(chan os.Signal, 1), make(chan struct{})
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(caught, signals...)
	go func() {
		defer close(over)
		select {
		case s := <-caught:
			n, _ := s.(syscall.Signal)
			cancel(signalled(n))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(caught)
		cancel(nil)
		<-over
	}
}

// await repeats attempt while the object isn't there, if --wait says so. Most kinds tell nobody when an object is made,
// so it looks again and again.
func (c *ipcCall) await(attempt func() error) error {
	err := attempt()
	if !c.c.Bool("wait") || !errors.Is(err, unix.ENOENT) {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond) // nobody sees a delay that short
	defer tick.Stop()
	for errors.Is(err, unix.ENOENT) {
		select {
		case <-c.ctx.Done():
			var pe *os.PathError
			if errors.As(err, &pe) {
				return &os.PathError{Op: pe.Op, Path: pe.Path, Err: stdcontext.Cause(c.ctx)}
			}
			return stdcontext.Cause(c.ctx)
		case <-tick.C:
			err = attempt()
		}
	}
	return err
}

// make creates an object, or opens the one there is: only an exclusive attempt can tell which.
func (c *ipcCall) make(open func(excl bool) error) (created bool, err error) {
	for {
		err = open(true)
		if err == nil || c.c.Bool("excl") || !errors.Is(err, unix.EEXIST) {
			return true, err
		}
		// It may be gone by now: then the next round makes it.
		if err = open(false); !errors.Is(err, unix.ENOENT) {
			return false, err
		}
	}
}

func madeOrFound(created bool) string {
	if created {
		return "created"
	}
	return "found"
}

// mode is --mode.
func (c *ipcCall) mode() (fs.FileMode, error) { return parseMode("--mode", c.c.String("mode")) }

func parseMode(what, typed string) (fs.FileMode, error) {
	m, err := strconv.ParseUint(strings.TrimPrefix(typed, "0o"), 8, 32)
	if err != nil || m > 0o777 {
		return 0, fmt.Errorf("%s %s: want an octal number up to 777", what, quote(typed))
	}
	return fs.FileMode(m), nil
}

// bytesOf is the number of bytes that a flag says, or otherwise if it says nothing.
func (c *ipcCall) bytesOf(flag string, otherwise int64) (int64, error) {
	typed := c.c.String(flag)
	if typed == "" {
		return otherwise, nil
	}
	digits, shift := typed, 0
	if i := strings.IndexByte("kMG", typed[len(typed)-1]); i >= 0 {
		digits, shift = typed[:len(typed)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(digits, 0, 64)
	if err != nil || n < 0 || n > (1<<63-1)>>shift {
		return 0, fmt.Errorf("--%s %s: want a number of bytes, as 4096, 64k or 1M", flag, quote(typed))
	}
	return n << shift, nil
}

// numbers reads a list as 1,0,5.
func numbers(what, list string) ([]int, error) {
	var all []int
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s %s: want numbers as 1,0,5", what, quote(list))
		}
		all = append(all, n)
	}
	return all, nil
}

// spaced is numbers as they are printed.
func spaced(all []int) string {
	return strings.Trim(fmt.Sprint(all), "[]")
}
