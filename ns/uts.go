package ns

import "golang.org/x/sys/unix"

// Hostname is sethostname(2), in the UTS namespace of the caller.
type Hostname struct{ Name string }

func (h Hostname) Calls(t *Table) {
	t.call(unix.SYS_SETHOSTNAME, t.str(h.Name), num(len(h.Name)))
}

func (h Hostname) Shell() string { return "hostname " + Quote(h.Name) }
