package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// arranged is a command's arguments, sorted: flags in a form that the flag package reads as it was meant (each name
// and value apart, clusters taken to pieces), and the positional arguments.
type arranged struct {
	flags []string
	rest  []string
	help  bool // -h or --help was among them
}

// flagIndex maps each name of a flag to whether it takes a value.
type flagIndex map[string]bool

func indexFlags(flags []cli.Flag) flagIndex {
	ix := flagIndex{}
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		for _, n := range f.Names() {
			ix[n] = ok && d.TakesValue()
		}
	}
	return ix
}

// arrange sorts args. It exists because the flag package stops at the first positional argument, so that the -d of
// `run pod.yaml -d` would be dropped without a word. Everything after `--` is positional, and so is a lone `-`.
func arrange(flags []cli.Flag, args []string) (arranged, error) {
	ix := indexFlags(flags)
	var a arranged
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			a.rest = append(a.rest, args...)
			return a, nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			a.rest = append(a.rest, arg)
		default:
			used, err := a.flag(ix, arg, args)
			if err != nil {
				return a, err
			}
			args = args[used:]
		}
	}
	return a, nil
}

// flag appends one argument that begins with a dash, and tells how many of the following ones it took as values.
func (a *arranged) flag(ix flagIndex, arg string, next []string) (used int, err error) {
	body := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	name, value, joined := strings.Cut(body, "=")
	takes, known := ix[name]
	switch {
	case known && joined && !takes:
		if value != "true" && value != "false" {
			return 0, fmt.Errorf("%s takes no value, have %s", dashed(name), quote(value))
		}
		if name == "help" || name == "h" {
			a.help = a.help || value == "true"
		}
		a.flags = append(a.flags, "--"+body)
	case known && joined:
		a.flags = append(a.flags, "--"+name, value)
	case known && takes:
		if len(next) == 0 {
			return 0, errors.New(dashed(name) + " needs a value")
		}
		a.flags = append(a.flags, "--"+name, next[0])
		return 1, nil
	case known:
		if name == "help" || name == "h" {
			a.help = true
		}
		a.flags = append(a.flags, "--"+name)
	case strings.HasPrefix(arg, "--") || len(body) < 2:
		return 0, unknownFlag(ix, arg, name)
	default:
		return a.cluster(ix, arg, next)
	}
	return 0, nil
}

// cluster takes -it and -ojson to pieces: single letters, of which the first that takes a value takes the rest of the
// argument, or the next one.
func (a *arranged) cluster(ix flagIndex, arg string, next []string) (used int, err error) {
	for i := 1; i < len(arg); i++ {
		name := arg[i : i+1]
		takes, known := ix[name]
		switch {
		case !known:
			whole, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			return 0, unknownFlag(ix, arg, whole)
		case !takes:
			a.help = a.help || name == "h"
			a.flags = append(a.flags, "--"+name)
		case i+1 < len(arg):
			a.flags = append(a.flags, "--"+name, strings.TrimPrefix(arg[i+1:], "="))
			return 0, nil
		case len(next) == 0:
			return 0, errors.New("-" + name + " needs a value")
		default:
			a.flags = append(a.flags, "--"+name, next[0])
			return 1, nil
		}
	}
	return 0, nil
}

func unknownFlag(ix flagIndex, arg, name string) error {
	f := &failure{code: codeOwn, err: errors.New("unknown flag " + quote(arg))}
	var names []string
	for n := range ix {
		if len(n) > 1 {
			names = append(names, n)
		}
	}
	if near, ok := nearest(name, names); ok {
		f.hint = "did you mean " + dashed(near) + "?"
	}
	return f
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// splitCommand finds the command's name, and what stands before and after it: `podlab --root /x run pod.yaml` is
// `podlab run --root /x pod.yaml`.
func splitCommand(args []string) (name string, rest []string, err error) {
	if len(args) > 0 {
		args = args[1:]
	}
	ix := indexFlags(append(commonFlags(), namespaceFlag()))
	ix["version"], ix["v"] = false, false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			return arg, append(append([]string{}, args[:i]...), args[i+1:]...), nil
		}
		var a arranged
		used, err := a.flag(ix, arg, args[i+1:])
		switch {
		case err != nil:
			return "", nil, err
		case arg == "--version" || arg == "-v":
			return "version", nil, nil
		case a.help:
			return "help", append(args[i+1:], args[:i]...), nil
		}
		i += used
	}
	return "", nil, nil
}

// splitWord finds the first argument that is no flag and no flag's value, and what stands before and after it.
func splitWord(ix flagIndex, args []string) (word string, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		if arg := args[i]; arg == "-" || !strings.HasPrefix(arg, "-") {
			return arg, append(append([]string{}, args[:i]...), args[i+1:]...), nil
		}
		var a arranged
		used, err := a.flag(ix, args[i], args[i+1:])
		if err != nil {
			return "", nil, err
		}
		i += used
	}
	return "", args, nil
}

// flagError says in podlab's words what the flag package said in its own.
func flagError(err error) error {
	msg := err.Error()
	for _, verb := range []string{"invalid value ", "invalid boolean value "} {
		body, ok := strings.CutPrefix(msg, verb)
		if !ok {
			continue
		}
		value, after, ok := strings.Cut(body, " for flag -")
		name, why, ok2 := strings.Cut(after, ": ")
		if !ok || !ok2 {
			break
		}
		if why == "parse error" {
			return fmt.Errorf("%s: %s is no value for it", dashed(name), value)
		}
		return fmt.Errorf("%s: %s: %s", dashed(name), value, why)
	}
	return err
}
