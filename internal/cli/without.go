package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/podlab/podlab/ns"
)

func withoutFlag() cli.Flag {
	return &cli.StringFlag{Name: "without", EnvVars: []string{"PODLAB_WITHOUT"},
		Usage: "leave out the isolation of `KIND`s, with commas between them: ipc, net, uts, pid, mount, cgroup, user. An experiment: what was blocked is shared then"}
}

// parseWithout reads the kinds that --without names. The mount namespace has its name in /proc/PID/ns, mnt, too.
func parseWithout(list string) (kinds ns.Kinds, err error) {
	if list == "" {
		return 0, nil
	}
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		if name == "mount" {
			name = ns.Mnt.String()
		}
		k, ok := ns.ParseKind(name)
		if !ok || k == ns.Time {
			return 0, oneOf("--without", name, "ipc", "net", "uts", "pid", "mount", "cgroup", "user")
		}
		kinds = kinds.With(k)
	}
	return kinds, nil
}

// warnWithout says, in red, that a pod is not what it seems.
func (u *ui) warnWithout(pod string, kinds ns.Kinds) {
	if kinds == 0 || u.quiet {
		return
	}
	u.message(u.paint(u.errColor, red, "without "+kinds.String()+": "), fmt.Sprintf("%s is an experiment, not a pod: it shares %s with this machine", pod, sharedWords(kinds)))
}

// sharedWords says what kinds of namespace keep apart, for people.
func sharedWords(kinds ns.Kinds) string {
	words := map[ns.Kind]string{
		ns.User: "user ids and capabilities", ns.Mnt: "files and /dev/shm", ns.UTS: "its host name", ns.IPC: "System V IPC and message queues",
		ns.PID: "process ids", ns.Net: "the network", ns.Cgroup: "the view of control groups",
	}
	var all []string
	for _, k := range kinds.List() {
		all = append(all, words[k])
	}
	if n := len(all); n > 1 {
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
	return all[0]
}
