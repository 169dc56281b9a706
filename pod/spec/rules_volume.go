package spec

import (
	"slices"
	"strings"
)

// required are fields without which the API server refuses a volume. Of most
// sources that is all that is judged here; podlab has none of them.
var required = [...]struct {
	source string
	fields []string
}{
	{"persistentVolumeClaim", []string{"claimName"}},
	{"nfs", []string{"server", "path"}},
	{"iscsi", []string{"targetPortal", "iqn"}},
	{"gcePersistentDisk", []string{"pdName"}},
	{"awsElasticBlockStore", []string{"volumeID"}},
	{"gitRepo", []string{"repository"}},
	{"glusterfs", []string{"endpoints", "path"}},
	{"rbd", []string{"monitors", "image"}},
	{"cinder", []string{"volumeID"}},
	{"cephfs", []string{"monitors"}},
	{"flexVolume", []string{"driver"}},
	{"azureFile", []string{"secretName", "shareName"}},
	{"azureDisk", []string{"diskName", "diskURI"}},
	{"vsphereVolume", []string{"volumePath"}},
	{"photonPersistentDisk", []string{"pdID"}},
	{"portworxVolume", []string{"volumeID"}},
	{"quobyte", []string{"registry", "volume"}},
	{"scaleIO", []string{"gateway", "system", "volumeName"}},
	{"storageos", []string{"volumeName"}},
	{"csi", []string{"driver"}},
	{"ephemeral", []string{"volumeClaimTemplate"}},
}

// volumeRules judges spec.volumes and returns them by name.
func (p podRules) volumeRules() map[string]*node {
	byName := map[string]*node{}
	seen := map[string]bool{}
	for _, v := range p.spec.list("volumes") {
		name := p.need(v, "name")
		p.label(name)
		p.unique(seen, name)
		if name != nil {
			byName[name.text] = v
		}
		var sources []string
		for _, f := range fieldsOf("Volume")[1:] {
			sources = append(sources, f.name)
		}
		p.oneSource(v, false, sources...)
		p.localVolume(v)
		for _, r := range required {
			if s := v.get(r.source); s != nil {
				for _, f := range r.fields {
					p.need(s, f)
				}
			}
		}
		if s := v.get("gitRepo"); s != nil {
			p.below(s.get("directory"))
		}
		if s := v.get("nfs"); s.get("path").str() != "" && !strings.HasPrefix(s.get("path").text, "/") {
			p.invalid(s.get("path"), "want an absolute path", "")
		}
		p.projected(v.get("projected"))
		p.downward(v.get("downwardAPI"), false)
		if s := v.get("image"); s != nil {
			p.oneOfSet(s.get("pullPolicy"), "Always", "Never", "IfNotPresent")
			p.need(s, "reference")
		}
	}
	return byName
}

