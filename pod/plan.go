package pod

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// Tree is a pod before it is alive: the processes to be born and the steps of
// each. Everything podlab does to make a pod is in it; running, explaining and
// printing a pod are readers of it.
type Tree struct {
	Namespace, Name, UID string
	Dir                  string // the pod's directory
	Policy               Policy
	Pod                  ns.Proc // the pod stage
	Containers           []Container
	Notes                []string // what is different here from a cluster
}

// Container is one of the pod's containers, before it is alive.
type Container struct {
	Name  string
	Proc  ns.Proc
	Exec  ns.Exec // the last step of Proc
	Stdin bool
}

// PlanOptions is what the command line adds to the manifest.
type PlanOptions struct {
	Dir     string      // the pod's directory; it exists when the tree runs
	Rootfs  string      // "" and "host": the toolbox root; else a directory
	Restart string      // overrides the manifest's restartPolicy
	UID     string      // for a pod whose manifest has none
	IDBase  int         // first host id of the user namespace that root gives a pod with hostUsers: false
	Now     time.Time   // names the versions of ConfigMap volumes
	Without ns.Kinds    // namespaces left out
	Input   *spec.Input // where ConfigMaps and Secrets are found
}

// planner is one run of Plan: the manifest, the machine, what was decided.
type planner struct {
	pod  *spec.Pod
	host Host
	opts PlanOptions
	uid  string
	node string     // the pod's host name
	ids  *ns.IDMaps // nil: the pod shares the caller's user namespace
	tree *Tree
}

// Plan turns a manifest into a Tree. It is pure: it looks at nothing but its
// arguments and changes nothing.
func Plan(p *spec.Pod, h Host, o PlanOptions) (*Tree, error) {
	pl := &planner{pod: p, host: h, opts: o, uid: p.UID}
	if pl.uid == "" {
		pl.uid = o.UID
	}
	pl.node = hostname(p, h)
	pl.tree = &Tree{Namespace: p.Namespace, Name: p.Name, UID: pl.uid, Dir: o.Dir, Policy: policy(p, o)}
	var err error
	if pl.ids, err = idMaps(p, h, o); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	if err := pl.planPod(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	for i := range p.Spec.Containers {
		c, err := pl.planContainer(&p.Spec.Containers[i])
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", p.Name, p.Spec.Containers[i].Name, err)
		}
		pl.tree.Containers = append(pl.tree.Containers, c)
	}
	return pl.tree, nil
}

// steps is a list under construction.
type steps []ns.Step

func (s *steps) add(key string, op ns.Op) { *s = append(*s, ns.Step{Key: key, Op: op}) }

