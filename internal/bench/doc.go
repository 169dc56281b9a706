// Command bench times podlab beside its peers, all doing one job: make a pod's
// IPC, network and UTS namespaces, in them the asked number of containers with
// PID, mount and cgroup namespaces, the usual mounts, masks and capabilities,
// run true in each side by side, and leave nothing.
//
//	go run ./internal/bench [-rounds 60] [-idle 20ms] [-containers 2]
//
// It wants root, a C compiler with a static libc for the floor, and takes crun
// and runc where they are on PATH. Every round runs each subject once in a fresh
// order, after a rest; a ratio is the median of the ratios within rounds, for
// absolute times drift with the machine. docs/benchmarks.md has the figures.
//
// It is no load test: nothing runs at the same time as anything else.
package main