// localVolume judges the sources that podlab has.
func (p podRules) localVolume(v *node) {
	if s := v.get("emptyDir"); s != nil {
		if q := s.get("sizeLimit"); q != nil {
			if size, _ := ParseQuantity(q.text); size.Sign() < 0 {
				p.invalid(q, "want a size of 0 or more, have "+q.text, "")
			} else if s.get("medium").str() == "" && size.Sign() > 0 {
				p.warn(s.look("sizeLimit"), "not enforced on disk here; a kubelet evicts the pod that exceeds it. medium: Memory has a limit that holds")
			}
		}
		if m := s.get("medium").str(); m != "" && m != "Memory" {
			p.medium(s.look("medium"), m)
		}
		p.between(s.get("mode"), 0, 0o1777)
	}
	if s := v.get("hostPath"); s != nil {
		path := p.need(s, "path")
		p.noClimbing(path)
		if path != nil && !strings.HasPrefix(path.text, "/") && !path.wrong {
			f := s.look("path")
			p.unsupported(f, "not supported: a path that is not absolute; a node would start from /", "write /"+path.text)
		}
		p.oneOf(s.get("type"), "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
	}
	if s := v.get("configMap"); s != nil {
		p.need(s, "name")
		p.keys(s)
	}
	if s := v.get("secret"); s != nil {
		p.need(s, "secretName")
		p.keys(s)
	}
}

// medium: the API server takes any word here; a kubelet only these.
func (p podRules) medium(f *field, m string) {
	if m == "HugePages" || strings.HasPrefix(m, "HugePages-") {
		p.unsupported(f, "not yet supported: volumes of huge pages", "")
	} else {
		p.unsupported(f, "not supported: no kubelet knows the medium "+quote(m), "leave it out, or write Memory")
	}
}

// keys judges a volume made of keys: modes and items.
func (p podRules) keys(s *node) {
	p.mode(s.get("defaultMode"))
	p.items(s, nil)
}

func (p podRules) items(s *node, paths map[string]bool) {
	for _, item := range s.list("items") {
		p.need(item, "key")
		path := p.need(item, "path")
		p.item(path)
		if paths != nil {
			p.unique(paths, path)
		}
		p.mode(item.get("mode"))
	}
}

// projected and downwardAPI volumes are refused for now, faults in them still
// reported.
func (p podRules) projected(s *node) {
	if s == nil {
		return
	}
	p.mode(s.get("defaultMode"))
	paths := map[string]bool{}
	for _, src := range s.list("sources") {
		p.oneSource(src, false, "secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")
		for _, kind := range []string{"secret", "configMap"} {
			if k := src.get(kind); k != nil {
				p.need(k, "name")
				p.items(k, paths)
			}
		}
		p.downward(src.get("downwardAPI"), true)
		if t := src.get("serviceAccountToken"); t != nil {
			account := p.spec.get("serviceAccountName").str() + p.spec.get("serviceAccount").str()
			if account == "" {
				p.forbidden(src, "serviceAccountToken", "may not be set without spec.serviceAccountName")
			}
			p.between(t.get("expirationSeconds"), 600, 1<<32)
			path := p.need(t, "path")
			p.item(path)
		}
		if t := src.get("clusterTrustBundle"); t != nil {
			p.oneSource(t, true, "name", "signerName")
			p.item(p.need(t, "path"))
		}
	}
}

func (p podRules) downward(s *node, inProjection bool) {
	if s == nil {
		return
	}
	if !inProjection {
		p.mode(s.get("defaultMode"))
	}
	for _, item := range s.list("items") {
		p.item(p.need(item, "path"))
		p.mode(item.get("mode"))
		p.oneSource(item, true, "fieldRef", "resourceFieldRef")
		p.fieldRef(item.get("fieldRef"), volumeFieldPaths)
		p.resourceRef(item.get("resourceFieldRef"), true)
	}
}

// mounts judges what a container mounts.
func (p podRules) mounts(c *node) {
	paths := map[string]bool{}
	for _, d := range c.list("volumeDevices") {
		p.device(c, d, paths)
	}
	for _, m := range c.list("volumeMounts") {
		if name := p.need(m, "name"); name != nil && p.volumes[name.text] == nil {
			p.invalid(name, "there is no volume "+quote(name.text), p.volumeHint(name.text))
		}
		path := p.need(m, "mountPath")
		p.unique(paths, path)
		if path != nil && !path.wrong {
			p.mountPath(m.look("mountPath"))
		}
		p.below(m.get("subPath"))
		p.below(m.get("subPathExpr"))
		if e := m.get("subPathExpr"); e.str() != "" && m.get("subPath").str() != "" {
			p.invalid(e, "may not be set together with subPath", "keep one")
		}
		p.propagation(c, m)
		options := map[string]bool{}
		for _, o := range m.list("bindMountOptions") {
			p.oneOf(o, "noexec", "nodev", "nosuid")
			p.unique(options, o)
		}
	}
}

// mountPath: the API server takes any text; a node resolves it from the root.
func (p podRules) mountPath(f *field) {
	switch path := f.value.text; {
	case climbs(path):
		p.unsupported(f, "not supported: a mount path with ..", "write the path that it comes to")
	case strings.Trim(path, "/.") == "":
		p.unsupported(f, "not supported: a volume in place of the container's root", "")
	case below(path, "proc"), below(path, "sys"), strings.Trim(path, "/") == "dev/null":
		p.unsupported(f, "not supported: a volume over what shows the kernel's own files", "mount it elsewhere")
	case !strings.HasPrefix(path, "/"):
		p.warn(f, "taken from the root, as a node does: /"+path)
	}
}

// below tells whether a mount path is dir, a directory of the root, or in it.
func below(path, dir string) bool {
	return strings.HasPrefix(strings.TrimLeft(path, "/.")+"/", dir+"/")
}

func (p podRules) volumeHint(name string) string {
	for have := range p.volumes {
		if editDistance(have, name, 2) <= 2 {
			return "did you mean " + have + "?"
		}
	}
	return "spec.volumes names them"
}

func (p podRules) device(c, d *node, paths map[string]bool) {
	name := p.need(d, "name")
	path := p.need(d, "devicePath")
	p.unique(paths, path)
	p.noClimbing(path)
	if name == nil {
		return
	}
	v := p.volumes[name.text]
	if v == nil {
		p.invalid(name, "there is no volume "+quote(name.text), p.volumeHint(name.text))
	} else if v.get("persistentVolumeClaim") == nil && v.get("ephemeral") == nil {
		p.invalid(name, "want a volume of a persistentVolumeClaim", "")
	}
	if slices.ContainsFunc(c.list("volumeMounts"), func(m *node) bool { return m.get("name").str() == name.text }) {
		p.invalid(name, "the volume is also in volumeMounts", "")
	}
}

func (p podRules) propagation(c, m *node) {
	how := m.get("mountPropagation")
	p.oneOf(how, "None", "HostToContainer", "Bidirectional")
	if how.str() == "Bidirectional" && !c.get("securityContext").get("privileged").yes() {
		p.invalid(how, "Bidirectional is for privileged containers only", "")
	}
	recursive := m.get("recursiveReadOnly")
	p.oneOf(recursive, "Disabled", "IfPossible", "Enabled")
	if r := recursive.str(); r == "IfPossible" || r == "Enabled" {
		if !m.get("readOnly").yes() {
			p.invalid(recursive, "needs readOnly: true", "")
		} else if h := how.str(); h != "" && h != "None" {
			p.invalid(recursive, "needs mountPropagation: None", "")
		}
	}
}
