// The functions of fork.go that have no body are the runtime's. A package with
// such functions must have an assembly file, even one without a line of code.
