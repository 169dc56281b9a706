package ns

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Table is a list of system calls, prepared in ordinary Go for a process
// that can't run ordinary Go: the child of a fork, which has one thread of the
// parent's many and must neither allocate nor take a lock. Strings and
// structures lie in one block of memory and a pointer is an offset into it, so
// that a table can be sent to another process (wire.go) and be run there.
//
// A call may use the result of an earlier one through a register: that is how
// a file descriptor gets from openat to write.
type Table struct {
	steps  []Step
	calls  []call
	mem    []byte
	ptrs   []uint32        // where in mem a pointer into mem lies (argv, iovec)
	regs   int             // registers in use
	spare  []uint64        // registers given back
	names  map[string]uint // registers that several steps share
	called []string        // what each register is called, "" for most
	labels []label         // what it was called in the calls that used it, for people
	step   int             // the step being compiled
	ready  bool            // offsets have become addresses

	sections []section // tables of children, see Spawn
	inherit  []int     // descriptors that the child keeps beside those of its registers
	own      int       // calls that are this table's own, before the sections
}

// call is one system call: plain words, nothing that the garbage collector or
// a growing stack could move.
type call struct {
	nr   uint64
	args [6]uint64
	step uint32
	mem  uint8     // bit i: args[i] is an offset into the table's memory
	reg  uint8     // bit i: args[i] is the number of a register
	out  uint16    // the register that takes the result, plus 1; 0: none
	skip uint8     // calls to leave out after an errno in ok
	ok   [3]uint32 // errnos that are no failure
}

// The registers that are set before the first call.
const (
	regReport = iota // where errors and marks go
	regStdin
	regStdout
	regStderr
	regTarget // pidfd of the process whose namespaces Setns joins
	regFirst  // the first free one

	maxRegs = 1024

	// No system calls, but what perform knows beside them: callStore puts a
	// register into the memory, callFork is clone3 with a child that goes on
	// elsewhere in the table, callAwait is a read whose end of file is an error.
	callStore = 1 << 32
	callFork  = 1<<32 + 1
	callAwait = 1<<32 + 2
)

// label says that argument arg of call call is the descriptor called name.
type label struct {
	call, arg int
	name      string
}

// arg is an argument before it is stored in a call.
type arg struct {
	kind uint8 // 'n' a number, 'r' a register, 'm' an offset into the memory
	v    uint64
}

// Compile prepares the calls of steps, in order. With trace, every step ends
// with a clock reading sent to the report socket, so that whoever reads it sees
// each step as it happens; the calls in between are the same.
func Compile(steps []Step, trace bool) *Table {
	// A container is some 150 calls: growing the slice costs more than the room.
	t := &Table{steps: steps, calls: make([]call, 0, 192), mem: make([]byte, 0, 8<<10), regs: regFirst}
	if trace {
		t.mark(reportBegin) // the time of birth, from which the first step is measured
	}
	for i, s := range steps {
		t.step = i
		s.Op.Calls(t)
		if trace {
			t.mark(i)
		}
	}
	t.link()
	return t
}

// call appends a system call and returns it for to and unless.
func (t *Table) call(nr uintptr, args ...arg) *call {
	c := call{nr: uint64(nr), step: uint32(t.step)}
	for i, a := range args {
		c.args[i] = a.v
		switch a.kind {
		case 'm':
			c.mem |= 1 << i
		case 'r':
			c.reg |= 1 << i
			if a.v < uint64(len(t.called)) && t.called[a.v] != "" {
				t.labels = append(t.labels, label{len(t.calls), i, t.called[a.v]})
			}
		}
	}
	t.calls = append(t.calls, c)
	return &t.calls[len(t.calls)-1]
}

// to keeps the result of c in register r.
func (c *call) to(r arg) *call { c.out = uint16(r.v) + 1; return c }

// unless makes errnos no failure; the skip calls that follow are then left out.
func (c *call) unless(skip int, errnos ...syscall.Errno) *call {
	c.skip = uint8(skip)
	for i, e := range errnos {
		c.ok[i] = uint32(e)
	}
	return c
}

// close is close(2) of the descriptor in r, and gives the register back.
func (t *Table) close(r arg) {
	t.call(unix.SYS_CLOSE, r)
	t.free(r)
}

