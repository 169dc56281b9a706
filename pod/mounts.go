package pod

import (
	"fmt"
	"path"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// openMounts takes copies of everything that the container will see of the pod
// and of the machine, while they can still be named.
func (pl *planner) openMounts(c *spec.Container, in *steps) {
	if pl.rootfsDir() == "" {
		pl.openToolbox(in)
	}
	pl.openHost(in)
	in.add("shm.open", ns.OpenTree{Path: "shm", Name: "shm"})
	for _, f := range podEtc {
		if !mountsOver(c, "/etc/"+f) {
			in.add("etc.open["+f+"]", ns.OpenTree{Path: "etc/" + f, Name: "pod/" + f})
		}
	}
	for i, m := range c.VolumeMounts {
		attr := uint64(0)
		if m.ReadOnly || pl.alwaysReadOnly(m.Name) {
			attr = unix.MOUNT_ATTR_RDONLY
		}
		name, key := fmt.Sprintf("mount/%d", i), "["+m.Name+"]"
		if m.SubPath == "" {
			in.add("volume.open"+key, ns.OpenTree{Path: "volumes/" + m.Name, Name: name, Attr: attr})
			continue
		}
		if pl.writable(m.Name) {
			// The kubelet makes a subPath that isn't there.
			in.add("volume.subdir"+key, ns.MkdirIn{Dir: "volumes/" + m.Name, Path: path.Clean(m.SubPath), Mode: pl.subMode(m.Name)})
		}
		in.add("volume.subpath"+key, ns.OpenTree{Path: "volumes/" + m.Name, Name: fmt.Sprintf("whole/%d", i)})
		in.add("volume.subpath"+key, ns.Subtree{Tree: fmt.Sprintf("whole/%d", i), Path: path.Clean(m.SubPath), Name: name, Attr: attr})
	}
}

// subMode is the mode of a subPath that has to be made: the volume's own, so that
// whoever may write to the one may write to the other.
func (pl *planner) subMode(volume string) uint32 {
	if v := pl.volume(volume); v.HostPath != nil {
		return 0o755
	}
	if _, ok := pl.fsGroup(); ok {
		return 0o2777
	}
	return 0o777
}

// alwaysReadOnly: the kubelet mounts these read-only whatever the manifest says.
func (pl *planner) alwaysReadOnly(volume string) bool {
	v := pl.volume(volume)
	return v.ConfigMap != nil || v.Secret != nil
}

func (pl *planner) writable(volume string) bool { return !pl.alwaysReadOnly(volume) }

func (pl *planner) volume(name string) *spec.Volume {
	for i := range pl.pod.Spec.Volumes {
		if pl.pod.Spec.Volumes[i].Name == name {
			return &pl.pod.Spec.Volumes[i]
		}
	}
	return &spec.Volume{} // validation has found all names
}

// placeMounts puts them where the manifest says, the outer before the inner, and
// the pod's files of /etc among them.
func (pl *planner) placeMounts(c *spec.Container, in *steps) {
	type place struct {
		name, target, tree string
		file               bool
	}
	var places []place
	for _, f := range podEtc {
		if !mountsOver(c, "/etc/"+f) {
			places = append(places, place{f, "/etc/" + f, "pod/" + f, true})
		}
	}
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		places = append(places, place{m.Name, path.Clean("/" + m.MountPath), fmt.Sprintf("mount/%d", i), pl.mountsFile(m)})
	}
	sort.SliceStable(places, func(a, b int) bool { return places[a].target < places[b].target })
	for _, p := range places {
		dir := p.target
		if p.file {
			dir = path.Dir(p.target)
		}
		if dir != "/" {
			in.add("target.dir["+p.name+"]", ns.MkdirIn{Dir: ".", Path: dir, Mode: 0o755})
		}
		if p.file {
			in.add("target.file["+p.name+"]", ns.TouchIn{Path: p.target})
		}
		in.add("target.mount["+p.name+"]", ns.MoveTree{Name: p.tree, Target: p.target})
	}
}

// mountsFile: what is mounted is a file, so a file must be there to mount it on.
func (pl *planner) mountsFile(m *spec.VolumeMount) bool {
	v := pl.volume(m.Name)
	switch {
	case v.HostPath != nil && m.SubPath == "":
		have := spec.HostPathType(pl.host.Paths[v.HostPath.Path])
		if have == "" {
			return v.HostPath.Type != nil && *v.HostPath.Type == spec.HostPathFileOrCreate
		}
		return have != spec.HostPathDirectory
	case v.HostPath != nil:
		have, ok := pl.host.Paths[path.Join(v.HostPath.Path, m.SubPath)]
		return ok && have != "" && have != string(spec.HostPathDirectory)
	case m.SubPath == "":
		return false
	}
	return pl.projectsFile(v, path.Clean(m.SubPath))
}

// projectsFile: sub is a key of a ConfigMap or Secret, and no directory of keys.
func (pl *planner) projectsFile(v *spec.Volume, sub string) bool {
	var files []projected
	switch {
	case v.ConfigMap != nil:
		files, _ = pl.configMapFiles(v.ConfigMap) // planVolume has reported the error
	case v.Secret != nil:
		files, _ = pl.secretFiles(v.Secret)
	}
	for _, f := range files {
		if f.path == sub {
			return true
		}
	}
	return false
}

// mountsOver: the container mounts a volume on file itself.
func mountsOver(c *spec.Container, file string) bool {
	for _, m := range c.VolumeMounts {
		if path.Clean("/"+m.MountPath) == file {
			return true
		}
	}
	return false
}
