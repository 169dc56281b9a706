package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/examples"
	"github.com/podlab/podlab/pod/spec"
)

// completeVerb is what the completion scripts call, with the words of the line up to the cursor. It isn't a command:
// it has no help and no flags, and is nobody's interface but the scripts'.
const completeVerb = "__complete"

// candidate is a word that can stand where the cursor is.
type candidate struct{ word, about string }

// complete prints the candidates for the last of words, one a line with a tab before what it means.
func complete(u *ui, words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	cur, before := words[len(words)-1], words[:len(words)-1]
	for _, c := range candidates(u, before, cur) {
		if strings.HasPrefix(c.word, cur) && !strings.ContainsAny(c.word, "\t\n") {
			u.printf("%s\t%s\n", c.word, c.about)
		}
	}
	return nil
}

func candidates(u *ui, before []string, cur string) []candidate {
	name, rest, err := splitCommand(append([]string{"podlab"}, before...))
	if err != nil || name == "" {
		if strings.HasPrefix(cur, "-") {
			return flagCandidates(verb{entry: entry{build: helpCommand}}.command(u).Flags)
		}
		return commandCandidates(entries())
	}
	v, rest, err := lookup(u, name, rest)
	if err != nil {
		return nil
	}
	if slices.Contains(before, "--") {
		return argCandidates(u, v.path, rest, cur)
	}
	ix := v.index(u)
	if flag, value, ok := strings.Cut(cur, "="); ok && strings.HasPrefix(flag, "-") {
		all := valueCandidates(u, v.path, strings.TrimLeft(flag, "-"), value)
		for i := range all {
			all[i].word = flag + "=" + all[i].word
		}
		return all
	}
	if n := len(before); n > 0 && strings.HasPrefix(before[n-1], "-") {
		if flag := strings.TrimLeft(before[n-1], "-"); ix[flag] {
			return valueCandidates(u, v.path, flag, cur)
		}
	}
	if strings.HasPrefix(cur, "-") && cur != "-" {
		return flagCandidates(v.command(u).Flags)
	}
	return argCandidates(u, v.path, rest, cur)
}

func commandCandidates(entries []entry) []candidate {
	var all []candidate
	for _, e := range entries {
		all = append(all, candidate{e.name, e.summary})
	}
	return all
}

// argCandidates is what can stand as an argument of a command.
func argCandidates(u *ui, verb string, have []string, cur string) []candidate {
	if below := subentries(verb); below != nil {
		return commandCandidates(below)
	}
	if strings.HasPrefix(verb, "ipc ") {
		return ipcArguments(u, verb, have)
	}
	switch verb {
	case "run", "plan":
		return manifestCandidates(cur)
	case "explain":
		return fieldCandidates(cur)
	case "ns":
		return podCandidates(u, have, true)
	case "logs":
		return append(podCandidates(u, have, true), podCandidates(u, have, false)...)
	case "ps":
		return wholePods(append(podCandidates(u, have, true), podCandidates(u, have, false)...))
	case "stop":
		return wholePods(podCandidates(u, have, true))
	case "rm":
		return podCandidates(u, have, false)
	case "help":
		return helpCandidates(u, have)
	case "demo":
		return lessonCandidates()
	case "completion":
		return plainCandidates("bash", "zsh", "fish")
	}
	return nil
}

// helpCandidates is the commands below the one that have leads to.
func helpCandidates(u *ui, have []string) []candidate {
	if len(have) == 0 {
		return commandCandidates(entries())
	}
	v, _, err := lookup(u, have[0], have[1:])
	if err != nil {
		return nil
	}
	return commandCandidates(subentries(v.path))
}

// valueCandidates is what can stand as the value of a flag.
func valueCandidates(u *ui, verb, flag, cur string) []candidate {
	switch {
	case flag == "color":
		return plainCandidates("auto", "always", "never")
	case strings.HasPrefix(verb, "ipc ") && flag != "root":
		return ipcValues(verb, flag)
	case flag == "without":
		return plainCandidates("ipc", "net", "uts", "pid", "mount", "cgroup", "user")
	case flag == "restart":
		return plainCandidates("never", "onfailure", "always")
	case flag == "rootfs":
		return append([]candidate{{"host", "this machine's own files"}}, pathCandidates(cur, func(string) bool { return false })...)
	case flag == "root":
		return pathCandidates(cur, func(string) bool { return false })
	case flag == "f" || flag == "filename":
		return manifestCandidates(cur)
	case flag != "o" && flag != "output":
	case verb == "ps":
		return plainCandidates("table", "wide", "json", "name")
	case verb == "run" || verb == "logs":
		return []candidate{{"prefix", "each line with its container's name"}, {"raw", "one container's output as it is"}}
	case verb == "plan":
		return plainCandidates("text", "json", "shell")
	default:
		return plainCandidates("text", "json")
	}
	return nil
}

// wholePods leaves out containers.
func wholePods(all []candidate) []candidate {
	return slices.DeleteFunc(all, func(c candidate) bool { return strings.Contains(c.word, "/") })
}

func plainCandidates(words ...string) []candidate {
	var all []candidate
	for _, w := range words {
		all = append(all, candidate{word: w})
	}
	return all
}

func flagCandidates(flags []cli.Flag) []candidate {
	var all []candidate
	for _, f := range flags {
		_, about := flagHelp(f)
		for _, n := range f.Names() {
			if len(n) > 1 {
				all = append(all, candidate{"--" + n, about})
			}
		}
	}
	return all
}

// manifestCandidates is the built-in examples, and the manifests and directories that continue cur.
func manifestCandidates(cur string) []candidate {
	var all []candidate
	for _, n := range examples.Names() {
		all = append(all, candidate{examplePrefix + n, examples.About(n)})
	}
	return append(all, pathCandidates(cur, isManifest)...)
}

// pathCandidates is the files that continue cur, if want says so of their name, and the directories.
func pathCandidates(cur string, want func(name string) bool) []candidate {
	dir, base := filepath.Split(cur)
	read := dir
	if read == "" {
		read = "."
	}
	files, err := os.ReadDir(read)
	if err != nil {
		return nil // nothing to complete is no error
	}
	var all []candidate
	for _, f := range files {
		name := f.Name()
		if strings.HasPrefix(name, ".") && !strings.HasPrefix(base, ".") {
			continue
		}
		st, err := os.Stat(dir + name)
		switch {
		case err != nil:
		case st.IsDir():
			all = append(all, candidate{word: dir + name + "/"})
		case want(name):
			all = append(all, candidate{word: dir + name})
		}
	}
	return all
}

// fieldCandidates is the manifest's fields, one level at a time: there are some thousand.
func fieldCandidates(cur string) []candidate {
	seen := map[string]bool{}
	var all []candidate
	for _, f := range spec.Fields() {
		if !strings.HasPrefix(f.Path, cur) {
			continue
		}
		word, about := f.Path, f.Doc
		if dot := strings.IndexByte(f.Path[len(cur):], '.'); dot >= 0 {
			word, about = f.Path[:len(cur)+dot+1], ""
		}
		if !seen[word] {
			seen[word] = true
			all = append(all, candidate{word, about})
		}
	}
	return all
}
