package cli

import (
	"fmt"
	"strings"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
)

// script prints a pod as a script for sh(1): every step of the tree in its place, in the shell's words. A step that
// the shell has no word for is a comment that names the call. It makes what podlab makes, with other means: a test
// holds the two against each other.
func script(u *ui, t *pod.Tree, container string) error {
	containers := t.Containers
	if container != "" {
		containers = nil
		var names []string
		for _, c := range t.Containers {
			names = append(names, c.Name)
			if c.Name == container {
				containers = append(containers, c)
			}
		}
		if containers == nil {
			return noContainer(container, names)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# Pod %s/%s as podlab makes it, in the shell's words. Made by: podlab plan -o shell\n", t.Namespace, t.Name)
	fmt.Fprintf(&b, "# Run it as the user who made it, on the machine it was made for. It ends when the containers have ended.\nset -eu\n\n")
	dir := shellQuote(t.Dir)
	fmt.Fprintf(&b, "mkdir -p -m 700 %s\n", shellQuote(t.Dir[:strings.LastIndexByte(t.Dir, '/')]))
	fmt.Fprintf(&b, "mkdir -m 700 %s # not if it is there: then the pod runs already\ntrap 'rm -rf --one-file-system %s' EXIT\n\n", dir, strings.ReplaceAll(dir, "'", `'\''`))
	scriptSteps(&b, t.Pod.Host)
	for _, c := range containers {
		fmt.Fprintf(&b, "mkdir -p %s\n", shellQuote(t.Dir+"/.sh-"+c.Name))
	}
	b.WriteString("\n# the pod: what its containers share\n")
	b.WriteString(unshare(t.Pod) + " sh -eu /dev/fd/8 8<<'END OF POD'\nexec 8<&-\n")
	inside := t.Pod.Inside
	if n := len(inside); n > 0 {
		inside = inside[:n-1] // the last is the execve of the pod stage, whose part this script plays
	}
	scriptSteps(&b, inside)
	b.WriteString("# execve(2): here podlab starts the pod stage. This script goes on in its place and starts the containers.\n")
	for i, c := range containers {
		scriptContainer(&b, c)
		fmt.Fprintf(&b, "pid%d=$!\n", i)
	}
	b.WriteString("\ncode=0\n")
	for i := range containers {
		fmt.Fprintf(&b, "wait $pid%d || { c=$?; [ $code != 0 ] || code=$c; }\n", i)
	}
	b.WriteString("exit $code\nEND OF POD\n")
	u.printf("%s", b.String())
	return nil
}

// scriptContainer is one container: born by unshare(1), in the background, from a script of its own.
func scriptContainer(b *strings.Builder, c pod.Container) {
	end := "END OF " + c.Name
	fmt.Fprintf(b, "\n# container %s\n%s sh -eu /dev/fd/8 8<<'%s' &\nexec 8<&-\n", c.Name, unshare(c.Proc), end)
	// Where mounts wait for their place: a mount of its own, which only this mount namespace has, kept as descriptor 9.
	fmt.Fprintf(b, "T=$PWD/.sh-%s\nmount -t tmpfs none \"$T\"\nexec 9< \"$T\"\n%s", c.Name, ns.ShellPreamble)
	steps := c.Proc.Inside
	if n := len(steps) - 1; n >= 0 {
		scriptSteps(b, steps[:n])
		b.WriteString("exec 9<&-\n")
		scriptSteps(b, steps[n:])
	}
	b.WriteString(end + "\n")
}

// scriptSteps are the steps as lines, each key once where it comes several times in a row.
func scriptSteps(b *strings.Builder, steps []ns.Step) {
	for _, s := range steps {
		text := s.Op.Shell()
		if strings.HasPrefix(text, "#") {
			fmt.Fprintf(b, "%s   [%s]\n", text, s.Key)
			continue
		}
		fmt.Fprintf(b, "%s\n", text)
	}
}

// unshareFlags has the flag of unshare(1) for each kind.
var unshareFlags = map[ns.Kind]string{
	ns.User: "--user", ns.Mnt: "--mount", ns.UTS: "--uts", ns.IPC: "--ipc", ns.PID: "--pid", ns.Net: "--net", ns.Cgroup: "--cgroup", ns.Time: "--time",
}

// unshare is the command that gives a process its namespaces. --fork, for a PID namespace is the children's; its
// parent waits, as the supervisor does.
func unshare(p ns.Proc) string {
	words := []string{"unshare", "--fork", "--kill-child"}
	for _, k := range p.Clone.List() {
		words = append(words, unshareFlags[k])
	}
	if p.Clone.Has(ns.Mnt) {
		words = append(words, "--propagation", "unchanged") // the steps say it themselves
	}
	return strings.Join(words, " ")
}

// shellQuote is s as one word of sh(1).
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
