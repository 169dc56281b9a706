// Package cli is podlab's command line, and the only place in podlab that prints.
//
// There are two streams and four ways to speak:
//
//   - standard output carries what was asked for, and can be piped: ui.printf and the containers' lines, which begin
//     with the container's name: `app | text` (`app ! text` for what it wrote to its standard error);
//   - standard error carries messages, each one line that begins with `podlab: `: ui.note tells, ui.warn warns, and an
//     error returned to Main is printed once, with a second line `podlab: hint: ` where there is something to do.
//
// A message has no capital and no full stop. Text that comes from manifests and containers never reaches a terminal
// with control characters in it (clean.go). Exit codes are the table in errors.go.
//
// One file is one command: a *cli.Command and a function of plain arguments. Don't use this package from another one:
// what can be done without printing belongs further down.
package cli
