package pod

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podlab/podlab/ns"
	"github.com/podlab/podlab/pod/spec"
)

// planVolume makes the volume at volumes/NAME of the pod's tmpfs, where the
// containers take it from: on the host, what lies on disk; with the caller's
// rights, what is the machine's; with those of the pod's root, what is its own.
func (pl *planner) planVolume(v *spec.Volume, host, asCaller, asRoot *steps) error {
	at := "volumes/" + v.Name
	switch {
	case v.HostPath != nil:
		return pl.hostPath(v, at, host, asCaller, asRoot)
	case v.ConfigMap != nil, v.Secret != nil:
		files, err := pl.volumeFiles(v)
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
		// In memory: the kubelet keeps a Secret there, so that it never meets a
		// disk; a ConfigMap is no larger.
		asRoot.add("volume.dir["+v.Name+"]", ns.Mkdir{Path: at, Mode: 0o755})
		pl.projection(v.Name, at, files, asRoot)
	case v.EmptyDir != nil && v.EmptyDir.Medium == spec.StorageMediumMemory:
		data := "mode=777" + pl.owner()
		if q := v.EmptyDir.SizeLimit; q != nil && q.Value() > 0 {
			data += fmt.Sprintf(",size=%d", q.Value())
		}
		asRoot.add("volume.dir["+v.Name+"]", ns.Mkdir{Path: at, Mode: 0o755})
		asRoot.add("volume.tmpfs["+v.Name+"]", ns.Mount{Source: "tmpfs", Target: at, Type: "tmpfs", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: data})
		pl.volumeGroup(v.Name, at, 0o777, asRoot)
	default:
		pl.diskVolume(v, at, host, asCaller, asRoot)
	}
	return nil
}

// diskVolume is an emptyDir on disk: a directory in the pod's, which is the
// caller's alone; the pod gets a mount of it.
func (pl *planner) diskVolume(v *spec.Volume, at string, host, asCaller, asRoot *steps) {
	onHost := pl.opts.Dir + "/" + at
	host.add("pod.dir", ns.Mkdir{Path: pl.opts.Dir + "/volumes", Mode: 0o700})
	host.add("volume.dir["+v.Name+"]", ns.Mkdir{Path: onHost, Mode: 0o777})
	host.add("volume.mode["+v.Name+"]", ns.Chmod{Path: onHost, Mode: 0o777}) // mkdir(2) heeds the caller's umask
	if pl.ownRange() {
		uid, _ := pl.ids.UIDs.ToHost(0)
		gid, _ := pl.ids.GIDs.ToHost(0)
		host.add("volume.owner["+v.Name+"]", ns.Chown{Path: onHost, UID: uid, GID: gid})
	}
	asCaller.add("volume.open["+v.Name+"]", ns.OpenTree{Path: onHost, Name: "volume/" + v.Name})
	asRoot.add("volume.dir["+v.Name+"]", ns.Mkdir{Path: at, Mode: 0o755})
	asRoot.add("volume.place["+v.Name+"]", ns.MoveTree{Name: "volume/" + v.Name, Target: at})
	pl.volumeGroup(v.Name, at, 0o777, asRoot)
}

// volumeGroup gives the volume to fsGroup, and makes what is created in it
// belong to that group too: the set-group-ID bit, inode(7).
func (pl *planner) volumeGroup(name, at string, mode uint32, asRoot *steps) {
	if g, ok := pl.fsGroup(); ok {
		asRoot.add("volume.group["+name+"]", ns.Chown{Path: at, UID: -1, GID: g})
		asRoot.add("volume.group["+name+"]", ns.Chmod{Path: at, Mode: mode | 0o2070})
	}
}

// volumeFiles are the files of a ConfigMap or Secret volume.
func (pl *planner) volumeFiles(v *spec.Volume) ([]projected, error) {
	if v.ConfigMap != nil {
		return pl.configMapFiles(v.ConfigMap)
	}
	return pl.secretFiles(v.Secret)
}

// fsGroup is the group that volumes belong to, as the pod counts.
func (pl *planner) fsGroup() (int, bool) {
	sc := pl.pod.Spec.SecurityContext
	if sc == nil || sc.FSGroup == nil {
		return 0, false
	}
	return int(*sc.FSGroup), true
}

// hostPath shows a file or directory of the machine. It is found with the
// caller's rights, once, when the pod starts.
func (pl *planner) hostPath(v *spec.Volume, at string, host, asCaller, asRoot *steps) error {
	if err := checkHostPath(pl.host, v); err != nil {
		return err
	}
	src := v.HostPath.Path
	have := spec.HostPathType(pl.host.Paths[src])
	if have == "" && (v.HostPath.Type == nil || *v.HostPath.Type != spec.HostPathFileOrCreate) {
		have = spec.HostPathDirectory
		host.add("hostpath.create["+v.Name+"]", ns.MkdirAll{Path: src, Mode: 0o755})
	} else if have == "" {
		host.add("hostpath.create["+v.Name+"]", ns.Touch{Path: src})
	}
	asCaller.add("volume.open["+v.Name+"]", ns.OpenTree{Path: src, Name: "volume/" + v.Name})
	if have == spec.HostPathDirectory {
		asRoot.add("volume.dir["+v.Name+"]", ns.Mkdir{Path: at, Mode: 0o755})
	} else {
		asRoot.add("volume.file["+v.Name+"]", ns.Touch{Path: at})
	}
	asRoot.add("volume.place["+v.Name+"]", ns.MoveTree{Name: "volume/" + v.Name, Target: at})
	return nil
}

