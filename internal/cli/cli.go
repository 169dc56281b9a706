package cli

import (
	"errors"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"
)

// entry is one verb of the command line. What is printed in the overview stands here; flags, help and action are made
// by build, and only for the verb that was typed: making all of them would be paid for by every `podlab run`.
type entry struct {
	name    string
	aliases []string
	summary string
	build   func(*ui) *cli.Command
}

// entries is the list of verbs, in the order of the overview.
func entries() []entry {
	return []entry{
		{"run", nil, "run the pods of a manifest here, until they end", runCommand},
		{"plan", nil, "show how a pod would be made: text, JSON or a shell script", planCommand},
		{"explain", nil, "say what a manifest field does here, or why it is refused", explainCommand},
		{"check", nil, "say what this kernel, user and cgroup setup can and can't do", checkCommand},
		{"ns", nil, "show who shares which namespace", nsCommand},
		{"rm", []string{"delete"}, "remove what a lost pod left behind", rmCommand},
		{"version", nil, "print the version", versionCommand},
		{"completion", nil, "print a completion script for bash, zsh or fish", completionCommand},
		{"help", nil, "explain a command", helpCommand},
	}
}

func (e entry) is(name string) bool {
	if e.name == name {
		return true
	}
	for _, a := range e.aliases {
		if a == name {
			return true
		}
	}
	return false
}

// find is the entry that name names.
func find(name string) (entry, bool) {
	for _, e := range entries() {
		if e.is(name) {
			return e, true
		}
	}
	return entry{}, false
}

// command makes e's command ready to parse: the common flags added, urfave's own help, printing and exits off.
func (e entry) command(u *ui) *cli.Command {
	c := e.build(u)
	c.Name, c.Usage, c.Aliases = e.name, e.summary, nil
	c.HelpName = "podlab " + e.name
	c.HideHelp = true // or `podlab run help` is taken for a subcommand
	c.Flags = append(c.Flags, commonFlags()...)
	return c
}

// commonFlags are understood by every command, before or after its name.
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "color", Usage: "`WHEN` to colour: auto, always or never", Value: "auto"},
		&cli.StringFlag{Name: "root", Usage: "keep the state of pods in `DIR`"},
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "explain the command"},
	}
}

// Main is podlab's command line: it reads args, of which the first is the program's name, and returns the exit code.
func Main(args []string, stdin, stdout, stderr *os.File) int {
	u := newUI(stdin, stdout, stderr)
	// A caller's umask of 777 would make directories that nobody can enter, podlab neither.
	syscall.Umask(0o022)
	if len(args) > 1 && args[1] == completeVerb {
		return u.end(complete(u, args[2:]))
	}
	name, rest, err := splitCommand(args)
	if err != nil {
		return u.end(err)
	}
	return u.end(dispatch(u, name, rest))
}

// dispatch runs the command called name with the arguments that came with it, in any order of flags and positionals.
func dispatch(u *ui, name string, rest []string) error {
	if name == "" {
		return overview(u)
	}
	e, ok := find(name)
	if !ok {
		return commandNotFound(name)
	}
	u.verb = e.name
	c := e.command(u)
	a, err := arrange(c.Flags, rest)
	if err != nil {
		return usage(e.name, err)
	}
	if a.help {
		return commandHelp(u, c)
	}
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := u.setColor(ctx.String("color")); err != nil {
			return usage(e.name, err)
		}
		return action(ctx)
	}
	return newApp(u, c).Run(append(append([]string{"podlab", e.name}, a.flags...), append([]string{"--"}, a.rest...)...))
}

// newApp is an urfave application of one command. Everything it would print or exit by itself is turned off: usage
// errors come back as errors, and only Main's caller exits.
func newApp(u *ui, c *cli.Command) *cli.App {
	onUsage := func(_ *cli.Context, err error, _ bool) error { return usage(c.Name, flagError(err)) }
	c.OnUsageError = onUsage
	return &cli.App{
		Name:                      "podlab",
		HelpName:                  "podlab",
		Commands:                  []*cli.Command{c},
		HideHelp:                  true,
		HideVersion:               true,
		UseShortOptionHandling:    true,
		DisableSliceFlagSeparator: true, // a comma in -e A=1,B=2 is part of the value
		OnUsageError:              onUsage,
		ExitErrHandler:            func(*cli.Context, error) {},
		Writer:                    u.out,
		ErrWriter:                 u.err,
		Reader:                    u.in,
	}
}

// commandNotFound says so, and names what may have been meant.
func commandNotFound(name string) error {
	f := &failure{code: codeOwn, err: errors.New("unknown command " + quote(name)), hint: later[name]}
	if f.hint != "" {
		return f
	}
	var names []string
	for _, e := range entries() {
		names = append(append(names, e.name), e.aliases...)
	}
	if near, ok := nearest(name, names); ok {
		f.hint = "did you mean podlab " + near + "?"
	} else {
		f.hint = "podlab help lists the commands there are"
	}
	return f
}
