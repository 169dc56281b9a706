//go:build !linux || 386 || arm || mips || mipsle

package main

// Containers are made of Linux's namespaces and system calls, and ids fill 32
// bits unsigned; elsewhere podlab runs in a virtual machine. The name below is
// the error message.
var _ = podlab_needs_64_bit_Linux_try_a_virtual_machine
