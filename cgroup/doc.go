// Package cgroup knows where this machine's control groups are and what podlab
// may do with them: cgroups(7), and the kernel's admin-guide/cgroup-v2.rst.
//
// [Detect] answers for the running system: version 1, version 2 or both; where
// each controller is mounted; which group we are in; whether we may make a
// group below it, and if not, what would help. It only reads and asks for
// permissions, and makes nothing.
//
// The package sets no limits yet, and makes, joins and removes no group.
//
// Not for asking about another process, which may live in another cgroup
// namespace and see other mounts: all paths here are for this process. Nor for
// a group's statistics.
package cgroup
