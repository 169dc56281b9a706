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
//	go run ./internal/bench ipc [-rounds 40] [-cpus 0,0]
//
// times IPC in a pod beside IPC on the host: two processes pass a ball, over each
// of the six kinds, in two containers and outside; and a copy into shared memory.
// Semaphores of System V and POSIX queues have a twin in C. It wants no root.
//
// It is no load test: nothing runs at the same time as anything else.
package main
