//go:build linux && !386 && !arm && !mips && !mipsle

// Podlab takes a Kubernetes Pod apart: it builds one from a manifest with
// nothing but the kernel's own calls, and shows how.
package main

import (
	"os"

	"github.com/podlab/podlab/internal/cli"
	_ "github.com/podlab/podlab/ns/stage" // this process may be a pod stage
)

func main() {
	os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
