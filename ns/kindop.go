package ns

import "golang.org/x/sys/unix"

// Setns is setns(2): this process joins the namespaces of Kinds that the target
// is in, a process given as a pidfd (Fork): all of them or none, and of no other
// process that has got its pid since. It takes ptrace access to the target and
// CAP_SYS_ADMIN over its namespaces; EPERM otherwise. Root and current directory
// become those of the mount namespace. A PID namespace is joined by the children
// only, see Refork.
type Setns struct{ Kinds Kinds }

func (s Setns) Calls(t *Table) {
	t.call(unix.SYS_SETNS, arg{'r', regTarget}, num(s.Kinds.Flags()))
}

func (s Setns) Shell() string { return "# setns(2) of " + s.Kinds.String() + ": nsenter(1)" }

// Unshare is unshare(2): this process gets new namespaces of Kinds, where clone
// would have been too early.
type Unshare struct{ Kinds Kinds }

func (u Unshare) Calls(t *Table) { t.call(unix.SYS_UNSHARE, num(u.Kinds.Flags())) }

func (u Unshare) Shell() string {
	return "# unshare(2) of " + u.Kinds.String() + ": it is among those of unshare(1) above"
}