// planPod plans the pod stage: the process that is born into the namespaces
// that the pod's containers share, and keeps them.
func (pl *planner) planPod() error {
	s := &pl.pod.Spec
	shared := ns.Of(ns.Mnt, ns.UTS, ns.IPC, ns.PID, ns.Net)
	if s.HostNetwork {
		shared = shared.Without(ns.Net).Without(ns.UTS) // as the kubelet: the node's network comes with its name
	}
	if s.HostIPC {
		shared = shared.Without(ns.IPC)
	}
	if s.HostPID {
		shared = shared.Without(ns.PID)
	}
	if pl.ids != nil {
		// In the same clone as the others: a namespace belongs to the user
		// namespace that it was made in, and an mqueue mount is refused (EPERM)
		// unless that is the mounter's.
		shared = shared.With(ns.User)
	}
	clone := shared
	if pl.ownRange() {
		clone = clone.Without(ns.IPC)
	}
	pl.tree.Pod = ns.Proc{Name: pl.pod.Name, Clone: clone, Attach: pl.ids}

	var host, in steps
	host.add("pod.dir", ns.Mkdir{Path: pl.opts.Dir, Mode: 0o700})
	if pl.ownRange() {
		// The pod's root is nobody to the host. It gets through this directory,
		// and only it: the one above lets no one but the host's root in.
		host.add("pod.open", ns.Chmod{Path: pl.opts.Dir, Mode: 0o711})
	}
	for _, d := range []string{"shm", "root", "volumes", "etc"} {
		host.add("pod.dir", ns.Mkdir{Path: pl.opts.Dir + "/" + d, Mode: 0o755})
	}
	host.add("pod.dir", ns.WriteFile{Path: pl.opts.Dir + "/podlab", Create: true, Mode: 0o600})
	pl.etcFiles(&host)

	in.add("stage.session", ns.Session{})
	in.add("stage.signals", ns.DefaultSignals{})
	in.add("umask.zero", ns.Umask{Mask: 0})
	in.add("mount.private", ns.Mount{Source: "none", Target: "/", Flags: unix.MS_REC | unix.MS_PRIVATE})
	in.add("pod.chdir", ns.Chdir{Path: pl.opts.Dir})
	in.add("stage.bind", ns.Mount{Source: pl.host.Exe, Target: "podlab", Flags: unix.MS_BIND})
	in.add("stage.readonly", ns.Mount{Target: "podlab", Flags: unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV})
	if dir := pl.rootfsDir(); dir != "" {
		host.add("rootfs.dir", ns.Mkdir{Path: pl.opts.Dir + "/rootfs", Mode: 0o755})
		in.add("rootfs.bind", ns.Mount{Source: dir, Target: "rootfs", Flags: unix.MS_BIND | unix.MS_REC})
	}
	var own steps // by the pod's root
	for i := range s.Volumes {
		if err := pl.planVolume(&s.Volumes[i], &host, &in, &own); err != nil {
			return err
		}
	}
	if pl.ownRange() {
		in.add("user.root", ns.SetGID{GID: 0})
		in.add("user.root", ns.SetUID{UID: 0})
		if shared.Has(ns.IPC) {
			// The root directory of its message queues belongs to whoever makes
			// an IPC namespace: that was nobody, until now.
			in.add("ipc.unshare", ns.Unshare{Kinds: ns.Of(ns.IPC)})
		}
	}
	if shared.Has(ns.UTS) {
		in.add("uts.hostname", ns.Hostname{Name: pl.node})
	}
	if shared.Has(ns.Net) {
		in.add("net.lo", ns.LinkUp{Name: "lo"})
	}
	if sc := s.SecurityContext; sc != nil {
		for _, ctl := range sc.Sysctls {
			path := "/proc/sys/" + strings.ReplaceAll(ctl.Name, ".", "/")
			in.add("sysctl.write["+ctl.Name+"]", ns.WriteFile{Path: path, Data: ctl.Value})
		}
	}
	if s.HostIPC {
		// The host's System V IPC comes with the host's /dev/shm, as containerd does it.
		in.add("shm.host", ns.Mount{Source: "/dev/shm", Target: "shm", Flags: unix.MS_BIND | unix.MS_REC})
	} else {
		in.add("shm.mount", ns.Mount{Source: "shm", Target: "shm", Type: "tmpfs", Flags: nosuid | unix.MS_NODEV | unix.MS_NOEXEC, Data: "mode=1777,size=64m" + pl.owner()})
	}
	in = append(in, own...)
	in.add("umask.set", ns.Umask{Mask: 0o22})
	if pl.stageNeedsAmbient() {
		in.add("stage.caps", ns.AmbientCaps{Caps: stageCaps})
	}
	in.add("stage.death", ns.DeathSignal{})
	in.add("stage.stdio", ns.StageStdio{})
	// GOGC: the stage is idle for most of its life, and should be small.
	in.add("stage.exec", ns.Exec{Path: "./podlab", Args: []string{"podlab-stage", "pod", pl.pod.Name}, Env: []string{"GOGC=20", "GOMAXPROCS=2"}})
	pl.tree.Pod.Host, pl.tree.Pod.Inside = host, in
	return nil
}

const nosuid = unix.MS_NOSUID

// planContainer plans one container: forked by the pod stage, it inherits what
// the pod shares, and is born into what is its own.
func (pl *planner) planContainer(c *spec.Container) (Container, error) {
	own := ns.Of(ns.Mnt, ns.PID, ns.Cgroup)
	if pl.pod.Spec.HostPID || yes(pl.pod.Spec.ShareProcessNamespace) {
		own = own.Without(ns.PID)
	}
	exec, err := pl.exec(c)
	if err != nil {
		return Container{}, err
	}
	var in steps
	in.add("umask.zero", ns.Umask{Mask: 0})
	pl.openMounts(c, &in)
	pl.planRoot(c, &in)
	pl.placeMounts(c, &in)
	pl.maskPaths(&in)
	in.add("root.detach", ns.Unmount{Target: "."})
	in.add("umask.set", ns.Umask{Mask: 0o22})
	cwd := c.WorkingDir
	if cwd == "" {
		cwd = "/"
	} else {
		in.add("cwd.mkdir", ns.MkdirAll{Path: cwd, Mode: 0o755})
	}
	in.add("cwd.chdir", ns.Chdir{Path: cwd})
	pl.credentials(c, &in)
	in.add("stdio", ns.Stdio{})
	in.add("exec", exec)
	return Container{
		Name:  c.Name,
		Proc:  ns.Proc{Name: pl.pod.Name + "/" + c.Name, Clone: own, Inside: in},
		Exec:  exec,
		Stdin: c.Stdin,
	}, nil
}

// policy is what the manifest says of life and death.
func policy(p *spec.Pod, o PlanOptions) Policy {
	pol := Policy{Restart: RestartPolicy(p.Spec.RestartPolicy), Grace: 30 * time.Second}
	if o.Restart != "" {
		pol.Restart = RestartPolicy(o.Restart)
	}
	if g := p.Spec.TerminationGracePeriodSeconds; g != nil {
		pol.Grace = seconds(*g)
	}
	if d := p.Spec.ActiveDeadlineSeconds; d != nil {
		pol.Deadline = seconds(*d)
	}
	return pol
}

// seconds is n seconds, or for ever where that doesn't fit.
func seconds(n int64) time.Duration {
	if n > int64(never/time.Second) {
		return never
	}
	return time.Duration(n) * time.Second
}

func yes(b *bool) bool { return b != nil && *b }
