package pod

import (
	"fmt"
	"strings"

	"github.com/podlab/podlab/ns"
)

// Script is the tree as a program for sh(1): the same steps in the words that
// people type. What sh has no word for is a comment that names the call. It
// needs util-linux (unshare, nsenter, mount, pivot_root, setpriv). Its directory
// is $D, or a temporary one, which it removes.
func (t *Tree) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# Pod %s/%s as podlab makes it, for reading and for sh.\n", t.Namespace, t.Name)
	b.WriteString(scriptHead)
	lines(&b, t.Pod.Host)
	b.WriteString("mkdir -p \"$D/trees\"; chmod 1777 \"$D/trees\" # where this script keeps mounts that have no place yet\n")
	if t.Pod.Attach != nil {
		b.WriteString("chmod 755 \"$D\" \"$D/pod\" # root of the pod is somebody else here, and this shell goes by names\n")
		b.WriteString("[ ! -d \"$D/volumes\" ] || chmod 755 \"$D/volumes\"\n")
	}
	for _, c := range t.Containers {
		hereDoc(&b, c.Name+".sh", t.containerScript(&c))
	}
	hereDoc(&b, "pod.sh", t.podScript())
	b.WriteString("\n# --- the namespaces of the pod\n")
	enter := ""
	if ids := t.Pod.Attach; ids != nil {
		userScript(&b, ids)
		enter = `nsenter -t "$H" --user --setuid 0 --setgid 0 `
		if len(ids.UIDs) == 1 && ids.UIDs[0].Count == 1 {
			enter = `nsenter -t "$H" --user --preserve-credentials `
		}
	}
	fmt.Fprintf(&b, "R=0\n%sunshare %s --fork --kill-child sh -eu \"$D/pod.sh\" || R=$?\nexit $R\n", enter, unshareWords(t.shared().Without(ns.User)))
	return strings.ReplaceAll(b.String(), t.Dir, `"$D"`)
}

// scriptHead makes the directory, and sees to the end.
const scriptHead = `set -eu
umask 022
H= M=
end() { [ -z "$H" ] || kill "$H"; [ -z "$M" ] || rm -rf "$D"; }
trap end EXIT
if [ -n "${D-}" ]; then mkdir -p "$D"; else D=$(mktemp -d); M=$D; fi
export D

# --- on the host
`

// hereDoc writes a file of the script. What ends it is nowhere in the text, so
// nothing in a manifest can end it sooner.
func hereDoc(b *strings.Builder, name, text string) {
	end := "END"
	for strings.Contains(text, end) {
		end += "_"
	}
	fmt.Fprintf(b, "cat > \"$D/%s\" <<'%s'\n%s%s\n", name, end, text, end)
}

// userScript makes the user namespace first, by a process that holds it, and
// maps its ids.
func userScript(b *strings.Builder, ids *ns.IDMaps) {
	b.WriteString("unshare --user sleep 1000 & H=$!\n")
	b.WriteString("until [ \"$(readlink /proc/$H/ns/user)\" != \"$(readlink /proc/$$/ns/user)\" ]; do :; done\n")
	if ids.Helpers {
		fmt.Fprintf(b, "newuidmap %s\nnewgidmap %s\n", helperWords(ids.UIDs), helperWords(ids.GIDs))
		return
	}
	b.WriteString("[ \"$(id -u)\" = 0 ] || echo deny > /proc/$H/setgroups\n")
	fmt.Fprintf(b, "echo %s > /proc/$H/uid_map\necho %s > /proc/$H/gid_map\n", ns.Quote(strings.TrimSpace(ids.UIDs.Text())), ns.Quote(strings.TrimSpace(ids.GIDs.Text())))
}

func helperWords(m ns.IDMap) string {
	return strings.Join(append([]string{`"$H"`}, m.Args(0)[1:]...), " ")
}

// podScript is what happens in the namespaces of the pod, and then its
// containers side by side. This shell is the pod stage.
func (t *Tree) podScript() string {
	b := &strings.Builder{}
	b.WriteString("P=setpriv\n")
	b.WriteString(ns.ShellPreamble)
	for _, s := range t.Pod.Inside {
		if s.Key == "stage.stdio" {
			break // this shell is the pod stage
		}
		lines(b, []ns.Step{s})
		if s.Key == "mount.private" {
			keepTrees(b, "pod")
		}
	}
	b.WriteString("\n# --- the containers\nW=\n")
	for _, c := range t.Containers {
		how := "sh -eu"
		if c.Proc.Clone != 0 {
			how = "unshare " + unshareWords(c.Proc.Clone)
			if c.Proc.Clone.Has(ns.PID) {
				how += " --fork --kill-child"
			}
			how += " sh -eu"
		}
		fmt.Fprintf(b, "%s \"$D/%s.sh\" & W=\"$W $!\"\n", how, c.Name)
	}
	b.WriteString("R=0\nfor w in $W; do wait \"$w\" || R=$?; done\nexit $R\n")
	return b.String()
}

// keepTrees gives a script a place for mounts that have none yet.
func keepTrees(b *strings.Builder, name string) {
	fmt.Fprintf(b, "T=\"$D/trees/%s\"; mkdir -p \"$T\"; mount -t tmpfs tmpfs \"$T\"; exec 9<\"$T\"\n", name)
}

// containerScript is one container, in namespaces of its own.
func (t *Tree) containerScript(c *Container) string {
	b := &strings.Builder{}
	b.WriteString(ns.ShellPreamble)
	b.WriteString("P=setpriv\n")
	keepTrees(b, c.Name)
	detach := []ns.Step(nil)
	for _, step := range c.Proc.Inside {
		switch step.Key {
		case "root.detach": // not yet: what waits for its place lies in the old root here
			detach = []ns.Step{step}
			continue
		case "cwd.mkdir", "cwd.chdir":
			lines(b, detach)
			detach = nil
		}
		lines(b, []ns.Step{step})
	}
	return b.String()
}

func lines(b *strings.Builder, steps []ns.Step) {
	for _, s := range steps {
		text := s.Op.Shell()
		if !strings.HasPrefix(text, "#") && !strings.Contains(text, "\n") {
			fmt.Fprintf(b, "%-60s # %s\n", text, s.Key)
			continue
		}
		if text, ok := strings.CutPrefix(text, "# "); ok {
			fmt.Fprintf(b, "# %s: %s\n", s.Key, text)
			continue
		}
		fmt.Fprintf(b, "%s\n", text) // several lines: a here-document's text can't bear a comment
	}
}

func unshareWords(k ns.Kinds) string {
	words := []string{}
	for _, kind := range k.List() {
		name := kind.String()
		if kind == ns.Mnt {
			name = "mount"
		}
		words = append(words, "--"+name)
	}
	if k.Has(ns.Mnt) {
		words = append(words, "--propagation unchanged")
	}
	return strings.Join(words, " ")
}

// shared are the namespaces of the pod, whether from clone or from unshare.
func (t *Tree) shared() ns.Kinds {
	kinds := t.Pod.Clone
	for _, s := range t.Pod.Inside {
		if u, ok := s.Op.(ns.Unshare); ok {
			kinds |= u.Kinds
		}
	}
	return kinds
}