// free gives a register back, and its name if it has one.
func (t *Table) free(r arg) {
	t.spare = append(t.spare, r.v)
	if int(r.v) < len(t.called) {
		delete(t.names, t.called[r.v])
		t.called[r.v] = ""
	}
}

// newReg is a register nobody uses.
func (t *Table) newReg() arg {
	if n := len(t.spare); n > 0 {
		r := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return arg{'r', r}
	}
	if t.regs == maxRegs {
		panic(fmt.Sprintf("ns: more than %d file descriptors in one table", maxRegs))
	}
	t.regs++
	return arg{'r', uint64(t.regs - 1)}
}

// named is the register that the steps of this table call name.
func (t *Table) named(name string) arg {
	if r, ok := t.names[name]; ok {
		return arg{'r', uint64(r)}
	}
	r := t.newReg()
	if t.names == nil {
		t.names = map[string]uint{}
	}
	t.names[name] = uint(r.v)
	for len(t.called) <= int(r.v) {
		t.called = append(t.called, "")
	}
	t.called[r.v] = name
	return r
}

func num[N ~int | ~uint32 | ~uint64 | ~uintptr](n N) arg { return arg{'n', uint64(n)} }

// str is a C string in the table's memory.
func (t *Table) str(s string) arg {
	at := len(t.mem)
	t.mem = append(t.mem, s...)
	t.mem = append(t.mem, 0)
	return arg{'m', uint64(at)}
}

// opt is a C string, or NULL for "".
func (t *Table) opt(s string) arg {
	if s == "" {
		return num(0)
	}
	return t.str(s)
}

// block is b in the table's memory, aligned for any C structure.
func (t *Table) block(b []byte) arg {
	for len(t.mem)%8 != 0 {
		t.mem = append(t.mem, 0)
	}
	at := len(t.mem)
	t.mem = append(t.mem, b...)
	return arg{'m', uint64(at)}
}

// words is a C array of unsigned longs.
func (t *Table) words(ws ...uint64) arg {
	return t.block(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(ws))), 8*len(ws)))
}

// list is a NULL-terminated array of C strings, as execve(2) wants it.
func (t *Table) list(ss []string) arg {
	ws := make([]uint64, len(ss)+1)
	for i, s := range ss {
		ws[i] = t.str(s).v
	}
	at := t.words(ws...)
	for i := range ss {
		t.ptrs = append(t.ptrs, uint32(at.v)+uint32(8*i))
	}
	return at
}

// load turns offsets into addresses. The memory is on the heap, where the
// garbage collector of Go leaves things in place; fork without CLONE_VM gives
// the child a copy at the same addresses.
func (t *Table) load() {
	if t.ready || len(t.mem) == 0 {
		return
	}
	base := uint64(uintptr(unsafe.Pointer(&t.mem[0])))
	for i := range t.calls {
		for j, c := 0, &t.calls[i]; j < 6; j++ {
			if c.mem>>j&1 != 0 {
				c.args[j] += base
			}
		}
	}
	for _, at := range t.ptrs {
		*(*uint64)(unsafe.Pointer(&t.mem[at])) += base
	}
	t.ready = true
}

// Run makes the calls in this process, on this thread. A table runs once.
func (t *Table) Run() error {
	t.load()
	var regs [maxRegs]uint64
	i, errno := perform(t.calls, &regs)
	runtime.KeepAlive(t)
	if errno != 0 {
		return t.Failed(i, syscall.Errno(errno))
	}
	return nil
}

// StepError says which step failed, in which system call, and why.
type StepError struct {
	Key  string // of the step
	Call string // "mount /proc"
	Err  syscall.Errno
}

func (e *StepError) Error() string { return e.Key + ": " + e.Call + ": " + e.Err.Error() }
func (e *StepError) Unwrap() error { return e.Err }

// Failed is the error of call i having returned errno.
func (t *Table) Failed(i int, errno syscall.Errno) error {
	if i < 0 || i >= t.own {
		return fmt.Errorf("call %d of %d: %w", i, len(t.calls), errno)
	}
	return &StepError{Key: t.steps[t.calls[i].step].Key, Call: t.brief(i), Err: errno}
}
