// Package inventory lists the IPC objects of a running pod: what its IPC namespace holds, and what lies in the /dev/shm
// of its containers; which container made each, who has it mapped or open, and which control group pays for its memory;
// and what the namespace allows.
//
// The kernel tells these things only to who stands in the right place. The creator of a segment is a number in the PID
// namespace of who opens /proc/sysvipc/shm, and 0 for a process outside of it; the table is that of the opener's IPC
// namespace. So Take starts this very program again, as a child that joins the pod's IPC namespace, and its user
// namespace where the caller's own capabilities don't do, and stays in the caller's PID and mount namespace. The program
// calls Serve when it is started with Verb as its argument.
//
// Looking leaves the pod as it is: no page is brought into memory, so who pays doesn't change. One trace is left: to
// look at the pages of a segment that nobody has attached, podlab attaches it itself, and is the last one that did.
//
// The package prints nothing. It isn't for watching: it reads all of /proc each time.
package inventory
