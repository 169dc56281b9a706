package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// The exit codes, as docker and podman use them.
const (
	codeOwn      = 125 // podlab itself: a manifest it refuses, a kernel that refuses it, wrong usage
	codeTimeout  = 124 // --timeout ran out, as timeout(1)
	codeSignal   = 128 // + the number of the signal
	codeCtrlC    = 130 // 128 + SIGINT
	codeShutdown = 143 // 128 + SIGTERM
	codePipe     = 141 // 128 + SIGPIPE: nobody reads standard output any more
)

// failure is an error that knows its exit code, and perhaps what to do about it.
type failure struct {
	code int
	err  error  // nil: everything was said already, only the code is left
	hint string // a second line, only if it can be acted on
}

func (f *failure) Error() string {
	if f.err == nil {
		return "exit " + strconv.Itoa(f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// exit ends the command with a code and no message.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return &failure{code: code}
}

// usage puts the command's name before what was wrong with its arguments.
func usage(verb string, err error) error {
	return context(verb, err)
}

// context puts what was being done before err, or before each error of several, and keeps codes and hints.
func context(what string, err error) error {
	all := unjoin(err)
	if len(all) == 1 {
		return fmt.Errorf("%s: %w", what, err)
	}
	for i, e := range all {
		all[i] = fmt.Errorf("%s: %w", what, e)
	}
	return errors.Join(all...)
}

// withHint is an error with podlab's own exit code and a hint.
func withHint(hint, format string, args ...any) error {
	return &failure{code: codeOwn, err: fmt.Errorf(format, args...), hint: hint}
}

// end prints err, once, and is the exit code that it means.
func (u *ui) end(err error) int {
	if err == nil {
		return u.flush()
	}
	var f *failure
	code := codeOwn
	if errors.As(err, &f) {
		code = f.code
		if f.err == nil {
			u.flush()
			return code
		}
	}
	u.flush()
	if many, ok := sourceErrors(err); ok {
		u.fieldErrors(many)
		return code
	}
	u.fail(err)
	return code
}

// flush writes out what is left of standard output. Output that can't be written (a full disk) is an error: a cut
// table or JSON must not look like a whole one.
func (u *ui) flush() int {
	err := u.outw.Flush()
	if err == nil {
		err = u.outErr
	}
	if err == nil {
		return 0
	}
	u.fail(fmt.Errorf("standard output: %w", bareErrno(err)))
	return codeOwn
}

// bareErrno drops the operation and the path from a *os.PathError whose path the message has already.
func bareErrno(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
