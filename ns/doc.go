// Package ns makes Linux namespaces and does what has to be done in them:
// kernel calls as values, and the birth of a process that runs them.
//
// # Values first
//
// An [Op] is one thing to do (mount proc, set the host name), as data: it
// appends raw system calls to a [Table], and it says how a shell would do the
// same. A [Step] is an Op with a key that docs/steps.md explains. A process to
// be born is a list of steps; nothing in this package prints.
//
// # What the kernel says
//
// [Inspect] reads which namespaces a process is in, [Owner] and [Parent] how
// they hang together (ioctl_ns(2)). [Probe] tries what this kernel lets this
// user do, and for every no gives the reason and a way out. [SubIDs] finds
// the user ids that an ordinary user may hand to a user namespace.
//
// # When not to use it
//
// To enter somebody else's container from a Go program, a separate program is
// needed: setns(2) for a user namespace refuses a process with more than one
// thread, and a Go program has several before main begins. This package gets
// around that only for processes that it starts itself. It knows nothing of
// pods or cgroups.
package ns
