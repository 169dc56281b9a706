package cli

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod"
	"github.com/podlab/podlab/pod/spec"
)

func planCommand(u *ui) *cli.Command {
	return &cli.Command{
		ArgsUsage: "FILE…|DIR|-|example:NAME",
		Description: "Shows what podlab run would do, and does nothing: the processes to be born, the namespaces each gets, and\n" +
			"its steps with their system calls as strace prints them. -o shell is the same as a script for sh(1).\n\n" +
			"  $ podlab plan example:hello\n  $ podlab plan -o json web.yaml | jq -r '.pods[].processes[].steps[].key'\n  # podlab plan -o shell example:hello | sh",
		Flags: []cli.Flag{
			fileFlag(), namespaceFlag(), rootfsFlag(), restartFlag(), outputFlag("text, json or shell", "text"),
			&cli.StringFlag{Name: "container", Aliases: []string{"c"}, Usage: "only the container `NAME`"},
			sysctlsFlag(), withoutFlag(),
		},
		Action: func(c *cli.Context) error {
			return plan(u, planFlags(c), c.String("output"), c.String("container"))
		},
	}
}

// planArgs is what plan and run have in common.
type planArgs struct {
	files                            []string
	namespace, root, rootfs, restart string
	sysctls                          bool
	withoutArg                       string
	without                          ns.Kinds // namespaces left out
}

func planFlags(c *cli.Context) planArgs {
	return planArgs{
		files: append(c.StringSlice("filename"), c.Args().Slice()...), namespace: c.String("namespace"), root: c.String("root"),
		rootfs: c.String("rootfs"), restart: c.String("restart"), sysctls: c.Bool("allow-unsafe-sysctls"), withoutArg: c.String("without"),
	}
}

func (a *planArgs) check() (err error) {
	if a.without, err = parseWithout(a.withoutArg); err != nil {
		return err
	}
	a.restart, err = restartPolicy(a.restart)
	if err != nil || a.rootfs == "" || a.rootfs == "host" {
		return err
	}
	st, err := os.Stat(a.rootfs)
	switch {
	case err != nil:
		return withHint("want host, or a directory", "--rootfs %s: %w", a.rootfs, bareErrno(err))
	case !st.IsDir():
		return withHint("want host, or a directory", "--rootfs %s: not a directory", a.rootfs)
	}
	return nil
}

// read is the manifests, judged.
func (a *planArgs) read(u *ui) (*spec.Input, error) {
	return u.manifest(a.files, a.namespace, spec.Options{RootfsGiven: a.rootfs != "", AllowUnsafeSysctls: a.sysctls})
}

// where names the manifests in an error: `run web.yaml: …`.
func (a *planArgs) where(verb string) string {
	if len(a.files) == 1 {
		return verb + " " + a.files[0]
	}
	return verb
}

func plan(u *ui, a planArgs, output, container string) error {
	if output != "text" && output != "json" && output != "shell" {
		return usage("plan", oneOf("-o", output, "text", "json", "shell"))
	}
	if output == "shell" && container != "" {
		return usage("plan", withHint("leave one of them out", "-o shell and --container: a container can't be made without its pod"))
	}
	if err := a.check(); err != nil {
		return usage("plan", err)
	}
	in, err := a.read(u)
	if err != nil {
		return context("plan", err)
	}
	var plans []plannedPod
	for _, p := range in.Pods {
		t, err := a.tree(p, in)
		if err != nil {
			return context(a.where("plan"), err)
		}
		if output == "shell" {
			u.printf("%s", t.Script())
			continue
		}
		plans = append(plans, plannedOf(t))
	}
	if container != "" {
		if err := only(plans, container); err != nil {
			return context(a.where("plan"), err)
		}
	}
	switch output {
	case "json":
		return u.json(map[string]any{"pods": plans})
	case "text":
		for i, p := range plans {
			if i > 0 {
				u.printf("\n")
			}
			p.print(u)
		}
	}
	return nil
}

// plannedPod is a pod as plan prints it.
type plannedPod struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	UID       string        `json:"uid,omitempty"`
	Directory string        `json:"directory"`
	Restart   string        `json:"restartPolicy"`
	Grace     string        `json:"grace"`
	Deadline  string        `json:"deadline,omitempty"`
	Notes     []string      `json:"notes,omitempty"`
	Processes []plannedProc `json:"processes"`
}

// plannedProc is a process to be born.
type plannedProc struct {
	Name       string        `json:"name"`
	Namespaces []string      `json:"newNamespaces"`
	UIDMap     string        `json:"uidMap,omitempty"`
	GIDMap     string        `json:"gidMap,omitempty"`
	Host       []plannedStep `json:"host,omitempty"` // by its parent, before it is born
	Steps      []plannedStep `json:"steps"`          // by itself
}

type plannedStep struct {
	Key   string   `json:"key"`
	Calls []string `json:"calls"`
	Shell string   `json:"shell,omitempty"`
}

