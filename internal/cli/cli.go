package cli

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/internal/inventory"
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
		{"ps", []string{"list", "ls"}, "list the pods that run, and lost ones", psCommand},
		{"logs", []string{"log"}, "print what a pod's containers have written", logsCommand},
		{"exec", nil, "run a program in a container that runs", execCommand},
		{"ipc", nil, "make, use, list and remove objects of all six kinds of IPC", ipcCommand},
		{"demo", nil, "play a lesson: commands, what they print, and whether that was predicted", demoCommand},
		{"stop", nil, "end pods in order, and wait until nothing is left of them", stopCommand},
		{"rm", []string{"delete"}, "remove what a lost pod left behind", rmCommand},
		{"version", nil, "print the version", versionCommand},
		{"completion", nil, "print a completion script for bash, zsh or fish", completionCommand},
		{"help", nil, "explain a command", helpCommand},
	}
}

// subentries is the verbs below the one that path leads to ("ipc", "ipc shm"), or nil where there are none.
func subentries(path string) []entry {
	if path == "ipc" || strings.HasPrefix(path, "ipc ") {
		return ipcEntries(strings.TrimPrefix(path[len("ipc"):], " "))
	}
	return nil
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

// verb is an entry, and the words that lead to it: "ipc shm create".
type verb struct {
	entry
	path string
}

// find is the verb of entries that name names. The path of those that it is below comes before it.
func find(all []entry, above, name string) (verb, bool) {
	for _, e := range all {
		if e.is(name) {
			return verb{e, strings.TrimPrefix(above+" "+e.name, " ")}, true
		}
	}
	return verb{}, false
}

// lookup finds the verb that name and the words after it lead to, and what is left of rest without these words.
func lookup(u *ui, name string, rest []string) (verb, []string, error) {
	v, ok := find(entries(), "", name)
	if !ok {
		return verb{}, nil, commandNotFound("", name)
	}
	for {
		below := subentries(v.path)
		if below == nil {
			return v, rest, nil
		}
		var ix flagIndex // made only where a flag stands first: it takes making all that is below
		if len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
			ix = v.index(u)
		}
		word, others, err := splitWord(ix, rest)
		if err != nil {
			return v, nil, usage(v.path, err)
		}
		if word == "" {
			return v, rest, nil
		}
		next, ok := find(below, v.path, word)
		if !ok {
			return v, nil, usage(v.path, commandNotFound(v.path, word))
		}
		v, rest = next, others
	}
}

// index maps the flags of v, and of all that is below it: a flag may stand before the word that it belongs to.
func (v verb) index(u *ui) flagIndex {
	ix := indexFlags(v.command(u).Flags)
	for _, e := range subentries(v.path) {
		for name, takes := range (verb{e, v.path + " " + e.name}).index(u) {
			ix[name] = takes
		}
	}
	return ix
}

// command makes v's command ready to parse: the common flags added, urfave's own help, printing and exits off.
func (v verb) command(u *ui) *cli.Command {
	c := v.build(u)
	c.Name, c.Usage, c.Aliases = v.path, v.summary, nil
	c.HelpName = "podlab " + v.path
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
	if len(args) > 1 && args[1] == inventory.Verb {
		return u.end(inventory.Serve(stdin, stdout))
	}
	if len(args) > 1 && args[1] == probeVerb {
		return u.end(serveProbe(stdin, stdout))
	}
	if len(args) > 1 && args[1] == superviseVerb {
		return u.end(supervise(u))
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
	v, rest, err := lookup(u, name, rest)
	if err != nil {
		return err
	}
	u.verb = v.path
	c := v.command(u)
	if v.name == "exec" {
		rest = literal(c.Flags, rest)
	}
	a, err := arrange(c.Flags, rest)
	if err != nil {
		return usage(v.path, err)
	}
	if a.help || subentries(v.path) != nil {
		return commandHelp(u, v)
	}
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		if err := u.setColor(ctx.String("color")); err != nil {
			return usage(v.path, err)
		}
		return action(ctx)
	}
	return newApp(u, c).Run(append(append([]string{"podlab", v.path}, a.flags...), append([]string{"--"}, a.rest...)...))
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

// commandNotFound says so, and names what may have been meant. Above is the path of the verb that name should be below.
func commandNotFound(above, name string) error {
	f := &failure{code: codeOwn, err: errors.New("unknown command " + quote(name))}
	all, help := subentries(above), "podlab "+above
	if above == "" {
		all, help = entries(), "podlab help"
		f.hint = later[name]
	}
	if f.hint != "" {
		return f
	}
	var names []string
	for _, e := range all {
		names = append(append(names, e.name), e.aliases...)
	}
	if near, ok := nearest(name, names); ok {
		f.hint = "did you mean " + strings.Join(strings.Fields("podlab "+above+" "+near), " ") + "?"
	} else {
		f.hint = help + " lists the commands there are"
	}
	return f
}
