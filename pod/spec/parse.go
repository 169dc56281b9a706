package spec

import (
	"slices"
	"strings"
)

// ParseAll decodes, completes and judges several files as one input: a
// ConfigMap of one serves the pods of another. The error is an Errors that
// holds every fault found.
func ParseAll(files []File, o Options) (*Input, []Warning, error) {
	in := &Input{}
	var judges []*judge
	var objects []*object
	for _, f := range files {
		j := &judge{name: f.Name, data: f.Data, o: o}
		judges = append(judges, j)
		for _, doc := range j.documents() {
			objects = append(objects, j.objects(doc)...)
		}
	}
	seen := map[string]Place{}
	for _, ob := range objects {
		ob.unique(seen)
		in.add(ob)
	}
	for _, ob := range objects {
		if ob.pod != nil {
			references{ob.j, in, ob.pod}.check(ob.n)
		}
	}
	var errs Errors
	var warns []Warning
	for _, j := range judges {
		j.sort()
		errs = append(errs, j.errs...)
		warns = append(warns, j.warns...)
	}
	if len(errs) == 0 && len(in.Pods) == 0 {
		errs = append(errs, nothing(files))
	}
	if len(errs) > 0 {
		return in, warns, errs
	}
	return in, warns, nil
}

func nothing(files []File) *FieldError {
	p := Place{}
	if len(files) == 1 {
		p.File = files[0].Name
	}
	return &FieldError{Invalid, p, "no Pod in it", "a manifest begins with apiVersion: v1 and kind: Pod"}
}

// An object is a document, or an item of a List, that podlab reads.
type object struct {
	j      *judge
	n      *node
	pod    *Pod
	config *ConfigMap
	secret *Secret
}

func (in *Input) add(ob *object) {
	switch {
	case ob.pod != nil:
		in.Pods = append(in.Pods, ob.pod)
	case ob.config != nil:
		in.ConfigMaps = append(in.ConfigMaps, ob.config)
	case ob.secret != nil:
		in.Secrets = append(in.Secrets, ob.secret)
	}
}

func (ob *object) meta() (kind string, m *ObjectMeta) {
	switch {
	case ob.pod != nil:
		return "Pod", &ob.pod.ObjectMeta
	case ob.config != nil:
		return "ConfigMap", &ob.config.ObjectMeta
	}
	return "Secret", &ob.secret.ObjectMeta
}

// unique reports a second object of one kind and name.
func (ob *object) unique(seen map[string]Place) {
	kind, m := ob.meta()
	if m.Name == "" {
		return
	}
	key := kind + " " + m.Namespace + "/" + m.Name
	at := ob.n.get("metadata").get("name")
	if first, dup := seen[key]; dup {
		first.Path = ""
		ob.j.invalid(at, "the "+kind+" "+m.Namespace+"/"+m.Name+" is already at "+first.String(), "")
	} else if at != nil {
		seen[key] = ob.j.place(at.line, at.col, "")
	}
}

// kinds are what podlab reads; each kind's list is read too.
var kinds = []string{"Pod", "ConfigMap", "Secret"}

// objects decodes a document: one object, or the items of a list.
func (j *judge) objects(n *node) []*object {
	if n.class != mapClass {
		j.invalid(n, "want a mapping with apiVersion, kind, metadata and spec, have "+n.describe(), "")
		return nil
	}
	c := checker{j}
	for _, name := range []string{"apiVersion", "kind"} {
		if f := n.look(name); f != nil {
			c.value(f.value, "string", "", false)
		}
	}
	kind, version := n.get("kind"), n.get("apiVersion")
	switch k := kind.str(); {
	case k == "":
		if f := n.look("kind"); f == nil || !f.value.wrong {
			j.fault(Invalid, n.line, n.col, join(n.path(), "kind"), "kind is missing", "podlab runs kind: Pod, apiVersion: v1")
		}
		return nil
	case k == "List" || slices.Contains(kinds, strings.TrimSuffix(k, "List")) && strings.HasSuffix(k, "List"):
		j.version(n, version)
		return j.items(n, strings.TrimSuffix(k, "List"))
	case !slices.Contains(kinds, k):
		j.otherKind(n, k, version.str())
		return nil
	}
	j.version(n, version)
	return []*object{j.object(n, kind.str())}
}

// version wants v1.
func (j *judge) version(n, version *node) {
	if f := n.look("apiVersion"); f != nil && f.value.wrong {
		return
	}
	if version.str() == "" {
		j.missing(n, "apiVersion", "want apiVersion: v1")
	} else if version.str() != "v1" {
		j.invalid(version, "there is no "+quoteless(n.get("kind").str())+" in "+quote(version.str()), "write v1")
	}
}

// otherKind refuses what podlab does not run; nothing is passed over silently.
func (j *judge) otherKind(n *node, kind, version string) {
	for _, known := range kinds {
		if strings.EqualFold(known, kind) || editDistance(known, kind, 1) <= 1 {
			j.invalid(n.get("kind"), "unknown kind "+quote(kind), "did you mean "+known+"?")
			return
		}
	}
	hint := ""
	if strings.HasPrefix(version, "apps/") || strings.HasPrefix(version, "batch/") || kind == "ReplicationController" {
		hint = "write the metadata and spec of its template as a Pod"
	}
	f := n.look("kind")
	j.unsupported(f, "not supported: kind "+quoteless(kind)+"; podlab runs Pods, with the ConfigMaps and Secrets that they use", hint)
}

// items decodes a list. The items of a PodList need not say what they are.
func (j *judge) items(n *node, kind string) (all []*object) {
	for i := range n.fields {
		switch f := &n.fields[i]; f.name {
		case "apiVersion", "kind", "items":
		case "metadata":
			checker{j}.value(f.value, "any", "", false)
		default:
			j.fault(Invalid, f.line, f.col, join(n.path(), f.name), "unknown field", "")
		}
	}
	f := n.look("items")
	if f == nil || f.value.class == nullClass || !(checker{j}).want(f.value, listClass, "a list") {
		return nil
	}
	for _, item := range f.value.items {
		if kind != "" && item.class == mapClass && item.look("kind") == nil {
			all = append(all, j.object(item, kind))
		} else {
			all = append(all, j.objects(item)...)
		}
	}
	return all
}

// object checks and decodes one object of a known kind.
func (j *judge) object(n *node, kind string) *object {
	ob := &object{j: j, n: n}
	checker{j}.object(n, kind, "", kind == "Pod")
	switch kind {
	case "Pod":
		ob.pod = &Pod{}
		decode(n, ob.pod)
		ob.pod.complete(n)
		j.podRules(n)
	case "ConfigMap":
		ob.config = &ConfigMap{}
		decode(n, ob.config)
		ob.config.TypeMeta = TypeMeta{"ConfigMap", "v1"}
		ob.config.ObjectMeta.complete()
		j.configMapRules(n)
	case "Secret":
		ob.secret = &Secret{}
		decode(n, ob.secret)
		ob.secret.complete()
		j.secretRules(n)
	}
	return ob
}

// complete merges stringData into data, where it wins, as the API server does.
func (s *Secret) complete() {
	s.TypeMeta = TypeMeta{"Secret", "v1"}
	s.ObjectMeta.complete()
	if s.Type == "" {
		s.Type = "Opaque"
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
}