func plannedOf(t *pod.Tree) plannedPod {
	p := plannedPod{Namespace: t.Namespace, Name: t.Name, UID: t.UID, Directory: t.Dir, Notes: t.Notes,
		Restart: string(t.Policy.Restart), Grace: seconds(t.Policy.Grace), Processes: []plannedProc{plannedProcOf(t.Pod)}}
	if t.Policy.Deadline > 0 {
		p.Deadline = seconds(t.Policy.Deadline)
	}
	for _, c := range t.Containers {
		p.Processes = append(p.Processes, plannedProcOf(c.Proc))
	}
	return p
}

func plannedProcOf(proc ns.Proc) plannedProc {
	p := plannedProc{Name: proc.Name, Namespaces: []string{}, Host: plannedSteps(proc.Host), Steps: plannedSteps(proc.Inside)}
	for _, k := range proc.Clone.List() {
		p.Namespaces = append(p.Namespaces, k.String())
	}
	if m := proc.Attach; m != nil {
		p.UIDMap, p.GIDMap = m.UIDs.Text(), m.GIDs.Text()
	}
	return p
}

func plannedSteps(steps []ns.Step) []plannedStep {
	all := make([]plannedStep, len(steps))
	for i, s := range steps {
		all[i] = plannedStep{Key: s.Key, Calls: []string{}, Shell: s.Op.Shell()}
	}
	for _, c := range ns.Compile(steps, false).Texts() {
		all[c.Step].Calls = append(all[c.Step].Calls, c.Text)
	}
	return all
}

// only keeps the container called name.
func only(plans []plannedPod, name string) error {
	var names []string
	found := false
	for i, p := range plans {
		var kept []plannedProc
		for _, proc := range p.Processes[1:] {
			_, c, _ := strings.Cut(proc.Name, "/")
			names = append(names, c)
			if c == name {
				kept, found = append(kept, proc), true
			}
		}
		plans[i].Processes = kept
	}
	if found {
		return nil
	}
	return noContainer(name, names)
}

func noContainer(name string, names []string) error {
	f := &failure{code: codeOwn, err: errors.New("--container " + quote(name) + ": there is no such container")}
	if near, ok := nearest(name, names); ok {
		f.hint = "did you mean " + near + "?"
	} else {
		f.hint = "there are " + strings.Join(names, ", ")
	}
	return f
}

func (p plannedPod) print(u *ui) {
	about := []string{"restartPolicy " + p.Restart, "grace " + p.Grace}
	if p.Deadline != "" {
		about = append(about, "deadline "+p.Deadline)
	}
	u.printf("%s: %s\n", u.paint(u.outColor, bold, "pod "+p.Namespace+"/"+p.Name), strings.Join(about, ", "))
	for _, n := range p.Notes {
		u.printf("%s\n", u.wrap(n, "  "))
	}
	for _, proc := range p.Processes {
		if len(proc.Host) > 0 {
			u.printf("\n%s on the host, before it is born\n", u.paint(u.outColor, bold, proc.Name))
			printSteps(u, proc.Host)
		}
		spaces := "no namespaces of its own"
		if len(proc.Namespaces) > 0 {
			spaces = "its own " + strings.Join(proc.Namespaces, ", ")
		}
		u.printf("\n%s with %s\n", u.paint(u.outColor, bold, proc.Name), spaces)
		if proc.UIDMap != "" {
			u.printf("  %s  %s\n", pad("user ids", wideKey), oneLine(proc.UIDMap))
			u.printf("  %s  %s\n", pad("group ids", wideKey), oneLine(proc.GIDMap))
		}
		printSteps(u, proc.Steps)
	}
}

func oneLine(m string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.TrimSpace(m), "\n", " ; ")), " ")
}

func printSteps(u *ui, steps []plannedStep) {
	for _, s := range steps {
		key := u.paint(u.outColor, cyan, pad(cleanString(s.Key), wideKey))
		for _, c := range foldCalls(s.Calls) {
			u.printf("  %s  %s\n", key, c)
			key = pad("", wideKey)
		}
		if len(s.Calls) == 0 {
			u.printf("  %s  (no system call of its own)\n", key)
		}
	}
}

// tree plans one pod for this machine. Its directory is only named here, not made.
func (a *planArgs) tree(p *spec.Pod, in *spec.Input) (*pod.Tree, error) {
	h, err := pod.Probe(p)
	if err != nil {
		return nil, err
	}
	root, err := pod.RootPath(a.root)
	if err != nil {
		return nil, err
	}
	return pod.Plan(p, h, pod.PlanOptions{
		Dir: root + "/" + p.Namespace + "_" + p.Name, Rootfs: a.rootfs, Restart: a.restart, Without: a.without,
		UID: "00000000-0000-0000-0000-000000000000", IDBase: 1 << 16, Now: time.Now(), Input: in,
	})
}
