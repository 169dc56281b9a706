package ns

import "golang.org/x/sys/unix"

// Unshare is unshare(2): this process gets new namespaces of Kinds, where clone
// would have been too early.
type Unshare struct{ Kinds Kinds }

func (u Unshare) Calls(t *Table) { t.call(unix.SYS_UNSHARE, num(u.Kinds.Flags())) }

func (u Unshare) Shell() string {
	return "# unshare(2) of " + u.Kinds.String() + ": it is among those of unshare(1) above"
}
