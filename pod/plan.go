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
	Stdin bool    // it reads the caller's standard input
	TTY   bool    // it has a terminal

	become, session steps // of Proc: how its process becomes who it is to be, for those that join it
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
	pl.node = pl.hostname()
	pl.tree = &Tree{Namespace: p.Namespace, Name: p.Name, UID: pl.uid, Dir: o.Dir, Policy: policy(p, o)}
	var err error
	if pl.ids, err = idMaps(p, h, o); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	if pl.single() && h.Groups {
		// user_namespaces(7): setgroups is denied to who maps ids without privilege.
		pl.tree.Notes = append(pl.tree.Notes, "your supplementary groups stay with the containers: without a range of ids in /etc/subuid the kernel lets nobody drop them")
	}
	if err := pl.planWithout(); err != nil {
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
// that the pod's containers share, and keeps them. Before it gets to its program
// it sets up what they share, all of it in one small tmpfs in the pod's mount
// namespace and gone with it, and forks the first containers. In order:
//
//	on the host       the pod's directory; what volumes keep on disk
//	(born)            into the namespaces that the containers will share
//	as the caller     its own session, signals, mounts; the pod's tmpfs; what of the
//	                  host the pod will see is taken in hand (OpenTree)
//	as the pod's root from here on, where the pod has ids of its own; places for what
//	                  was taken in hand; files; host name, loopback, settings, shm
//	at the end        the containers are forked, the stage's program takes over
func (pl *planner) planPod() error {
	s := &pl.pod.Spec
	var host, asCaller, asRoot steps
	host.add("pod.dir", ns.Mkdir{Path: pl.opts.Dir, Mode: 0o700})
	host.add("pod.dir", ns.Mkdir{Path: pl.opts.Dir + "/pod", Mode: 0o700})
	pl.beginStage(&asCaller)
	asCaller.add("podlab.open", ns.OpenTree{Path: pl.host.Exe, Name: "podlab", Attr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV})
	for _, d := range []string{"etc", "shm", "root", "volumes"} {
		asRoot.add("pod.subdir", ns.Mkdir{Path: d, Mode: 0o755})
	}
	asRoot.add("podlab.file", ns.Touch{Path: "podlab"})
	asRoot.add("podlab.place", ns.MoveTree{Name: "podlab", Target: "podlab"})
	if dir := pl.rootfsDir(); dir != "" {
		asCaller.add("rootfs.open", ns.OpenTree{Path: dir, Name: "rootfs"})
		asRoot.add("rootfs.dir", ns.Mkdir{Path: "rootfs", Mode: 0o755})
		asRoot.add("rootfs.place", ns.MoveTree{Name: "rootfs", Target: "rootfs"})
	}
	pl.etcFiles(&asRoot)
	for i := range s.Volumes {
		if err := pl.planVolume(&s.Volumes[i], &host, &asCaller, &asRoot); err != nil {
			return err
		}
	}
	in := asCaller
	in.add("pod.chdir", ns.Chdir{Path: pl.opts.Dir + "/pod"})
	if pl.ownRange() {
		in.add("user.root", ns.SetGID{GID: 0})
		in.add("user.root", ns.SetUID{UID: 0})
		if !pl.shares(ns.IPC) {
			// The root directory of its message queues belongs to whoever makes
			// an IPC namespace: that was nobody, until now.
			in.add("ipc.unshare", ns.Unshare{Kinds: ns.Of(ns.IPC)})
		}
	}
	in = append(in, asRoot...)
	pl.namespaces(&in)
	pl.endStage(&in)
	pl.tree.Pod = ns.Proc{Name: pl.pod.Name, Clone: pl.podKinds(), Attach: pl.ids, Host: host, Inside: in}
	return nil
}

// podKinds are the namespaces that the pod stage is born into.
func (pl *planner) podKinds() ns.Kinds {
	clone := ns.Of(ns.Mnt) // always: the machine's own mounts are never touched
	for _, k := range []ns.Kind{ns.UTS, ns.IPC, ns.PID, ns.Net} {
		if !pl.shares(k) {
			clone = clone.With(k)
		}
	}
	if pl.ownRange() {
		clone = clone.Without(ns.IPC) // with ids of its own, the pod's root makes it: ipc.unshare
	}
	if pl.ids != nil {
		// In the same clone as the others: a namespace belongs to the user
		// namespace that it was made in, and an mqueue mount is refused (EPERM)
		// unless that is the mounter's.
		clone = clone.With(ns.User)
	}
	return clone
}

// beginStage takes the stage away from its caller: its terminal, its signals,
// its mounts.
func (pl *planner) beginStage(in *steps) {
	in.add("stage.session", ns.Session{})
	in.add("stage.signals", ns.DefaultSignals{})
	if pl.shares(ns.PID) {
		// Such a stage has work to do when the supervisor dies, which the end of
		// file on its socket tells it.
		in.add("stage.subreaper", ns.Subreaper{})
		in.add("stage.nodeath", ns.DeathSignal{None: true})
	}
	in.add("mount.private", ns.Mount{Source: "none", Target: "/", Flags: unix.MS_REC | unix.MS_PRIVATE})
	in.add("umask.zero", ns.Umask{Mask: 0})
	in.add("pod.mount", ns.Mount{Source: "pod", Target: pl.opts.Dir + "/pod", Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=755" + pl.owner()})
}

// endStage forks the containers, and makes the stage what it will be for the
// rest of its life.
func (pl *planner) endStage(in *steps) {
	in.add("umask.set", ns.Umask{Mask: 0o22})
	if !pl.shares(ns.PID) {
		in.add("stage.death", ns.DeathSignal{}) // again: a change of ids clears it
	}
	for i := range pl.pod.Spec.Containers {
		if !pl.ownKinds().Has(ns.PID) {
			// Until its execve a container is a copy of the supervisor, memory and
			// all. Where others can see it, the stage's program forks it, which
			// has nothing in it to be found.
			break
		}
		c := &pl.pod.Spec.Containers[i]
		in.add("container.fork["+c.Name+"]", ns.Spawn{ID: uint32(i), Clone: pl.ownKinds()})
	}
	if pl.needsAmbient() {
		in.add("stage.caps", ns.AmbientCaps{Caps: stageCaps})
	}
	in.add("stage.stdio", ns.StageStdio{})
	// GOGC: the stage is idle for most of its life, and should be small.
	in.add("stage.exec", ns.Exec{Path: "./podlab", Args: []string{"podlab-stage", "pod", pl.pod.Name}, Env: []string{"GOGC=20", "GOMAXPROCS=1"}})
}

// ownKinds are the namespaces that each container gets of its own.
func (pl *planner) ownKinds() ns.Kinds {
	own := ns.Of(ns.Mnt, ns.PID, ns.Cgroup) &^ pl.opts.Without
	if pl.shares(ns.PID) || yes(pl.pod.Spec.ShareProcessNamespace) {
		own = own.Without(ns.PID)
	}
	return own
}

// namespaces gives the new namespaces what they lack: a name, a network device
// that is up, settings, and the file system behind POSIX shared memory.
func (pl *planner) namespaces(in *steps) {
	s := &pl.pod.Spec
	if !pl.shares(ns.UTS) {
		in.add("uts.hostname", ns.Hostname{Name: pl.node})
	}
	if !pl.shares(ns.Net) {
		in.add("net.lo", ns.LinkUp{Name: "lo"})
	}
	if sc := s.SecurityContext; sc != nil {
		for _, ctl := range sc.Sysctls {
			in.add("sysctl.write["+ctl.Name+"]", ns.WriteFile{Path: "/proc/sys/" + sysctlPath(ctl.Name), Data: ctl.Value})
		}
	}
	if s.HostIPC {
		// The host's System V IPC comes with the host's /dev/shm, as containerd does it.
		in.add("shm.host", ns.Mount{Source: "/dev/shm", Target: "shm", Flags: unix.MS_BIND | unix.MS_REC})
		return
	}
	in.add("shm.mount", ns.Mount{Source: "shm", Target: "shm", Type: "tmpfs", Flags: inert, Data: "mode=1777,size=64m" + pl.owner()})
}

// sysctlPath is where a setting lies below /proc/sys. Whichever of . and / comes
// first in the name separates its parts, sysctl.d(5); the other then belongs to
// a part and stands for the separator.
func sysctlPath(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return name
	}
	return strings.NewReplacer(".", "/", "/", ".").Replace(name)
}

// planContainer plans one container: forked by the pod stage, it inherits what
// the pod shares, and is born into what is its own.
func (pl *planner) planContainer(c *spec.Container) (Container, error) {
	own := pl.ownKinds()
	exec, err := pl.exec(c)
	if err != nil {
		return Container{}, err
	}
	var in steps
	if !own.Has(ns.PID) {
		in.add("pid.wait", ns.AwaitParent{})
	}
	cwd := c.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	if own.Has(ns.Mnt) {
		pl.planFiles(c, cwd, &in)
	}
	join := len(in)
	if own.Has(ns.Mnt) {
		in.add("cwd.chdir", ns.ChdirIn{Path: cwd})
	} else {
		in.add("cwd.chdir", ns.Chdir{Path: cwd})
	}
	in.add("umask.set", ns.Umask{Mask: 0o22})
	pl.credentials(c, &in)
	become := in[join:len(in):len(in)]
	pl.session(&in)
	session := in[join+len(become) : len(in) : len(in)]
	if c.TTY {
		in.add("stdio.terminal", ns.Terminal{})
	} else {
		in.add("stdio", ns.Stdio{})
	}
	in.add("exec", exec)
	return Container{
		Name:  c.Name,
		Proc:  ns.Proc{Name: pl.pod.Name + "/" + c.Name, Clone: own, Inside: in},
		Exec:  exec,
		Stdin: c.Stdin,
		TTY:   c.TTY,

		become:  become,
		session: session,
	}, nil
}

// planFiles gives a container what it sees of files, in a mount namespace of its
// own.
func (pl *planner) planFiles(c *spec.Container, cwd string, in *steps) {
	in.add("umask.zero", ns.Umask{Mask: 0})
	pl.openMounts(c, in)
	pl.planRoot(c, in)
	// The old root hangs over this one: a ".." at the root leads up into it, for
	// openat2(2) too. Nothing below may meet it.
	in.add("root.detach", ns.Unmount{Target: "."})
	// Before any volume is in place: a file of one must not stand in for the
	// /dev/null that hides something (CVE-2025-31133).
	pl.maskPaths(in)
	pl.placeMounts(c, in)
	if cwd != "/" {
		in.add("cwd.mkdir", ns.MkdirIn{Dir: ".", Path: cwd, Mode: 0o755})
	}
}

// policy is what the manifest says of life and death.
func policy(p *spec.Pod, o PlanOptions) Policy {
	pol := Policy{Restart: RestartPolicy(p.Spec.RestartPolicy), Grace: 30 * time.Second}
	if o.Restart != "" {
		pol.Restart = RestartPolicy(o.Restart)
	}
	if g := p.Spec.TerminationGracePeriodSeconds; g != nil {
		pol.Grace = max(seconds(*g), time.Second) // 0 is for a pod that is deleted by force; the kubelet's floor is 1 s
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
