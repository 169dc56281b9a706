package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

const overviewHead = `podlab runs Kubernetes pods on this machine, and shows how the kernel makes them.

Usage: podlab COMMAND [flags] [arguments]

`

const overviewTail = `
Every command takes --color auto|always|never, --root DIR and --help. Flags may stand before or after arguments;
what follows -- is an argument even where it begins with a dash.

Exit codes: 0 all went well; 125 podlab's own error; 126 a command can't be executed; 127 it was not found;
128+n a signal ended it (137 is KILL, 143 TERM); 124 --timeout ran out; 130 after Ctrl-C; else a container's own.

Environment: PODLAB_ROOT (as --root), NO_COLOR, CLICOLOR_FORCE.

Try:
  $ podlab run example:hello            two containers that talk to each other
  $ podlab run --explain example:hello  the same, and what the kernel was asked for
  $ podlab plan -o shell example:hello  the same as a script for sh
  $ podlab ipc ls                       shared memory, semaphores and queues here
  $ podlab explain spec.hostIPC         what a manifest field does here
`

// overview is what `podlab` and `podlab help` print.
func overview(u *ui) error {
	u.printf("%sCommands:\n", overviewHead)
	for _, e := range entries() {
		u.printf("  %-12s%s\n", e.name, e.summary)
	}
	u.printf("%s", overviewTail)
	return nil
}

func helpCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage:   "[COMMAND…]",
		Description: "Without a command: the list of them.\n\n  $ podlab help run\n  $ podlab help ipc shm create",
		Action:      func(c *cli.Context) error { return help(u, c.Args().Slice()) },
	}
}

func help(u *ui, args []string) error {
	if len(args) == 0 {
		return overview(u)
	}
	v, rest, err := lookup(u, args[0], args[1:])
	switch {
	case err != nil:
		return context("help", err)
	case len(rest) > 0:
		return usage("help", fmt.Errorf("want one command, have %d", len(args)))
	}
	return commandHelp(u, v)
}

// commandHelp prints what a command does, its flags, or the commands below it, and an example.
func commandHelp(u *ui, v verb) error {
	c := v.command(u)
	below := subentries(v.path)
	line := c.HelpName + " [flags]"
	if below != nil {
		line = c.HelpName + " COMMAND [flags] [arguments]"
	}
	if c.ArgsUsage != "" {
		line += " " + c.ArgsUsage
	}
	u.printf("%s: %s.\n\nUsage: %s\n\n%s\n", c.HelpName, c.Usage, line, u.wrapText(strings.TrimSpace(c.Description)))
	var rows [][2]string
	head := "Flags"
	if below != nil {
		head = "Commands"
		for _, e := range below {
			rows = append(rows, [2]string{e.name, e.summary})
		}
	} else {
		for _, f := range c.Flags {
			left, right := flagHelp(f)
			rows = append(rows, [2]string{left, right})
		}
	}
	wide := 0
	for _, r := range rows {
		wide = max(wide, len(r[0]))
	}
	u.printf("\n%s:\n", head)
	for _, r := range rows {
		right := u.wrap(r[1], strings.Repeat(" ", wide+5))
		u.printf("%s\n", strings.TrimRight(fmt.Sprintf("  %-*s   %s", wide, r[0], strings.TrimLeft(right, " ")), " "))
	}
	return nil
}

// wrapText breaks the paragraphs of a text anew. Lines that begin with a space are what is typed or printed, and stay.
func (u *ui) wrapText(text string) string {
	var all, paragraph []string
	end := func() {
		if len(paragraph) > 0 {
			all = append(all, u.wrap(strings.Join(paragraph, " "), ""))
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && line[0] != ' ' {
			paragraph = append(paragraph, line)
			continue
		}
		end()
		all = append(all, line)
	}
	end()
	return strings.Join(all, "\n")
}

// flagHelp is a flag's two columns: its names with the name of its value (which stands between backquotes in its
// usage), and what it does.
func flagHelp(f cli.Flag) (left, right string) {
	var names []string
	for _, n := range f.Names() {
		if len(n) == 1 {
			names = append([]string{"-" + n}, names...)
		} else {
			names = append(names, "--"+n)
		}
	}
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return strings.Join(names, ", "), ""
	}
	left, right = strings.Join(names, ", "), d.GetUsage()
	if before, after, ok := strings.Cut(right, "`"); ok && d.TakesValue() {
		value, after, _ := strings.Cut(after, "`")
		left, right = left+" "+value, before+value+after
	}
	if v := d.GetValue(); d.TakesValue() && v != "" && v != "0" && v != "0s" && v != "[]" {
		right += " (default " + v + ")"
	}
	return left, right
}