// A projected file: content, and its place below the volume.
type projected struct {
	path string
	data string
	mode uint32
}

// project picks the keys that items names, or all of them.
func project(kind, name string, data map[string]string, items []spec.KeyToPath, mode *int32, optional bool) ([]projected, error) {
	def := uint32(0o644)
	if mode != nil {
		def = uint32(*mode)
	}
	var files []projected
	if len(items) == 0 {
		for k, v := range data {
			files = append(files, projected{k, v, def})
		}
		sort.Slice(files, func(i, j int) bool { return files[i].path < files[j].path })
		return files, nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if optional {
				continue
			}
			return nil, fmt.Errorf("%s %s has no key %s", kind, name, it.Key)
		}
		f := projected{it.Path, v, def}
		if it.Mode != nil {
			f.mode = uint32(*it.Mode)
		}
		files = append(files, f)
	}
	return files, nil
}

func (pl *planner) configMapFiles(src *spec.ConfigMapVolumeSource) ([]projected, error) {
	data, err := pl.configMap(src.Name, yes(src.Optional), true)
	if err != nil {
		return nil, err
	}
	return project("ConfigMap", src.Name, data, src.Items, src.DefaultMode, yes(src.Optional))
}

func (pl *planner) secretFiles(src *spec.SecretVolumeSource) ([]projected, error) {
	data, err := pl.secret(src.SecretName, yes(src.Optional))
	if err != nil {
		return nil, err
	}
	return project("Secret", src.SecretName, data, src.Items, src.DefaultMode, yes(src.Optional))
}

var errNotInInput = errors.New("not among the documents given; podlab has no API server to ask")

// configMap is the data of one, with the binary data for a volume and without it
// for the environment, as in the kubelet; nil if it is optional and missing.
func (pl *planner) configMap(name string, optional, binary bool) (map[string]string, error) {
	cm := (*spec.ConfigMap)(nil)
	if pl.opts.Input != nil {
		cm = pl.opts.Input.ConfigMap(pl.pod.Namespace, name)
	}
	if cm == nil {
		if optional {
			return nil, nil
		}
		return nil, fmt.Errorf("ConfigMap %s: %w", name, errNotInInput)
	}
	data := map[string]string{}
	for k, v := range cm.Data {
		data[k] = v
	}
	for k, v := range cm.BinaryData {
		if binary {
			data[k] = string(v)
		}
	}
	return data, nil
}

func (pl *planner) secret(name string, optional bool) (map[string]string, error) {
	s := (*spec.Secret)(nil)
	if pl.opts.Input != nil {
		s = pl.opts.Input.Secret(pl.pod.Namespace, name)
	}
	if s == nil {
		if optional {
			return nil, nil
		}
		return nil, fmt.Errorf("Secret %s: %w", name, errNotInInput)
	}
	data := map[string]string{}
	for k, v := range s.Data {
		data[k] = string(v)
	}
	return data, nil
}

// projection lays files out as the kubelet's atomic writer does: the files in a
// directory named for the time, a link ..data to it, and links through ..data
// where users look. Renaming a new ..data over the old one changes all files at
// once.
func (pl *planner) projection(name, dir string, files []projected, s *steps) {
	version := pl.opts.Now.UTC().Format("..2006_01_02_15_04_05.000000000")
	key := func(what string) string { return "volume." + what + "[" + name + "]" }
	s.add(key("version"), ns.Mkdir{Path: dir + "/" + version, Mode: 0o755})
	made, links := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		for i, r := range f.path {
			if sub := f.path[:i]; r == '/' && !made[sub] {
				made[sub] = true
				s.add(key("version"), ns.Mkdir{Path: dir + "/" + version + "/" + sub, Mode: 0o755})
			}
		}
		p := dir + "/" + version + "/" + f.path
		s.add(key("file"), ns.WriteFile{Path: p, Data: f.data, Create: true, Mode: f.mode})
		if g, ok := pl.fsGroup(); ok {
			s.add(key("group"), ns.Chown{Path: p, UID: -1, GID: g})
			s.add(key("group"), ns.Chmod{Path: p, Mode: f.mode | 0o440}) // the group must be able to read
		}
		links[strings.SplitN(f.path, "/", 2)[0]] = true
	}
	s.add(key("data"), ns.Symlink{Target: version, Link: dir + "/..data"})
	for _, l := range sortedKeys(links) {
		s.add(key("link"), ns.Symlink{Target: "..data/" + l, Link: dir + "/" + l})
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
