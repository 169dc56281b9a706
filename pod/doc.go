// Package pod makes pods. A pod is data before it is a process:
//
//	Probe   what there is to know of the machine
//	Plan    a manifest and a machine in, a Tree out: processes, and the steps of each
//	Run     the supervisor: carries a tree out, to its end
//
// A Tree has several readers. Run executes it; podlab plan prints it; Script
// writes it for sh(1); errors name a step by its key, and Events tell of each as
// it is done.
//
// What becomes of containers in time is decided by Policy, whose functions are
// pure: events in, a new state and actions out. The supervisor is the one
// goroutine that feeds it. Root and Dir are where pods are on disk.
//
// Don't use it to run containers of images, or for pods that outlive the
// program: there is neither yet.
package pod
