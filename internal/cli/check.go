package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/cgroup"
	"github.com/podlab/podlab/ns"
)

func checkCommand(u *ui) *cli.Command {
	return &cli.Command{
		Description: "Tries what pods need of this kernel, in namespaces of its own that are gone afterwards. Each line is a\n" +
			"verdict: yes, no or unknown; where it isn't yes, why, and what would change it.\n\n" +
			"  $ podlab check\n  $ podlab check -o json | jq '.findings[] | select(.is == \"no\")'",
		Flags: []cli.Flag{outputFlag("text or json", "text")},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("check", tooMany(c.Args().Slice()))
			}
			return check(u, c.String("output"))
		},
	}
}

func check(u *ui, output string) error {
	if output != "text" && output != "json" {
		return usage("check", oneOf("-o", output, "text", "json"))
	}
	f, err := ns.Probe()
	if err != nil {
		return context("check", err)
	}
	cg, err := cgroup.Detect()
	f.Findings = append(f.Findings, cgroupFindings(cg, err)...)
	if output == "json" {
		return u.json(f)
	}
	who := "without CAP_SYS_ADMIN: every pod gets a user namespace"
	if f.Direct {
		who = "with CAP_SYS_ADMIN: a pod gets a user namespace only with hostUsers: false"
	}
	u.printf("Linux %s, %s, uid %d, %s\n\n", f.Kernel, f.Machine, f.UID, who)
	checkTable(u, f.Findings)
	return nil
}

// limits are the controllers that a pod's resources need, and what each is for.
var limits = [...]struct{ controller, what string }{
	{"cpu", "limit CPU time (resources cpu)"},
	{"memory", "limit memory (resources memory)"},
	{"pids", "limit the number of processes"},
	{"cpuset", "pin to processors"},
}

// cgroupFindings says what cgroups are here, and which limits a pod could be given.
func cgroupFindings(h cgroup.Host, err error) []ns.Finding {
	const what = "control groups"
	switch {
	case err != nil:
		return []ns.Finding{{Key: "cgroup", What: what, Is: ns.Unknown, Why: err.Error()}}
	case h.Mode == cgroup.None:
		return []ns.Finding{{Key: "cgroup", What: what, Is: ns.No, Why: "no cgroup file system is mounted", Do: "as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup"}}
	}
	all := []ns.Finding{{Key: "cgroup", What: what + ", " + h.Mode.String(), Is: ns.Yes}}
	for _, l := range limits {
		f := ns.Finding{Key: "cgroup." + l.controller, What: l.what, Is: ns.No}
		t, ok := h.Hierarchy(l.controller)
		switch {
		case !ok:
			f.Why = "no tree has the " + l.controller + " controller for our group"
		case t.Create:
			f.Is = ns.Yes
		default:
			f.Why, f.Do = t.Why, t.Do
		}
		all = append(all, f)
	}
	return all
}

// checkTable prints a line per finding, and under one that isn't yes, why and what to do.
func checkTable(u *ui, all []ns.Finding) {
	wide := 0
	for _, f := range all {
		wide = max(wide, len(f.What))
	}
	for _, f := range all {
		c := yellow
		switch f.Is {
		case ns.Yes:
			c = green
		case ns.No:
			c = red
		}
		mark := f.Is.String()
		pad := "       "[:max(0, 7-len(mark))]
		u.printf("%s%s  %s\n", u.paint(u.outColor, c, mark), pad, cleanString(f.What))
		if f.Why != "" {
			u.printf("%s\n", u.wrap(f.Why, "         "))
		}
		if f.Do != "" {
			u.printf("         %s\n", u.paint(u.outColor, cyan, "do: ")+cleanString(f.Do))
		}
	}
}
