package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/podlab/podlab/pod"
)

// ui is how a command speaks to the person who typed it.
type ui struct {
	in, out, err *os.File
	outw         *bufio.Writer // of out; flushed by end, and before anything else writes to out
	outErr       error         // the first error of outw
	verb         string        // the command that was typed
	outTTY       bool
	errTTY       bool
	columns      int // of the screen that another podlab shows out on, or 0
	outColor     bool
	errColor     bool
	said         map[string]bool // warnings, each said once
	given        []source        // manifests that were read by another podlab
	quiet        bool            // that one has warned already
	sources      []source        // the manifests that were read, for the source lines of errors
}

func newUI(in, out, err *os.File) *ui {
	u := &ui{in: in, out: out, err: err, outw: bufio.NewWriterSize(out, 16<<10)}
	u.outTTY, u.errTTY = isTerminal(out), isTerminal(err)
	u.outColor, u.errColor = autoColor(u.outTTY), autoColor(u.errTTY)
	u.onScreen(os.Getenv("PODLAB_SCREEN"))
	return u
}

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// autoColor is whether to colour when nobody said so on the command line: NO_COLOR wins over CLICOLOR_FORCE, and that
// over what the stream is.
func autoColor(tty bool) bool {
	switch {
	case os.Getenv("NO_COLOR") != "":
		return false
	case os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
		return true
	}
	return tty && os.Getenv("TERM") != "dumb"
}

// setColor applies --color, which wins over the environment.
func (u *ui) setColor(when string) error {
	switch when {
	case "auto":
	case "always":
		u.outColor, u.errColor = true, true
	case "never":
		u.outColor, u.errColor = false, false
	default:
		return oneOf("--color", when, "auto", "always", "never")
	}
	return nil
}

// oneOf is the error of a flag whose value is none of those there are.
func oneOf(flag, have string, want ...string) error {
	last := len(want) - 1
	f := &failure{code: codeOwn, err: fmt.Errorf("%s %s: want %s or %s", flag, quote(have), strings.Join(want[:last], ", "), want[last])}
	if near, ok := nearest(have, want); ok {
		f.hint = "did you mean " + flag + " " + near + "?"
	}
	return f
}

// printf writes to standard output: what was asked for.
func (u *ui) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(u.outw, format, args...); err != nil && u.outErr == nil {
		u.outErr = err
	}
}

// note tells the person something on standard error.
func (u *ui) note(format string, args ...any) {
	u.message("", cleanString(fmt.Sprintf(format, args...)))
}

// warn warns of something, once however often it comes up.
func (u *ui) warn(format string, args ...any) {
	text := cleanString(fmt.Sprintf(format, args...))
	if u.said[text] || u.quiet {
		return
	}
	if u.said == nil {
		u.said = map[string]bool{}
	}
	u.said[text] = true
	u.message(u.paint(u.errColor, yellow, "warning: "), text)
}

// fail prints an error, and its hint where it has one. An errors.Join is a line per error.
func (u *ui) fail(err error) {
	for _, e := range unjoin(err) {
		u.message("", cleanString(e.Error()))
		if h := hintOf(e); h != "" {
			u.hint(h)
		}
	}
}

// hintOf is what can be done about err, or "".
func hintOf(err error) string {
	var own *failure
	var pods *pod.HintError
	switch {
	case errors.As(err, &own) && own.hint != "":
		return own.hint
	case errors.As(err, &pods):
		return pods.Hint
	}
	return ""
}

func (u *ui) hint(text string) {
	u.message(u.paint(u.errColor, cyan, "hint: "), cleanString(text))
}

// message is one line on standard error. It is written by one call, so that lines of several writers don't mix.
func (u *ui) message(kind, text string) {
	_, _ = u.err.WriteString(u.paint(u.errColor, bold, "podlab:") + " " + kind + text + "\n") // nowhere left to say that stderr is gone
}

// unjoin is the errors that errors.Join put together, or err alone.
func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, unjoin(e)...)
		}
		return all
	}
	return []error{err}
}
