//go:build !linux

package main

// Containers are made of Linux's namespaces and system calls; elsewhere podlab
// runs in a virtual machine with Linux. The name below is the error message.
var _ = podlab_needs_Linux_try_a_virtual_machine
